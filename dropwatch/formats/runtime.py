"""Starts Java in this process, once, and gives out its classes. The only module that imports JPype.

A JVM cannot be stopped and started again within a process; whoever wants a fresh one ends the process.
"""

from __future__ import annotations

import locale
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropwatch.errors import OperatorError
from dropwatch.formats.fence import workshop
from dropwatch.formats.installation import Installation

# One for the process, as the JVM is: two threads that both find it not started would both start it.
_starting = threading.Lock()


def start(installation: Installation, memory: int) -> None:
    """Make sure that Java runs in this process with *installation*.

    memory -- bytes that Java's heap may grow to; without meaning when it runs already

    Raises OperatorError when it does not start, or runs with another Bio-Formats already.
    """
    import jpype

    with _starting:
        if not jpype.isJVMStarted():
            try:
                with _unicode_names():
                    jpype.startJVM(
                        str(installation.libjvm),
                        *_options(installation, memory),
                        classpath=[str(jar) for jar in installation.jars],
                        convertStrings=False,
                    )
            except Exception as err:  # outermost guard: JPype raises whatever the start of a JVM comes to
                raise _does_not_start(installation, err) from err
            _silence()
            # At its end the process waits for whichever thread started Java, for ever if that one is gone by then. No
            # thread that Java meets later is waited for, so let it meet this one anew.
            jpype.java.lang.Thread.detach()
    _check_jars(installation)


@contextmanager
def _unicode_names() -> Iterator[None]:
    """Let Java take file names for UTF-8 also where a service manager starts us in the C locale.

    Java asks the environment while it starts, and only then; there is no option for it.
    """
    before = os.environ.get("LC_ALL")
    if sys.platform == "linux" and locale.nl_langinfo(locale.CODESET) != "UTF-8":
        os.environ["LC_ALL"] = "C.UTF-8"
    try:
        yield
    finally:
        if before is not None:
            os.environ["LC_ALL"] = before
        else:
            os.environ.pop("LC_ALL", None)


def _options(installation: Installation, memory: int) -> list[str]:
    options = [
        f"-Xmx{memory}",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
        f"-Djava.io.tmpdir={workshop()}",  # behind the fence there is no other place
        # A file may name others by http:// or s3://, and Bio-Formats would ask for them from inside our network. So
        # each connection goes to a port of this machine where nobody answers; an empty list: without exception.
        "-DsocksProxyHost=127.0.0.1",
        "-DsocksProxyPort=1",
        "-DsocksNonProxyHosts=",
        "-Dhttp.nonProxyHosts=",
        "-Dftp.nonProxyHosts=",
        # SIGINT, SIGTERM and SIGHUP stay Python's.
        "-Xrs",
        # A JVM that ran out of memory in one thread goes on half dead, and whatever it answers then is not to be
        # trusted. A worker that is dead is noticed, counted, and made anew.
        "-XX:+ExitOnOutOfMemoryError",
        # One file at a time and short lives: start small (80 MB less in memory after 290 files), one thread that
        # collects (200 MB less), the quick compiler only (30 MB less).
        f"-Xms{min(memory, 16 * 2**20)}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        # No file for tools that watch JVMs. When a library in it crashes: no core of a gigabyte, and the account of it
        # not in whatever folder we were started in.
        "-XX:-UsePerfData",
        "-XX:-CreateCoredumpOnCrash",
        f"-XX:ErrorFile={Path(tempfile.gettempdir(), 'dropwatch-java-%p.log')}",
    ]
    if _major(installation.java) >= 17:
        # For JPype's own library; without it, a warning on stderr.
        options.append("--enable-native-access=ALL-UNNAMED")
    if _major(installation.java) >= 23:
        # Likewise, for libraries inside Bio-Formats.
        options.append("--sun-misc-unsafe-memory-access=allow")
    return options


def _major(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isdigit() else 0


def _silence() -> None:
    """No logging below errors, and nothing on stdout and stderr, which belong to whoever runs the worker."""
    system, stream = java("java.lang.System"), java("java.io.OutputStream")
    sink = java("java.io.PrintStream")(stream.nullOutputStream())
    system.setOut(sink)
    system.setErr(sink)
    java("loci.common.DebugTools").setRootLevel("ERROR")


def _check_jars(installation: Installation) -> None:
    try:
        java("loci.formats.ImageReader")
    except TypeError as err:  # JPype's answer for a class that is not there
        raise _does_not_start(installation, err) from err
    running = str(java("java.lang.System").getProperty("java.class.path"))
    if any(str(jar) not in running for jar in installation.jars):
        raise OperatorError(
            "Java runs already in this process, with another Bio-Formats.",
            concerns="bioformats",
            remedy="Restart dropwatch.",
            detail=f"{running} instead of {', '.join(map(str, installation.jars))}",
        )


def _does_not_start(installation: Installation, err: Exception) -> OperatorError:
    return OperatorError(
        "Bio-Formats does not start.",
        concerns="bioformats",
        remedy=f"`dropwatch check` says what was found. It was tried with {installation}.",
        detail=f"{type(err).__name__}: {err}"[:2000],
        code="bioformats-start",
    )


def detach() -> None:
    """Let Java forget this thread, which ends."""
    import jpype

    jpype.java.lang.Thread.detach()


def java(name: str) -> Any:
    """The Java class *name*, once `start` was called."""
    import jpype

    return jpype.JClass(name)


def throwable() -> Any:
    """The type of whatever Java throws, for an ``except``."""
    return java("java.lang.Throwable")


def bytes_(length: int) -> Any:
    """A new array of Java's."""
    import jpype

    return jpype.JArray(jpype.JByte)(length)
