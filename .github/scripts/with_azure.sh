#!/usr/bin/env bash
# Run a command with a log-in to Azure that does not grow old:
#   with_azure.sh COMMAND [ARGUMENT …]
# By hand it runs the command as it is: `az login` is your log-in. In a workflow it asks GitHub for an
# identity token, which is good for 5 to 10 minutes; after that Azure gives no token for an audience
# that it has not been asked for yet (AADSTS700024), and a first `up` takes longer. So a fresh token is
# fetched, and the Azure CLI logged in anew, every few minutes for as long as the command runs.
#   AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_SUBSCRIPTION_ID   who, and where
#   AZURE_RENEW_SECONDS                                       how often; 240 where it is not set
set -euo pipefail

if [[ $# -eq 0 ]]; then
  echo "usage: with_azure.sh COMMAND [ARGUMENT …]" >&2
  exit 2
fi
if [[ -z ${ACTIONS_ID_TOKEN_REQUEST_URL:-} ]]; then
  exec "$@"
fi
for name in ACTIONS_ID_TOKEN_REQUEST_TOKEN AZURE_CLIENT_ID AZURE_TENANT_ID AZURE_SUBSCRIPTION_ID; do
  if [[ -z ${!name:-} ]]; then
    echo "error: $name is not set: set the repository's variables (bootstrap/bootstrap.sh prints them)," \
      "and give the job the permission id-token: write" >&2
    exit 2
  fi
done

umask 077
home=$(mktemp -d "${RUNNER_TEMP:-/tmp}/azure.XXXXXX")
turn=0
renewing=

# shellcheck disable=SC2329 # the trap calls it
end_renewing() {
  if [[ -n $renewing ]]; then
    # Not TERM: bash holds it back while it forks, and the child, a sleep, would never hear of it.
    kill -KILL -- "-$renewing" 2>/dev/null || true
  fi
  rm -rf "$home"
}
trap end_renewing EXIT

# Write GitHub's token where every client that knows workload identities looks for it: the state's
# backend and key vault, and the Gateway API add-on. Moved into place, so that nobody reads a half.
fetch_assertion() {
  # The request's own token goes in by standard input: arguments are seen by every process.
  printf 'header = "Authorization: bearer %s"\n' "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" |
    curl --config - --silent --show-error --fail --retry 3 --max-time 30 \
      "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=api%3A%2F%2FAzureADTokenExchange" |
    jq --exit-status --raw-output .value >"$home/assertion.new" &&
    mv "$home/assertion.new" "$home/assertion"
}

# Log the Azure CLI in, for the Databricks SDK and provider, which ask it. A folder for each turn, and
# a link that is moved: the CLI writes its files in place, and a reader in between would lose them.
log_in() {
  local as=(env "AZURE_CONFIG_DIR=$home/login.$turn")
  "${as[@]}" az login --service-principal --username "$AZURE_CLIENT_ID" \
    --tenant "$AZURE_TENANT_ID" --federated-token "$(<"$home/assertion")" --output none &&
    "${as[@]}" az account set --subscription "$AZURE_SUBSCRIPTION_ID" &&
    # Azure Databricks, while the assertion is young.
    "${as[@]}" az account get-access-token --resource 2ff814a6-3304-4ab8-85cb-cd0e6f879c1d \
      --output none &&
    ln -sfn "login.$turn" "$home/login.new" &&
    mv -T "$home/login.new" "$home/login" &&
    rm -rf "$home/login.$((turn - 2))"
}

# Steps are chained by hand: where a caller asks how it went, the shell goes on after an error.
renew() {
  fetch_assertion && log_in
}

keep_renewing() {
  while true; do
    sleep "${AZURE_RENEW_SECONDS:-240}"
    turn=$((turn + 1))
    renew || echo "warning: the log-in to Azure was not renewed; trying again" >&2
  done
}

renew
export AZURE_CONFIG_DIR="$home/login"
export AZURE_FEDERATED_TOKEN_FILE="$home/assertion"
# Pulumi's Azure provider and kubelogin ask GitHub themselves.
export ARM_USE_OIDC=true ARM_CLIENT_ID="$AZURE_CLIENT_ID" ARM_TENANT_ID="$AZURE_TENANT_ID"
export ARM_SUBSCRIPTION_ID="$AZURE_SUBSCRIPTION_ID"

# Groups of their own: the renewal's sleep ends with it, and the command does not begin its life
# deaf to an interrupt, as what a shell puts into the background does.
# A cancelled run interrupts the command alone, which passes it on: a second interrupt would cut the
# engine short.
command=
trap '[[ -n $command ]] || exit 130; kill -INT "$command" 2>/dev/null' INT TERM
set -m
keep_renewing &
renewing=$!
disown "$renewing" # Else the shell tells of its end.
"$@" &
command=$!
set +m

status=0
wait "$command" || status=$?
# A signal ends the wait, not the command.
while kill -0 "$command" 2>/dev/null; do
  status=0
  wait "$command" || status=$?
done
exit "$status"
