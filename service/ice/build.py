"""Builds the wheel of zeroc-ice 3.6.5 for the Python that runs this, and mends what newer Pythons miss.

Standard library and pip only: it runs before anything is installed. ``.ci/setup`` calls it; by hand,
``python service/ice/build.py DIRECTORY`` leaves the wheel in DIRECTORY. It compiles for three to four minutes
on one core, for two on two.

The mends: ``ice_compat.h`` and ``eval.h`` beside this file come in through the compiler's flags; ``Ice.py``
makes its modules with ``types``, because Python 3.12 has no ``imp``; and ``setup.py`` compiles several files at
once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

SOURCE = "zeroc-ice==3.6.5"
HERE = Path(__file__).resolve().parent

IMPORT_IMP = "import sys, string, imp, os,"
USE_IMP = "imp.new_module("

# Goes in front of setup.py. setuptools hands all 300 files to one call of compile(): hand it over in pieces.
SEVERAL_AT_ONCE = """
import os
from concurrent.futures import ThreadPoolExecutor
import setuptools
from distutils.ccompiler import CCompiler

def compile_several(self, sources, *args, all_of=CCompiler.compile, **options):
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        pieces = pool.map(lambda source: all_of(self, [source], *args, **options), sources)
        return [compiled for piece in pieces for compiled in piece]

if hasattr(os, "sched_getaffinity"):
    CCompiler.compile = compile_several
"""


def main() -> int:
    """Build into the directory named on the command line. Exit code 1 when pip or the compiler fails."""
    into = Path(sys.argv[1]).resolve()
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dropwatch-ice-") as scratch:
        try:
            source = unpacked(Path(scratch))
            mend(source)
            wheel = built(source, Path(scratch) / "wheel")
        except subprocess.CalledProcessError as failed:
            print(f"zeroc-ice was not built: {failed.cmd[3]} ended with {failed.returncode}", file=sys.stderr)
            return 1
        # The cache may be on another file system: copy under a name that pip does not take, then rename.
        unfinished = into / f"{wheel.name}.{os.getpid()}"
        unfinished.write_bytes(wheel.read_bytes())
        unfinished.replace(into / wheel.name)
    print(into / wheel.name)
    return 0


def unpacked(scratch: Path) -> Path:
    """Fetch the source through pip, which knows the site's index and proxies, and unpack it."""
    pip("download", "--no-deps", "--no-binary", ":all:", "--dest", str(scratch), SOURCE)
    (archive,) = scratch.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        # Debian 12's own Python 3.11.2 has no filters yet.
        tar.extractall(scratch, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (folder,) = (path for path in scratch.iterdir() if path.is_dir())
    return folder


def mend(source: Path) -> None:
    ice = source / "lib" / "Ice.py"
    text = ice.read_text(encoding="utf-8")
    for old, new in ((IMPORT_IMP, "import sys, string, types, os,"), (USE_IMP, "types.ModuleType(")):
        if old not in text:
            raise SystemExit(f"zeroc-ice has changed: {old!r} is not in Ice.py; look at {__file__}")
        text = text.replace(old, new)
    ice.write_text(text, encoding="utf-8")
    setup = source / "setup.py"
    setup.write_text(SEVERAL_AT_ONCE + setup.read_text(encoding="utf-8"), encoding="utf-8")


def built(source: Path, into: Path) -> Path:
    flags = f'-I"{HERE}" -include "{HERE / "ice_compat.h"}" -w'
    environment = os.environ | {
        name: f"{os.environ.get(name, '')} {flags}" for name in ("CFLAGS", "CXXFLAGS")
    }
    # In a build environment of its own: Debian's venv has setuptools without its companion wheel.
    pip("wheel", "--use-pep517", "--no-deps", "--wheel-dir", str(into), str(source), environment=environment)
    (wheel,) = into.glob("*.whl")
    return wheel


def pip(*arguments: str, environment: dict[str, str] | None = None) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "-qq", "--disable-pip-version-check"]
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    sys.exit(main())
