#!/usr/bin/env bash
# Preview a stack without any account, as a pull request from a fork gets it:
#   preview_offline.sh STACK
set -euo pipefail

if [[ $# -ne 1 ]]; then
  echo "usage: preview_offline.sh STACK" >&2
  exit 2
fi
cd "$(dirname "$0")/../.."
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
status=0
make preview "STACK=$1" 2>&1 | tee "$printed" || status=$?
if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then
  {
    printf '### Preview of %s, without an account\n\n' "$1"
    if [[ $status -ne 0 ]]; then
      printf '**Failed.**\n\n'
    fi
    # Indented, not fenced: no line of it can end the block. A summary takes 1 MiB.
    head --bytes 500000 "$printed" | sed 's/^/    /'
    echo
  } >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
