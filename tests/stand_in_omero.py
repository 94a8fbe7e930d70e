"""Puts the stand-ins for `omero` and `java` where a test wants them, to be run by the Python that runs the test."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dropwatch.importers.omero_cli_program import Program

HERE = Path(__file__).parent / "stand_ins"


def stand_in(
    folder: Path, *arguments: str, trouble: str = "", real_python: bool = False, **more: str
) -> Program:
    """A Program below *folder*. trouble -- see stand_ins/omero and java; more -- environment variables"""
    programs, jars, temporary = folder / "bin", folder / "jars", folder / "rooms"
    for place in (programs, jars, temporary):
        place.mkdir(parents=True, exist_ok=True)
    (jars / "omero-blitz.jar").touch()
    for name in ("omero", "java"):
        program = programs / name
        program.write_text(f"#!{sys.executable}\nimport runpy, sys\nsys.argv[0] = {str(program)!r}\n"
                           f"runpy.run_path({str(HERE / name)!r}, run_name='__main__')\n")  # fmt: skip
        program.chmod(0o755)
    environ: Mapping[str, str] = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "STAND_IN_OMERO": trouble,
        "STAND_IN_PYTHON": "real" if real_python else "",
        **more,
    }
    return Program("omero", jars, arguments, environ, temporary)
