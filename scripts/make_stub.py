"""Write the stub of the C++ extension, src/esker/kernel/_kernel.pyi, from the extension itself.

python scripts/make_stub.py           write it
python scripts/make_stub.py --check   only say whether the committed one is fresh
"""

from __future__ import annotations

import sys
from pathlib import Path

from nanobind.stubgen import StubGen

from esker.kernel import _kernel

STUB = Path(__file__).resolve().parent.parent / "src" / "esker" / "kernel" / "_kernel.pyi"


def stub() -> str:
    """Give the text of the stub, as the built extension is."""
    generator = StubGen(_kernel, quiet=True)
    generator.put(_kernel)
    return _same_on_every_python(str(generator.get()))


def _same_on_every_python(text: str) -> str:
    """Import CapsuleType from where every Python's type checker knows it; from 3.13 on nanobind says `types`."""
    lines = [line for line in text.splitlines() if not line.endswith("import CapsuleType")]
    after = lines.index("from numpy.typing import NDArray") + 1
    return "\n".join([*lines[:after], "from typing_extensions import CapsuleType", *lines[after:]]) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit code."""
    fresh = stub()
    if "--check" not in arguments:
        STUB.write_text(fresh, encoding="utf-8")
        return 0
    if STUB.is_file() and STUB.read_text(encoding="utf-8") == fresh:
        return 0
    print(f"{STUB} is not what the extension says; run python scripts/make_stub.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
