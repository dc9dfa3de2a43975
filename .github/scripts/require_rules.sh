#!/usr/bin/env bash
# Refuse to go on where an environment of the repository does not hold back what it should:
#   require_rules.sh APPROVED ENVIRONMENT …
# A job that names one of them may log in as the deployer, so each takes the branch main alone; APPROVED
# also has reviewers. GitHub makes an environment that is not there when a job first names it, without
# any rule: then nobody would be asked, and from every branch. So a job that names none looks first.
#   GITHUB_REPOSITORY   owner/name
#   GH_TOKEN            may read; by hand `gh auth login` does
set -euo pipefail

if [[ $# -eq 0 ]]; then
  echo "usage: require_rules.sh APPROVED ENVIRONMENT …" >&2
  exit 2
fi
approved=$1
: "${GITHUB_REPOSITORY:?say which repository: owner/name}"

fail() {
  echo "error: $* (https://github.com/$GITHUB_REPOSITORY/settings/environments)" >&2
  exit 1
}

for environment in "$@"; do
  address=repos/$GITHUB_REPOSITORY/environments/$environment
  rules=$(gh api "$address" --jq \
    '[([.protection_rules[]? | select(.type == "required_reviewers")] | length), .deployment_branch_policy.custom_branch_policies == true] | @tsv') ||
    fail "there is no environment $environment, or it cannot be read: make it, for the branch main" \
      "alone, and production with required reviewers"
  read -r reviewers selected <<<"$rules"
  if [[ $environment == "$approved" && $reviewers == 0 ]]; then
    fail "the environment $environment asks nobody: give it required reviewers"
  fi
  # Protected branches may be more than main, and so may a pattern; a tag can be called main.
  [[ $selected == true ]] ||
    fail "the environment $environment is not for selected branches: allow the branch main alone"
  allowed=$(gh api "$address/deployment-branch-policies" --jq \
    '[.branch_policies[]? | "\(.type // "branch") \(.name)"] | join(", ")') ||
    fail "the branches of the environment $environment cannot be read"
  [[ $allowed == "branch main" ]] ||
    fail "the environment $environment is open to ${allowed:-nothing}: allow the branch main alone"
done
