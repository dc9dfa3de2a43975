#!/usr/bin/env bash
# Put a report into a pull request, in place of the one that the same stack had before:
#   comment.sh STACK FILE
#   GITHUB_REPOSITORY   owner/name
#   PULL_REQUEST        its number
#   GH_TOKEN            may write to pull requests; by hand `gh auth login` does
set -euo pipefail

if [[ $# -ne 2 ]]; then
  echo "usage: comment.sh STACK FILE" >&2
  exit 2
fi
stack=$1 file=$2
: "${GITHUB_REPOSITORY:?say which repository: owner/name}"
: "${PULL_REQUEST:?say which pull request: its number}"

marker="<!-- preview: $stack -->"
body=$(mktemp)
trap 'rm -f "$body"' EXIT
{
  echo "$marker"
  if [[ -s $file ]]; then
    cat "$file"
  else
    printf '### Preview of %s\n\n**Failed** before there was anything to show: look into the log.\n' "$stack"
  fi
  if [[ -n ${GITHUB_RUN_ID:-} ]]; then
    printf '\n[The run](%s/%s/actions/runs/%s)\n' \
      "${GITHUB_SERVER_URL:-https://github.com}" "$GITHUB_REPOSITORY" "$GITHUB_RUN_ID"
  fi
} >"$body"

# Only a comment that a workflow wrote: whoever quotes the marker keeps the comment.
filter="[.[] | select(.user.type == \"Bot\") | select(.body | startswith(\"$marker\")) | .id] | first // empty"
comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
# Ids of all pages first, then one of them: a reader that stops early would break the pipe.
ids=$(gh api --paginate "$comments?per_page=100" --jq "$filter")
read -r id <<<"$ids" || true
if [[ -n $id ]]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" --field "body=@$body" --silent
else
  gh api --method POST "$comments" --field "body=@$body" --silent
fi
