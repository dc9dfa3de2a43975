#!/usr/bin/env bash
# Refuse to go on where an environment of the repository does not hold back what it should:
#   require_approval.sh ENVIRONMENT
# GitHub makes an environment that is not there when a job first names it, without any rule: then
# nobody would be asked, and from every branch. So it is looked at before the job that names it.
#   GITHUB_REPOSITORY   owner/name
#   GH_TOKEN            may read; by hand `gh auth login` does
set -euo pipefail

if [[ $# -ne 1 ]]; then
  echo "usage: require_approval.sh ENVIRONMENT" >&2
  exit 2
fi
environment=$1
: "${GITHUB_REPOSITORY:?say which repository: owner/name}"
settings="https://github.com/$GITHUB_REPOSITORY/settings/environments"

rules=$(gh api "repos/$GITHUB_REPOSITORY/environments/$environment" --jq \
  '[([.protection_rules[]? | select(.type == "required_reviewers")] | length), .deployment_branch_policy != null] | @tsv') || {
  echo "error: there is no environment $environment, or it cannot be read: make it, with required" \
    "reviewers and for the branch main alone ($settings)" >&2
  exit 1
}
read -r reviewers branches <<<"$rules"
if [[ $reviewers == 0 ]]; then
  echo "error: the environment $environment asks nobody: give it required reviewers ($settings)" >&2
  exit 1
fi
if [[ $branches != true ]]; then
  echo "error: the environment $environment is open to every branch: allow main alone ($settings)" >&2
  exit 1
fi
