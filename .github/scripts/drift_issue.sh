#!/usr/bin/env bash
# Keep one open issue for as long as the cloud does not match the program:
#   drift_issue.sh drifted|clean|unknown FILE
# drifted opens it or writes FILE into it; clean closes it; unknown leaves it as it is.
#   GITHUB_REPOSITORY   owner/name
#   GH_TOKEN            may write issues; by hand `gh auth login` does
set -euo pipefail

if [[ $# -ne 2 ]]; then
  echo "usage: drift_issue.sh drifted|clean|unknown FILE" >&2
  exit 2
fi
state=$1 file=$2
: "${GITHUB_REPOSITORY:?say which repository: owner/name}"
label=drift
repo=(--repo "$GITHUB_REPOSITORY")

number=$(gh issue list "${repo[@]}" --label "$label" --state open --limit 1 --json number \
  --jq '.[0].number // empty')
run="${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY/actions/runs/${GITHUB_RUN_ID:-}"

case $state in
  drifted)
    body=$(mktemp)
    trap 'rm -f "$body"' EXIT
    {
      cat <<'END'
A preview with refresh finds differences between the cloud, the state and the program on main.
"Changed in the cloud itself" is what somebody did by hand; a plan without it is what main asks for and
nobody has applied yet. Either apply main (workflow `deploy`), or bring the program in line.

END
      cat "$file"
      printf '\nSeen by %s\n' "$run"
    } >"$body"
    if [[ -n $number ]]; then
      gh issue edit "$number" "${repo[@]}" --body-file "$body"
    else
      gh label create "$label" "${repo[@]}" --color D93F0B --force \
        --description "The cloud does not match the program"
      gh issue create "${repo[@]}" --label "$label" --body-file "$body" \
        --title "The cloud no longer matches the program"
    fi
    ;;
  clean)
    if [[ -n $number ]]; then
      gh issue close "$number" "${repo[@]}" --comment "Cloud and program match again: $run"
    fi
    ;;
  unknown)
    echo "a stack could not be looked at: the issue, if there is one, stays as it is"
    ;;
  *)
    echo "error: no state $state: use drifted, clean, unknown" >&2
    exit 2
    ;;
esac
