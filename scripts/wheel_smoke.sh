#!/usr/bin/env bash
# Build the wheel as a user's pip would, install it where nothing else is, and use it.
set -euo pipefail

readonly work="build/wheel-smoke"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)"
readonly version

rm -rf "$work"
mkdir -p "$work"
SECONDS=0
scripts/quietly.sh "building the wheel" python -m pip wheel . --no-deps --wheel-dir "$work/dist"
echo "wheel built in $SECONDS s: $(du -h "$work"/dist/*.whl | cut -f1)"
scripts/make_venv.sh "$work/venv"
scripts/quietly.sh "installing the wheel and its dependencies" "$work/venv/bin/python" -m pip install "$work"/dist/*.whl

# From another folder, so that nothing of the source tree can be imported by chance.
bin="$PWD/$work/venv/bin"
cd "$work"
"$bin/python" - "$version" <<'PYTHON'
import sys

import esker
import esker.kernel

assert esker.__version__ == sys.argv[1], f"the wheel says {esker.__version__}, pyproject.toml {sys.argv[1]}"
from importlib.resources import files

page = files("esker.ui") / "page"
for name in ("page.html", "page.js", "page.css", "icon.svg", "uplot/uplot.js", "uplot/uplot.css", "uplot/LICENSE"):
    assert (page / name).is_file(), f"the wheel has no esker/ui/page/{name}"
assert "site-packages" in esker.__file__, f"imported from {esker.__file__}"
PYTHON
"$bin/esker" --help >/dev/null
echo "wheel works: esker $version imports and esker --help answers"
