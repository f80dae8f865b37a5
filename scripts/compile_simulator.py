"""Compile the simulator and the machines that it drives with mypyc, from the sources as they are.

python scripts/compile_simulator.py FOLDER    (make simulate does)

FOLDER/lib gets a copy of the modules that a simulated run imports, and beside the copies what was compiled of them.
Nothing of it is ever in a wheel or in src. Before FOLDER/lib/.same is written, both are asked for the digest of some
traced runs: what was compiled does the same as plain Python, event by event, or it is not used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parent.parent / "src"

# Of these 48 every placement, fault and planner, torn bytes and forgotten sessions are seen.
DIGESTED_SEEDS = "48"

# Left as they are: files, the program, and placements, which are made without constructors as no compiled class is.
PLAIN = ("esker.cluster.log_file", "esker.cluster.placement", "esker.cluster.simulation.__main__")

# Names what a run imports; the variants of families are imported when they are asked for.
IMPORTED = """\
import sys
from esker.cluster.placements import PLACEMENTS
from esker.cluster.planners import PLANNERS
from esker.cluster.simulation import __main__
list(PLACEMENTS.values()), list(PLANNERS.values())
for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] == "esker":
        print(name, module.__file__)
"""

# No site-packages: through them the type checker would follow what is not copied back into src.
CONFIGURATION = """\
[mypy]
ignore_missing_imports = True
no_site_packages = True
follow_imports = silent
"""

# At -O2 the compiler takes half as long again, and runs are no faster that could be measured.
OPTIMIZATION = "1"


def main(folder: Path) -> int:
    """Copy, compile, compare; returns the exit code."""
    library, build = folder / "lib", folder / "c"
    (library / ".same").unlink(missing_ok=True)
    shutil.rmtree(library / "esker", ignore_errors=True)
    for directory in (library, build):
        directory.mkdir(parents=True, exist_ok=True)
    for extension in translated(copied(library), library, build):
        linked(extension, library, build)
    plain, compiled = digest(SOURCES), digest(library)
    if plain != compiled:
        print(f"what was compiled differs from plain Python:\n{compiled}{plain}", file=sys.stderr)
        return 1
    (library / ".same").write_text(compiled, encoding="utf-8")
    return 0


def copied(library: Path) -> list[str]:
    """Copy the modules that a run imports; gives the paths, below `library`, of those to compile."""
    paths = []
    for line in python(SOURCES, "-c", IMPORTED).splitlines():
        name, _, source = line.partition(" ")
        path = Path(source).relative_to(SOURCES)
        (library / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, library / path)
        if name.startswith("esker.cluster.") and not name.startswith(PLAIN) and path.name != "__init__.py":
            paths.append(str(path))
    return paths


def translated(paths: list[str], library: Path, build: Path) -> list[Any]:
    """Translate to C; gives setuptools' descriptions of what is to be compiled."""
    from mypyc.build import mypycify

    os.chdir(library)
    Path("mypy.ini").write_text(CONFIGURATION, encoding="utf-8")
    return list(
        mypycify(
            ["--config-file=mypy.ini", f"--cache-dir={build / 'mypy'}", *paths],
            opt_level=OPTIMIZATION,
            debug_level="0",
            multi_file=True,
            group_name="simulate",
            target_dir=str(build),
        )
    )


def linked(extension: Any, library: Path, build: Path) -> None:
    """Compile the sources of an extension, as many at a time as there are cores, and link them.

    The compiler is the kernel's, told that this is C; through ccache, where there is one.
    """
    compiler = os.environ.get("CXX") or "g++"
    cache = [found] if (found := shutil.which("ccache")) else []
    folders = [*extension.include_dirs, sysconfig.get_path("include")]
    flags = ["-fPIC", "-fwrapv", "-DNDEBUG", *extension.extra_compile_args, *(f"-I{one}" for one in folders)]
    sources = sorted((Path(source) for source in extension.sources), key=lambda path: -path.stat().st_size)
    objects = [build / "o" / f"{extension.name}-{source.stem}.o" for source in sources]
    (build / "o").mkdir(exist_ok=True)

    def compile_one(source: Path, target: Path) -> None:
        subprocess.run([*cache, compiler, *flags, "-x", "c", "-c", str(source), "-o", str(target)], check=True)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(compile_one, sources, objects))
    target = library / (extension.name.replace(".", "/") + sysconfig.get_config_var("EXT_SUFFIX"))
    subprocess.run([compiler, "-shared", *map(str, objects), "-o", str(target)], check=True)


def digest(library: Path) -> str:
    """Give what the simulator, as it is in a folder, says of some traced runs."""
    return python(library, "-m", "esker.cluster.simulation", "--digest", DIGESTED_SEEDS)


def python(library: Path, *arguments: str) -> str:
    """Run Python on the modules of a folder; without hooks of site-packages (-S), which would lead to src."""
    folders = [str(library), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
