#!/usr/bin/env bash
# Print where the machine's own cmake is, or nothing when there is none that is new enough (3.20).
set -euo pipefail

found="$(command -v cmake || true)"
[[ -n "$found" ]] || exit 0
# A cmake inside a virtual environment comes and goes with it: not the machine's own.
[[ ! -e "$(dirname "$found")/../pyvenv.cfg" ]] || exit 0
version="$("$found" --version 2>/dev/null | head -1 | grep -oE '[0-9]+\.[0-9]+' | head -1 || true)"
[[ "$(printf '3.20\n%s\n' "${version:-0}" | sort -V | head -1)" == "3.20" ]] || exit 0
echo "$found"
