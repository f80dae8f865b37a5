#!/usr/bin/env bash
# Say in one line what the machine lacks to build the kernel: a C++20 compiler and Python's headers.
#
#   scripts/check_toolchain.sh PYTHON CXX
set -euo pipefail

readonly python="${1:?usage: check_toolchain.sh PYTHON CXX}"
readonly compiler="${2:?usage: check_toolchain.sh PYTHON CXX}"

fail() {
    printf 'error: %s\n' "$1" >&2
    (($# == 1)) || printf '       %s\n' "${@:2}" >&2
    exit 1
}

command -v "$compiler" >/dev/null ||
    fail "no C++ compiler ($compiler is missing)" "Debian, Ubuntu: apt install g++; or name one: make CXX=/path/to/compiler"

# The library parts the kernel leans on, not only the flag: GCC 10 takes -std=c++20 and lacks half of them.
printf '#include <bit>\n#include <concepts>\n#include <span>\nstatic_assert(std::integral<int>);\nint main() { return std::popcount(0u); }\n' |
    "$compiler" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null ||
    fail "$("$compiler" --version | head -1) does not compile C++20" "GCC 11 or Clang 14 and newer do"

headers="$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')"
[[ -f "$headers/Python.h" ]] ||
    fail "Python's headers are missing ($("$python" --version) has no Python.h)" "Debian, Ubuntu: apt install python3-dev"
