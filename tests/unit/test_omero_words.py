"""The parts of the OMERO importer that need no server: keys, checksums, and how failures are sorted."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("omero")

import Glacier2
import Ice
import omero
import omero.clients
import omero.cmd

from dropwatch.errors import OperatorError, PermanentError, TemporaryError, Unavailable
from dropwatch.importers import omero_keys, omero_queries, reading
from dropwatch.importers.omero_checksums import ALGORITHMS, choose
from dropwatch.importers.omero_errors import sort_connecting, sort_talking
from dropwatch.importers.omero_refusals import sort_refusal
from dropwatch.model import FileFact, Fileset

BATCH = "20261124-140355-k3f9"
KEY = "5f0e8a5e-3d7c-4f7e-9f5a-0123456789ab"
FILESET = Fileset("f1", (FileFact("a.czi", 10, 0),))


# -- what is written about it ------------------------------------------------------------------------------


def test_every_question_is_traced_to_the_servers_source() -> None:
    page = (Path(__file__).parents[2] / "docs" / "omero.md").read_text(encoding="utf-8")
    questions = [name for name, value in vars(omero_queries).items() if str(value).startswith("select ")]

    assert len(questions) > 10
    assert [name for name in questions if f"`{name}`" not in page] == []


# -- keys --------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_every_name_passes_and_can_be_read_back(name: bytes) -> None:
    text = os.fsdecode(name)
    safe = omero_keys.safe_name(text)

    assert safe.encode("utf-8")  # Ice carries it
    assert not set('"*/:<>?\\|') & set(safe) and min(map(ord, safe)) >= 0x20
    assert unquote_to_bytes(safe) == name


def test_ordinary_names_stay_as_they_are() -> None:
    for name in (
        "a.czi",
        "Übung 3 (2).ome.tif",
        "100% sure.tif",
        "consul.tif",
        "ﬁ µ 日本.tif",
        ".hidden",
        "-x",
    ):
        assert omero_keys.safe_name(name) == name
        assert omero_keys.image_name(f"run/{name}") is None


def test_names_that_windows_reserves_are_escaped() -> None:
    names = ["CON", "con.tif", "LPT1.x", "$MFT", "AUX", "clock$"]

    assert [omero_keys.safe_name(name)[0] for name in names] == ["%"] * len(names)


def test_key_gives_its_fileset_back() -> None:
    path = omero_keys.client_path(BATCH, "f1", "run 1/a.czi")

    assert path == f"dropwatch/{BATCH}/f1/run 1/a.czi"
    assert omero_keys.fileset_of(path) == "f1"
    assert omero_keys.fileset_of("home/alice/a.czi") == ""


@pytest.mark.parametrize(
    ("batch", "fileset"), [("%", None), (BATCH + "/x", None), (BATCH, "f%"), (BATCH, "")]
)
def test_no_wildcard_gets_into_a_pattern(batch: str, fileset: str | None) -> None:
    with pytest.raises(PermanentError):
        omero_keys.pattern(batch, fileset)


# -- checksums ---------------------------------------------------------------------------------------------


def test_checksums_are_spelled_as_omero_spells_them() -> None:
    # The vectors of omero-common's own tests, for "abc".
    expected = {
        "SHA1-160": "a9993e364706816aba3e25717850c26c9cd0d89d",
        "MD5-128": "900150983cd24fb0d6963f7d28e17f72",
        "CRC-32": "c2412435",
        "Adler-32": "27014d02",
        "File-Size-64": "0300000000000000",
    }
    found = {}
    for name, make in ALGORITHMS.items():
        digest = make()
        digest.update(b"a")
        digest.update(b"bc")
        found[name] = digest.hexdigest()

    assert found == expected


def test_best_known_checksum_is_chosen() -> None:
    assert choose(["Murmur3-128", "MD5-128", "SHA1-160"]) == "SHA1-160"
    assert choose(["Murmur3-128", "Adler-32"]) == "Adler-32"
    assert choose(["Murmur3-128"]) is None


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "concerns"),
    [
        (Ice.ConnectionRefusedException(), Unavailable, "omero"),
        (Ice.DNSException(), Unavailable, "omero"),
        (Ice.ConnectTimeoutException(), Unavailable, "omero"),
        (Ice.NoEndpointException(), Unavailable, "omero"),
        (Ice.SecurityException(), Unavailable, "omero"),
        (omero.ClientError("Obtained null object prox"), Unavailable, "omero"),
        (omero.WrappedCreateSessionException("starting", True, 1000, "x"), Unavailable, "omero"),
        (Glacier2.PermissionDeniedException("Internal error. Please contact"), Unavailable, "omero"),
        (omero.ShutdownInProgress(), Unavailable, "omero"),
        (Glacier2.PermissionDeniedException(f"Password check failed for '{KEY}'"), OperatorError, "omero"),
        (omero.WrappedCreateSessionException("locked", False, -1, "x"), OperatorError, "omero"),
        (omero.ResourceError(message="disk"), OperatorError, "omero"),
    ],
)
def test_failures_to_connect(error: Exception, kind: type, concerns: str | None) -> None:
    sorted_ = sort_connecting(error, "omero.example.org")

    assert type(sorted_) is kind
    assert getattr(sorted_, "concerns", None) == concerns
    assert KEY not in sorted_.detail


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (Ice.ConnectionLostException(), TemporaryError, "connection-lost"),
        (Ice.InvocationTimeoutException(), TemporaryError, "connection-lost"),
        (Ice.CommunicatorDestroyedException(), TemporaryError, "connection-lost"),
        (Ice.ObjectNotExistException(Ice.Identity(KEY, ""), "", "write"), TemporaryError, "session-ended"),
        (omero.SessionTimeoutException(message=f"Session {KEY} exceeded"), TemporaryError, "session-ended"),
        (omero.RemovedSessionException(message=KEY), TemporaryError, "session-ended"),
        (Glacier2.SessionNotExistException(), TemporaryError, "session-ended"),
        (omero.TryAgain(), TemporaryError, "server-busy"),
        (omero.LockTimeout(), TemporaryError, "server-busy"),
        (omero.ChecksumValidationException(), TemporaryError, "checksum-differs"),
        (omero.InternalException(), TemporaryError, "server-error"),
        (Ice.UnknownException(), TemporaryError, "server-error"),
        (omero.CmdError(omero.cmd.ERR("c", "graph-fail", {"message": KEY})), TemporaryError, "server-error"),
        (omero.ResourceError(), OperatorError, "server-resource"),
        (omero.SecurityViolation(), PermanentError, "not-allowed"),
        (omero.ReadOnlyGroupSecurityViolation(), PermanentError, "not-allowed"),
        (omero.FilePathNamingException(), PermanentError, "file-name"),
        (omero.ValidationException(), PermanentError, "server-refused"),
        (omero.ApiUsageException(), PermanentError, "server-refused"),
    ],
)
def test_failures_in_an_open_session(error: Exception, kind: type, code: str) -> None:
    sorted_ = sort_talking(error, "a.czi was being imported")

    assert (type(sorted_), sorted_.code) == (kind, code)
    assert KEY not in sorted_.detail and sorted_.message.endswith(".")


@pytest.mark.parametrize(
    ("name", "trace", "kind", "words"),
    [
        ("import-unknown-format", "", PermanentError, "no reader knows this format"),
        ("import-missing-library", "", PermanentError, "lacks a library"),
        ("import-file-exception", "java.io.EOFException", PermanentError, "damaged"),
        ("error-on-init", "loci.formats.UnknownFormatException: x", PermanentError, "no reader knows"),
        ("error-on-init", "java.lang.NullPointerException\n at loci.formats.in.X", PermanentError, "damaged"),
        ("error-on-init", "java.lang.OutOfMemoryError\n at loci.formats.in.X", TemporaryError, "broke off"),
        ("import-request-failure", "org.hibernate.StaleStateException", TemporaryError, "broke off"),
        (
            "import-file-exception",
            "java.io.IOException: No space left on device",
            OperatorError,
            "disk space",
        ),
        ("cancel-called", "", TemporaryError, "broke off"),
        ("run-fail", "", TemporaryError, "broke off"),
    ],
)
def test_refusals_of_the_server(name: str, trace: str, kind: type, words: str) -> None:
    err = omero.cmd.ERR("::omero::grid::ImportRequest", name, {"message": KEY, "stacktrace": trace})
    error = pickle.loads(pickle.dumps(sort_refusal(err, FILESET, "last line", 42)))

    assert type(error) is kind
    assert words in error.message and "a.czi" in error.message
    assert error.log == 42
    assert "last line" in error.detail and KEY not in error.detail


@pytest.mark.parametrize(
    ("name", "trace", "code"),
    [
        ("import-missing-library", "", "import-missing-library"),
        ("error-on-init", "loci.formats.UnknownFormatException: x", "import-unknown-format"),
        ("error-on-init", "java.lang.NullPointerException\n at loci.formats.in.X", "import-file-exception"),
        ("error-on-init", "java.lang.OutOfMemoryError\n at loci.formats.in.X", "error-on-init"),
        ("cancel-called", "", "cancel-called"),
    ],
)
def test_bad_file_has_one_code_whichever_step_met_it(name: str, trace: str, code: str) -> None:
    err = omero.cmd.ERR("::omero::grid::ImportRequest", name, {"message": "", "stacktrace": trace})
    error = sort_refusal(err, FILESET, "", None)

    assert error.code == code
    assert f"omero.cmd.ERR {name}" in error.detail


# -- files, where they cannot be opened step by step -------------------------------------------------------


def test_whole_path_is_checked_where_steps_cannot_be(tmp_path: Path) -> None:
    folder, outside = tmp_path / "batch", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "a").write_bytes(b"a")
    (outside / "s").write_bytes(b"s")
    (folder / "link").symlink_to(outside / "s")
    (folder / "below").symlink_to(outside)
    os.close(reading.open_checked(str(folder), ["a"]))

    for parts in (["link"], ["below", "s"], [str(outside), "s"]):
        with pytest.raises(PermanentError):
            reading.open_checked(str(folder), parts)
