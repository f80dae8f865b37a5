#!/usr/bin/env bash
# Run the Python tests of the layers that own a kernel against an extension built with address and undefined-behaviour
# sanitizers: what crosses the border is checked on both sides of it.
#
#   scripts/sanitize_python.sh [TEST...]
set -euo pipefail

readonly build="build/sanitize-python"
readonly stage="$PWD/$build/stage"
tests=("$@")
if ((${#tests[@]} == 0)); then
    for found in tests/unit/{kernel,shuffle,bitmap,engine/objects} tests/contract/test_{shuffle_strategies,encodings}.py; do
        [[ ! -e "$found" ]] || tests+=("$found")
    done
fi

runtime="$("${CXX:-g++}" -print-file-name=libasan.so)"
[[ "$runtime" == /* ]] || { echo "skipped: ${CXX:-g++} has no libasan.so to load into Python" && exit 0; }

# The sanitizer looks for the C++ runtime's __cxa_throw once, when it starts: before the extension would bring it.
runtime="$runtime $("${CXX:-g++}" -print-file-name=libstdc++.so)"

scripts/quietly.sh "configuring the extension with sanitizers" \
    cmake -S . -B "$build" -G Ninja -DESKER_SANITIZE=address,undefined "-DPython_EXECUTABLE=$(command -v python)"
scripts/quietly.sh "building the extension with sanitizers" cmake --build "$build" --parallel 2

# A tree of links to the sources with this extension in it; the editable install would find its own.
rm -rf "$stage"
mkdir -p "$stage"
cp --recursive --symbolic-link "$PWD/src/esker" "$stage/"
cp "$build"/_kernel*.so "$stage/esker/kernel/"
finder="$(python -c 'import sys; print(next(f.path for f in sys.meta_path if "esker.kernel._kernel" in getattr(f, "known_wheel_files", ())))')"

# The stub is made from the installed extension, in a process that would not find this one.
# Leaks are not looked for: the interpreter keeps much until its end. Arrow's own pools would hide an overrun.
SKBUILD_EDITABLE_SKIP="$finder" ARROW_DEFAULT_MEMORY_POOL=system LD_PRELOAD="$runtime" \
    ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0:detect_stack_use_after_return=1}" \
    UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}" \
    python -m pytest --ignore tests/unit/kernel/test_stub.py -o "pythonpath=$stage ." --capture=sys -p no:cacheprovider "${tests[@]}"
