#!/usr/bin/env bash
# What has to be there before the first `pulumi up` and the first workflow; `--help` says what it is.
set -euo pipefail

usage() {
  cat <<'END'
usage: bootstrap/bootstrap.sh --repository OWNER/NAME --name NAME [OPTION …]

Makes, in the subscription that `az login` chose, what the three stacks and the workflows need:
  - the resource providers, registered
  - a resource group with the state's storage account and container, and a key vault with the key
    that encrypts what is secret in the state
  - two app registrations that GitHub's workflows log in as, without any stored secret: one that
    deploys, for the environments shared, staging, production and plan; one that reads, for the
    previews of pull requests (environment preview)
  - the role assignments of both, and yours on the state
  - the stacks, where the Pulumi CLI is at hand
and prints the variables and environments to set in the repository. What is there already is left as
it is, so it can be run again, after an error too.

  --repository OWNER/NAME   the repository on GitHub
  --name NAME               3 to 12 lower-case letters and digits; begins every name
  --location REGION         where the state lives (default: westeurope)
  --storage-account NAME    unique in all of Azure (default: NAMEstate)
  --key-vault NAME          unique in all of Azure (default: NAME-state)
  --subject-prefix TEXT     how GitHub's tokens name the repository; without it `gh` is asked, as
                            repositories made or renamed since July 2026 have ids in it
  --dry-run                 look, and say what would be run; change nothing
  --help                    this

You need the role Owner on the subscription (or Contributor and User Access Administrator), and may
register applications in Entra ID.
END
}

fail() {
  echo "error: $*" >&2
  exit 1
}

say() {
  echo "$*" >&2
}

# Run what changes something, or show it.
change() {
  if [[ $dry_run == yes ]]; then
    {
      printf '  would run:'
      printf ' %q' "$@"
      echo
    } >&2
  else
    "$@" >/dev/null
  fi
}

# As `change`, again and again for a while: what was made a moment ago is not known everywhere yet.
change_patiently() {
  local try
  for try in $(seq 1 "${BOOTSTRAP_TRIES:-20}"); do
    if change "$@"; then
      return
    fi
    say "  not yet ($try); Azure takes some minutes to know of what is new"
    sleep "${BOOTSTRAP_SECONDS:-30}"
  done
  fail "it still fails; look at the message above, then run this again"
}

there() {
  "$@" >/dev/null 2>&1
}

read_options() {
  repository='' name='' location=westeurope storage_account='' key_vault='' subject_prefix='' dry_run=no
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help)
        usage
        exit 0
        ;;
      --dry-run)
        dry_run=yes
        shift
        continue
        ;;
    esac
    [[ $# -ge 2 ]] || fail "$1: a value is missing, or there is no such option; see --help"
    case $1 in
      --repository) repository=$2 ;;
      --name) name=$2 ;;
      --location) location=$2 ;;
      --storage-account) storage_account=$2 ;;
      --key-vault) key_vault=$2 ;;
      --subject-prefix) subject_prefix=$2 ;;
      *) fail "there is no option $1; see --help" ;;
    esac
    shift 2
  done
  : "${storage_account:=${name}state}" "${key_vault:=$name-state}"
  group=rg-$name-state
}

check_options() {
  [[ $repository =~ ^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$ ]] || fail "--repository: write OWNER/NAME"
  [[ $name =~ ^[a-z][a-z0-9]{2,11}$ ]] ||
    fail "--name: 3 to 12 lower-case letters and digits, a letter first; for example contoso"
  [[ $storage_account =~ ^[a-z0-9]{3,24}$ ]] ||
    fail "--storage-account: 3 to 24 lower-case letters and digits"
  [[ $key_vault =~ ^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$ ]] ||
    fail "--key-vault: 3 to 24 letters, digits and hyphens, a letter first"
  command -v az >/dev/null || fail "the Azure CLI is not on the PATH"
  local account
  account=$(az account show --query '[id, tenantId, user.type]' --output tsv | tr '\n' ' ') ||
    fail "not logged in: az login, then az account set --subscription …"
  read -r subscription tenant user_type <<<"$account"
}

# GitHub's own word for the repository, in the subject of the tokens that its workflows get.
find_subject_prefix() {
  [[ -z $subject_prefix ]] || return 0
  command -v gh >/dev/null ||
    fail "--subject-prefix is needed where there is no gh: \
repo:OWNER/NAME, or repo:OWNER@ID/NAME@ID for a repository with immutable subjects"
  subject_prefix=$(gh api "repos/$repository/actions/oidc/customization/sub" \
    --jq '.sub_claim_prefix // empty') || fail "gh cannot read $repository: gh auth login"
  : "${subject_prefix:=repo:$repository}"
}

register_providers() {
  say "resource providers"
  local provider state
  for provider in Databricks ContainerService ContainerRegistry OperationalInsights Insights \
    ManagedIdentity Consumption KeyVault Storage; do
    state=$(az provider show --namespace "Microsoft.$provider" --query registrationState --output tsv)
    if [[ $state != Registered ]]; then
      change az provider register --namespace "Microsoft.$provider"
    fi
  done
}

make_storage() {
  say "state: storage account $storage_account"
  there az group show --name "$group" ||
    change az group create --name "$group" --location "$location"
  local account=(--account-name "$storage_account" --resource-group "$group") kept
  there az storage account show --name "$storage_account" --resource-group "$group" ||
    change az storage account create --name "$storage_account" --resource-group "$group" \
      --location "$location" --sku Standard_ZRS --allow-blob-public-access false \
      --allow-shared-key-access false --min-tls-version TLS1_2
  # Every state that there was for 30 days, however it was lost.
  kept=$(az storage account blob-service-properties show "${account[@]}" \
    --query '[isVersioningEnabled, deleteRetentionPolicy.days]' --output tsv 2>/dev/null |
    tr '[:upper:]\n' '[:lower:] ' || true)
  [[ $kept == "true 30 " ]] ||
    change az storage account blob-service-properties update "${account[@]}" \
      --enable-versioning true --enable-delete-retention true --delete-retention-days 30
  # By the control plane: the data plane would want a role that takes minutes to arrive.
  local container=(--storage-account "$storage_account" --resource-group "$group" --name pulumi)
  there az storage container-rm show "${container[@]}" ||
    change az storage container-rm create "${container[@]}"
  storage_id=/subscriptions/$subscription/resourceGroups/$group
  storage_id+=/providers/Microsoft.Storage/storageAccounts/$storage_account
}

make_key() {
  say "state: key vault $key_vault"
  there az keyvault show --name "$key_vault" --resource-group "$group" ||
    change az keyvault create --name "$key_vault" --resource-group "$group" \
      --location "$location" --enable-rbac-authorization true --enable-purge-protection true
  vault_id=/subscriptions/$subscription/resourceGroups/$group
  vault_id+=/providers/Microsoft.KeyVault/vaults/$key_vault
  # By the control plane again; this call makes a key where there is none, and never a new version.
  local key="https://management.azure.com$vault_id/keys/pulumi?api-version=2023-07-01"
  there az rest --method get --url "$key" ||
    change az rest --method put --url "$key" \
      --body '{"properties": {"kty": "RSA", "keySize": 3072}}'
}

# Find or make an app registration and its service principal; `app_id` and `principal` name them.
make_identity() {
  local display=$1
  say "identity: $display"
  app_id=$(az ad app list --filter "displayName eq '$display'" --query '[].appId' --output tsv)
  [[ $app_id != *$'\n'* ]] || fail "there are several app registrations named $display"
  if [[ -z $app_id ]]; then
    change az ad app create --display-name "$display" --sign-in-audience AzureADMyOrg
    app_id=$(found "<application id of $display>" \
      az ad app list --filter "displayName eq '$display'" --query '[0].appId')
  fi
  principal=
  if [[ $app_id != '<'* ]]; then
    principal=$(az ad sp list --filter "appId eq '$app_id'" --query '[].id' --output tsv)
  fi
  if [[ -z $principal ]]; then
    change_patiently az ad sp create --id "$app_id"
    principal=$(found "<object id of $display>" \
      az ad sp list --filter "appId eq '$app_id'" --query '[0].id')
  fi
}

# Look up what was made a moment ago; in a dry run it is not there, so a word stands for it.
found() {
  local placeholder=$1 value try
  shift
  if [[ $dry_run == yes ]]; then
    echo "$placeholder"
    return
  fi
  for try in $(seq 1 "${BOOTSTRAP_TRIES:-20}"); do
    value=$("$@" --output tsv)
    if [[ -n $value && $value != None ]]; then
      echo "$value"
      return
    fi
    say "  not listed yet ($try)"
    sleep "${BOOTSTRAP_SECONDS:-30}"
  done
  fail "$placeholder is not listed; run this again in some minutes"
}

# Let the workflows' jobs that name an environment log in as `app_id`.
trust_environment() {
  local environment=$1 credential subject parameters is=
  credential=github-$environment subject=$subject_prefix:environment:$environment
  if [[ $app_id != '<'* ]]; then
    is=$(az ad app federated-credential list --id "$app_id" \
      --query "[?name=='$credential'].subject" --output tsv)
  fi
  parameters=$(printf '{"name": "%s", "issuer": "%s", "subject": "%s", "audiences": ["%s"]}' \
    "$credential" https://token.actions.githubusercontent.com "$subject" api://AzureADTokenExchange)
  if [[ -z $is ]]; then
    change_patiently az ad app federated-credential create --id "$app_id" --parameters "$parameters"
  elif [[ $is != "$subject" ]]; then
    change az ad app federated-credential update --id "$app_id" \
      --federated-credential-id "$credential" --parameters "$parameters"
  fi
}

# grant PRINCIPAL TYPE SCOPE ROLE …; a role is a built-in one's id, the same in every tenant.
grant() {
  local to=$1 type=$2 scope=$3 role count
  shift 3
  for role in "$@"; do
    count=0
    if [[ $to != '<'* ]]; then
      count=$(az role assignment list --assignee "$to" --role "$role" --scope "$scope" \
        --fill-principal-name false --query 'length(@)' --output tsv 2>/dev/null) || count=0
    fi
    if [[ $count == 0 ]]; then
      change_patiently az role assignment create --assignee-object-id "$to" \
        --assignee-principal-type "$type" --role "$role" --scope "$scope"
    fi
  done
}

CONTRIBUTOR=b24988ac-6180-42a0-ab88-20f7382dd24c
READER=acdd72a7-3385-48ef-bd42-f606fba81ae7
ROLE_ADMINISTRATOR=f58310d9-a9f6-439a-9e8d-f62e7b41a168
CLUSTER_ADMIN=b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b
CLUSTER_READER=7f6c6a51-bcf8-42ba-9220-52d62157d7db
CLUSTER_USER=4abbcc35-e782-43d8-92c5-2d3f1bd2253f
IMAGE_PUSHER=8311e382-0749-4cb8-b61a-304f252e45ec
STATE_WRITER=ba92f5b4-2d11-453d-a403-e96b0029c9fe
STATE_READER=2a2b9908-6ea1-4ae2-8e65-a410df84e7d1
KEY_USER=12338af0-0e69-4776-bea7-57ae8d297424

make_identities() {
  local whole=/subscriptions/$subscription environment
  make_identity "$name-retention-deploy"
  deploy_id=$app_id
  for environment in shared staging production plan; do
    trust_environment "$environment"
  done
  grant "$principal" ServicePrincipal "$whole" "$CONTRIBUTOR" "$ROLE_ADMINISTRATOR" \
    "$CLUSTER_ADMIN" "$CLUSTER_USER" "$IMAGE_PUSHER"
  grant "$principal" ServicePrincipal "$storage_id" "$STATE_WRITER"
  grant "$principal" ServicePrincipal "$vault_id" "$KEY_USER"

  # Whoever may push a branch decides what runs as this one: it can read, and nothing else.
  make_identity "$name-retention-preview"
  preview_id=$app_id
  trust_environment preview
  grant "$principal" ServicePrincipal "$whole" "$READER" "$CLUSTER_READER" "$CLUSTER_USER"
  grant "$principal" ServicePrincipal "$storage_id" "$STATE_READER"
  grant "$principal" ServicePrincipal "$vault_id" "$KEY_USER"
}

# You make the stacks, and may have to look into them.
grant_yourself() {
  [[ $user_type == user ]] || return 0
  say "your roles on the state"
  local me
  me=$(az ad signed-in-user show --query id --output tsv)
  grant "$me" User "$storage_id" "$STATE_WRITER"
  grant "$me" User "$vault_id" "$KEY_USER"
}

make_stacks() {
  local stack known=
  export PULUMI_BACKEND_URL=$backend
  if ! command -v pulumi >/dev/null; then
    say "stacks: there is no pulumi here; run this again where there is"
    return
  fi
  say "stacks"
  if [[ $dry_run == no ]]; then
    change_patiently pulumi stack ls --json
    known=$(pulumi stack ls --json)
  else
    known=$(pulumi stack ls --json 2>/dev/null) || known=
  fi
  for stack in shared staging production; do
    [[ $known == *"\"name\": \"$stack\""* || $known == *"/$stack\""* ]] ||
      change_patiently pulumi stack init "$stack" --no-select --secrets-provider \
        "azurekeyvault://$key_vault.vault.azure.net/keys/pulumi"
  done
  say "  pulumi wrote secretsprovider and encryptedkey into Pulumi.<stack>.yaml: no secrets; commit them"
}

print_settings() {
  cat <<END
# The variables and environments of the repository, with gh as one of its administrators:
gh variable set AZURE_CLIENT_ID --repo $repository --body $deploy_id
gh variable set AZURE_PREVIEW_CLIENT_ID --repo $repository --body $preview_id
gh variable set AZURE_TENANT_ID --repo $repository --body $tenant
gh variable set AZURE_SUBSCRIPTION_ID --repo $repository --body $subscription
gh variable set PULUMI_BACKEND_URL --repo $repository --body '$backend'
gh api --method PUT repos/$repository/environments/preview --silent
# From main alone; production with somebody who approves it:
for environment in shared staging plan production; do
  gh api --method PUT repos/$repository/environments/\$environment --silent --input - <<<\\
    '{"deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true}}'
  gh api --method POST repos/$repository/environments/\$environment/deployment-branch-policies \\
    --silent --field name=main
done
approver=\$(gh api users/LOGIN --jq .id)   # whoever it is
gh api --method PUT repos/$repository/environments/production --silent --input - <<<"{\\"reviewers\\":
  [{\\"type\\": \\"User\\", \\"id\\": \$approver}], \\"deployment_branch_policy\\":
  {\\"protected_branches\\": false, \\"custom_branch_policies\\": true}}"

# After the first \`up\` of shared, so that previews can read releases:
databricks service-principals create --json '{"application_id": "$preview_id"}'
pulumi config set --path 'readers[0]' $preview_id --stack shared
END
}

read_options "$@"
check_options
backend="azblob://pulumi?storage_account=$storage_account"
find_subject_prefix
cd "$(dirname "$0")/.."
register_providers
make_storage
make_key
make_identities
grant_yourself
make_stacks
print_settings
