"""What `omero import` says, which arguments may be handed on to it, and what an end of it means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("omero")

from dropwatch.errors import (
    ConfigError,
    DropwatchError,
    OperatorError,
    PermanentError,
    TemporaryError,
    Unavailable,
)
from dropwatch.importers.omero_cli_arguments import refused
from dropwatch.importers.omero_cli_program import Program
from dropwatch.importers.omero_cli_verdict import Ended, doubts, sort
from dropwatch.importers.omero_cli_words import Heard, Summary
from dropwatch.model import FileFact, Fileset

SET = Fileset("f1", (FileFact("a.tif", 10, 0), FileFact("a.log", 1, 0)))
BEGAN = "FILESET_UPLOAD_PREPARATION\n"
LOG = "2026-11-24 10:32:28,895 321        [      main] INFO   orter.cli.LoggingImportMonitor - "
ERROR = "2026-11-24 10:32:28,895 321        [l.Client-0] ERROR  s.importer.cli.ErrorHandler - "

GOOD = f"""\
{LOG}FILESET_UPLOAD_PREPARATION
{LOG}FILESET_UPLOAD_START
{LOG}FILE_UPLOAD_STARTED: /tmp/room/dropwatch/b/f1/a.tif
{LOG}FILE_UPLOAD_COMPLETE: /tmp/room/dropwatch/b/f1/a.tif
{LOG}FILE_UPLOAD_STARTED: /tmp/room/dropwatch/b/f1/a.log
{LOG}FILE_UPLOAD_COMPLETE: /tmp/room/dropwatch/b/f1/a.log
{LOG}FILESET_UPLOAD_END
{LOG}IMPORT_STARTED Logfile: 152
{LOG}METADATA_IMPORTED Step: 1 of 5  Logfile: 152
{LOG}OBJECTS_RETURNED Step: 5 of 5  Logfile: 152
{LOG}IMPORT_DONE Imported file: /tmp/room/dropwatch/b/f1/a.tif
Imported objects:
---
- Fileset: 9
  Image: [5,6]

==> Summary
2 files uploaded, 1 fileset created, 2 images imported, 0 errors in 0:00:02.345
"""

REFUSED = f"""\
{LOG}FILESET_UPLOAD_PREPARATION
{LOG}IMPORT_STARTED Logfile: 152
{ERROR}INTERNAL_EXCEPTION: /tmp/room/dropwatch/b/f1/a.tif
java.lang.RuntimeException: Failure response on import!
Category: ::omero::grid::ImportRequest
Name: {{name}}
Parameters: {{{{stacktrace={{trace}}
\tat loci.formats.ImageReader.getReader(ImageReader.java:1), message=no}}}}

\tat ome.formats.importer.ImportLibrary$ImportCallback.onFinished(ImportLibrary.java:1)
\tat Ice.DispatchInterceptor.dispatch(DispatchInterceptor.java:1)
"""


def heard(text: str) -> Heard:
    made = Heard()
    for line in text.splitlines():
        made.hear(line)
    return made


def verdict(code: int, text: str, *, reachable: bool = True) -> DropwatchError:
    return sort(Ended(code, heard(text)), SET, "omero.example.org", lambda: reachable)


# -- what it says ----------------------------------------------------------------------------------------


def test_good_import_is_understood() -> None:
    said = heard(GOOD)

    assert said.filesets == [9]
    assert said.uploaded == {"/tmp/room/dropwatch/b/f1/a.tif", "/tmp/room/dropwatch/b/f1/a.log"}
    assert said.began and said.started and said.step == (5, 5) and said.log == 152
    assert said.summary == Summary(2, 1, 2, 0)
    assert said.complaint == [] and said.err == ""
    assert doubts(Ended(0, said), 9) == ""


def test_summary_as_older_clients_and_plates_have_it() -> None:
    said = heard(
        "63171 files uploaded, 1 fileset, 1 plate created, 384 images imported, 2 errors in 1:00:00.001"
    )

    assert said.summary == Summary(63171, 1, 384, 2)


def test_log_among_the_yaml_does_no_harm() -> None:
    said = heard(f"---\n{LOG}FILESET_UPLOAD_END\n- Fileset: 7\n{LOG}x\n  Plate: [1]\n---\n- Fileset: 8\n")

    assert said.filesets == [7, 8]


def test_names_of_files_are_no_events() -> None:
    said = heard(
        f"{LOG}FILE_UPLOAD_STARTED: /x/IMPORT_STARTED Logfile: 5.tif\n- Fileset: none\n  - Fileset: 3"
    )

    assert not said.started and said.log is None and said.filesets == []


@pytest.mark.parametrize(
    ("code", "change", "doubt"),
    [
        (2, ("", ""), "its exit code was 2"),
        (0, ("- Fileset: 9\n", ""), "it spoke of filesets []"),
        (0, ("- Fileset: 9\n", "- Fileset: 9\n---\n- Fileset: 10\n"), "it spoke of filesets [9, 10]"),
        (0, ("- Fileset: 9\n", "- Fileset: 11\n"), "it spoke of filesets [11]"),
        (0, ("0 errors", "1 error"), "it told of 1 errors"),
        (0, ("==> Summary\n2 files", "2 fish"), "it gave no summary"),
    ],
)
def test_end_that_is_not_as_it_should_be_is_doubted(code: int, change: tuple[str, str], doubt: str) -> None:
    assert doubt in doubts(Ended(code, heard(GOOD.replace(*change))), 9)


def test_same_fileset_said_twice_is_one() -> None:
    twice = GOOD.replace("---\n- Fileset: 9\n", "---\n- Fileset: 9\n---\n- Fileset: 9\n")

    assert doubts(Ended(0, heard(twice)), 9) == ""


def test_what_the_server_may_go_on_with() -> None:
    lines = GOOD.splitlines(keepends=True)
    until = [heard("".join(lines[:count])).may_go_on(2) for count in range(len(lines) + 1)]
    sent = next(
        number for number, line in enumerate(lines) if "COMPLETE: /tmp/room/dropwatch/b/f1/a.log" in line
    )

    assert until == [False] * (sent + 1) + [True] * (len(lines) - sent)
    assert not heard(REFUSED.format(name="import-unknown-format", trace="")).may_go_on(2)
    mismatch = "".join(lines[: sent + 2]) + f"{ERROR}Error on import\nomero.ChecksumValidationException: no\n"
    assert not heard(mismatch).may_go_on(2)


def test_complaint_is_kept_within_bounds() -> None:
    said = heard(
        f"{ERROR}FILE_EXCEPTION: x\n"
        + "\tat loci.formats.X\n" * 5000
        + "x" * 5000
        + "\nNo imports due to errors!\n"
    )

    assert len(said.complaint) == 80 and len(said.last) == 30
    assert max(map(len, said.last)) == 1000
    assert said.nothing == "due to errors!"
    assert len(Ended(0, said, "log " * 5000).detail) <= 2000


# -- what it means ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "trace", "kind", "code"),
    [
        (
            "import-unknown-format",
            "loci.formats.UnknownFormatException",
            PermanentError,
            "import-unknown-format",
        ),
        ("import-missing-library", "", PermanentError, "import-missing-library"),
        ("import-file-exception", "loci.formats.FormatException", PermanentError, "import-file-exception"),
        ("error-on-init", "loci.formats.FormatException: bad", PermanentError, "import-file-exception"),
        (
            "import-request-failure",
            "java.sql.SQLException: gone\n loci.formats",
            TemporaryError,
            "import-request-failure",
        ),
        ("import-request-failure", "No space left on device", OperatorError, "import-file-exception"),
    ],
)
def test_answers_of_the_server_are_sorted_as_those_to_the_native_importer(
    name: str, trace: str, kind: type[DropwatchError], code: str
) -> None:
    error = verdict(2, REFUSED.format(name=name, trace=trace))

    assert type(error) is kind and error.code == code
    assert vars(error)["log"] == 152 and name in error.detail


@pytest.mark.parametrize(
    ("code", "text", "kind", "stable"),
    [
        # what the client cannot read itself
        (0, f"{ERROR}FILE_EXCEPTION: x\nloci.formats.FormatException: bad\nNo imports due to errors!",
         PermanentError, "import-file-exception"),
        (0, f"{ERROR}FILE_EXCEPTION: x\njava.io.IOException: Stale file handle\nNo imports due to errors!",
         TemporaryError, "read-error"),
        (1, f"{ERROR}UNREADABLE_FILE: x\nNo imports found", TemporaryError, "read-error"),
        (0, f"{LOG}MISSING_LIBRARY: x\nNo imports due to errors!", PermanentError, "import-missing-library"),
        (1, "No imports found\n\n Usage:  importer-cli [OPTION]...", PermanentError, "import-unknown-format"),
        # before anything began
        (554 & 255, "Ice.ConnectionRefusedException: x isn't running", Unavailable, "omero-cli-unreached"),
        (555 & 255, "Ice.DNSException: bad host name: 'x'", Unavailable, "omero-cli-unreached"),
        (2, f"{ERROR}Error during import process.\nIce.ConnectionLostException: \n",
         Unavailable, "ConnectionLostException"),
        # in the middle
        (2, f"{LOG}{BEGAN}{ERROR}Error on import\nIce.ConnectionLostException: \n",
         TemporaryError, "connection-lost"),
        (2, f"{LOG}FILESET_UPLOAD_END\n{ERROR}Error on import\nomero.ChecksumValidationException: A checksum mismatch",
         TemporaryError, "checksum-differs"),
        (2, f"{LOG}{BEGAN}{ERROR}x\nomero.DatabaseBusyException: \n", TemporaryError, "server-busy"),
        (2, f"{LOG}{BEGAN}{ERROR}x\nomero.ResourceError: full\n", OperatorError, "server-resource"),
        (2, f"{LOG}{BEGAN}{ERROR}x\nomero.FilePathNamingException: \n", PermanentError, "file-name"),
        (2, f"{ERROR}Could not load target: 5\njava.lang.RuntimeException: Failed to load target\n"
            "\tat omero.api._IQueryDelM.get(x)\nCaused by: omero.SecurityViolation: no", PermanentError, "not-allowed"),
        (2, f"{ERROR}Cannot link to target\njava.lang.IllegalArgumentException: Cannot link to target",
         PermanentError, "not-allowed"),
        (2, f"{ERROR}Error on import\njava.lang.Exception: Import failure", TemporaryError, "omero-cli-nothing"),
        (0, "==> Summary\n63171 files uploaded, 0 filesets created, 0 images imported, 0 errors in 1:0:0.1",
         TemporaryError, "omero-cli-nothing"),
        (1, 'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space', TemporaryError, "java-memory"),
        (128 + 9, f"{LOG}{BEGAN}", TemporaryError, "omero-cli-died"),
        (256 - 11, f"{LOG}{BEGAN}", TemporaryError, "omero-cli-died"),
        # what only an admin can mend
        (1, "FATAL: Running omero as root can corrupt your directory permissions.", OperatorError, "omero-cli"),
        (103, "No JAR files found under '/opt'", OperatorError, "omero-cli"),
        (127, "omero: No such file or directory", OperatorError, "omero-cli"),
        (2, "usage: omero import [-h]\nomero import: error: unrecognized arguments: --x", OperatorError, "omero-cli"),
        (1, "Traceback (most recent call last):\nException: Java could not be found. (Executable=java)",
         OperatorError, "omero-cli"),
    ],
)  # fmt: skip
def test_ends_are_sorted_by_what_to_do(code: int, text: str, kind: type[DropwatchError], stable: str) -> None:
    error = verdict(code, text)

    assert (type(error), error.code) == (kind, stable)
    assert error.message.endswith(".") and f"exit code {code}" in error.detail
    assert error.remedy or not isinstance(error, OperatorError)


@pytest.mark.parametrize("code", [523 & 255, 524 & 255, 525 & 255, 556 & 255])
def test_refused_session_is_an_outage_only_when_we_cannot_use_it_either(code: int) -> None:
    said = "Bad session key. Cannot join <key> on omero.example.org."

    assert isinstance(verdict(code, said, reachable=False), Unavailable)
    assert isinstance(verdict(code, said, reachable=True), OperatorError)


# -- arguments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--skip", "upgrade", "--skip=minmax"],
        ["--parallel-upload", "4", "--checksum-algorithm=CRC-32"],
        ["--transfer=upload", "--transfer", "upload"],
        ["-l", "readers.txt", "--no-thumbnails", "--no_stats_info"],
        ["--annotation-ns", "x", "--annotation_text=y", "--debug", "ERROR"],
        ["--new-option=1", "--", "--keep-alive=60"],
    ],
)
def test_arguments_that_do_no_harm_are_handed_on(arguments: list[str]) -> None:
    assert refused(arguments) == []


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        *((f"--transfer={way}", "only upload") for way in ("ln", "ln_s", "ln_rm", "cp", "cp_rm", "upload_rm")),
        ("--transfer=org.example.Mine", "only upload is allowed"),
        ("--trans=ln_rm", "write options out"),
        ("-c", "exit code 0"),
        ("-cf", "exit code 0"),
        ("-f", "nothing is imported"),
        ("-d5", "batch.yaml says it"),
        ("-T", "batch.yaml says it"),
        ("--target=Dataset:5", "batch.yaml says it"),
        ("--tar=Dataset:5", "write options out"),
        ("--output=ids", "dropwatch sets it"),
        ("--file=x", "dropwatch sets it"),
        ("---errs=x", "dropwatch sets it"),
        ("-w", "never stands in arguments"),
        ("-k", "never stands in arguments"),
        ("--password=x", "never stands in arguments"),
        ("--sudo=root", "dropwatch logs in"),
        ("--bulk=x.yml", "which files are imported"),
        ("--exclude=clientpath", "failed import"),
        ("--report", "OME team"),
        ("--email=a@example.org", "OME team"),
        ("--minutes_wait=0", "no longer see"),
        ("--auto-close", "no longer see"),
        ("-n", "every image"),
        ("--name=x", "every image"),
        ("a.tif", "taken for a file"),
        ("-", "taken for a file"),
        ("--skip minmax", "two entries"),
        ("--clientdir=/opt", "omero-cli.clientdir"),
        ("--encrypted=true", "omero.secure"),
    ],
)  # fmt: skip
def test_arguments_that_would_do_harm_are_refused_with_the_reason(argument: str, why: str) -> None:
    (sentence,) = refused([argument])

    assert sentence.startswith(f"{argument}: ") and why in sentence


def test_everything_is_complained_about_at_once() -> None:
    program = Program("./omero", None, ("--transfer", "ln_s", "-c", "--skip", "all", "x.tif"), {})
    with pytest.raises(ConfigError) as caught:
        program.check()

    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        *["omero-cli.arguments"] * 3,
        *["importer"] * (os.name != "posix"),
        "omero-cli.command",
    ]
    assert "--transfer ln_s" in str(caught.value)


def test_logback_comes_along_with_the_jars_unless_another_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "logback-cli.xml").touch()
    with_ours = Program("omero", tmp_path, (), {}).line("-d", "5", path="/x/a.tif")
    with_theirs = Program("omero", tmp_path, ("--logback", "mine.xml"), {}).line(path="/x/a.tif")

    assert with_ours[1:] == [
        *("import", "-d", "5", "--clientdir", str(tmp_path)),
        *("--logback", str(tmp_path / "logback-cli.xml"), "/x/a.tif"),
    ]
    assert with_theirs.count("--logback") == 1 and with_theirs[-1] == "/x/a.tif"
