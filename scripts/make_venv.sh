#!/usr/bin/env bash
# Make a virtual environment with pip in it, on any machine that has Python 3.11 and pip in one form or another.
#
#   scripts/make_venv.sh FOLDER         PYTHON=... names the interpreter; otherwise the first new enough one is taken
#
# Debian and Ubuntu split `venv` into packages of their own, so there are three ways, tried in order:
#   1. python -m venv                   needs ensurepip (python3-venv)
#   2. python -m venv --without-pip     then the machine's own pip puts pip into it (pip --python, since 22.3)
#   3. virtualenv                       fetched with pip into a private folder; nothing is installed on the machine
set -euo pipefail

readonly oldest="3.11"
readonly folder="${1:?usage: make_venv.sh FOLDER}"

fail() {
    printf 'error: %s\n' "$1" >&2
    (($# == 1)) || printf '       %s\n' "${@:2}" >&2
    exit 1
}

new_enough() {
    "$1" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$oldest'.split('.'))))" 2>/dev/null
}

choose_python() {
    if [[ -n "${PYTHON:-}" ]]; then
        command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON is not there"
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1); Esker needs Python $oldest or newer"
        echo "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python $oldest or newer (python3 is $(python3 --version 2>/dev/null || echo missing))" \
        "install one (Debian, Ubuntu: apt install python3 python3-dev python3-pip), or name it: make PYTHON=/path/to/python"
}

works() {
    "$folder/bin/python" -m pip --version >/dev/null 2>&1
}

python="$(choose_python)"
log="$(mktemp)"
readonly python log
trap 'rm -f "$log"' EXIT

with_ensurepip() { "$python" -m venv --clear "$folder"; }
with_own_pip() { "$python" -m venv --clear --without-pip "$folder" && "$python" -m pip --python "$folder/bin/python" install pip; }
with_virtualenv() {
    local private="$folder.virtualenv"
    "$python" -m pip install --target "$private" virtualenv &&
        PYTHONPATH="$private" "$python" -m virtualenv --clear "$folder" && rm -rf "$private"
}

for way in with_ensurepip with_own_pip with_virtualenv; do
    echo "--- $way" >>"$log"
    if $way >>"$log" 2>&1 && works; then
        exit 0
    fi
done
rm -rf "$folder" "$folder.virtualenv"
cat "$log" >&2
fail "no virtual environment could be made with $("$python" --version 2>&1)" \
    "Debian, Ubuntu: apt install python3-venv (or python3-pip)"
