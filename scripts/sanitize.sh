#!/usr/bin/env bash
# Build and run the C++ tests, which know no Python, under a sanitizer, in a build folder of its own.
#
#   scripts/sanitize.sh address,undefined|thread [JOBS]
#
# ESKER_TESTS=name runs only tests whose names have this in them.
set -euo pipefail

readonly sanitizers="${1:?usage: sanitize.sh SANITIZERS [JOBS]}"
readonly jobs="${2:-2}"
readonly build="build/sanitize-${sanitizers//,/-}"

export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-second_deadlock_stack=1}"

# GCC's thread sanitizer does not know every address layout of newer Linux kernels; a fixed layout it knows.
launcher=()
if [[ "$sanitizers" == *thread* ]] && setarch -R true 2>/dev/null; then
    launcher=(setarch -R)
fi

cmake -S . -B "$build" -G Ninja -DESKER_BUILD_TESTS=ON "-DESKER_SANITIZE=$sanitizers"
cmake --build "$build" --parallel "$jobs"
"${launcher[@]}" ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel "$jobs" --tests-regex "${ESKER_TESTS:-.}"
