#!/usr/bin/env bash
# Run a command with one line on the screen; when it fails, show everything it said.
#
#   scripts/quietly.sh "what is done" COMMAND ARGUMENT...
set -uo pipefail

readonly what="$1"
shift
log="$(mktemp)" || exit 1
readonly log
trap 'rm -f "$log"' EXIT

printf '%s ...\n' "$what"
"$@" >"$log" 2>&1
code=$?
if ((code != 0)); then
    cat "$log" >&2
    printf 'error: %s failed (exit %d): %s\n' "$what" "$code" "$*" >&2
fi
exit "$code"
