"""SECURITY.md is true: the tests that it names exist, and its table of permissions is what is made."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from test_privacy import ALICE, DAEMON, LETTER, outbox_in

from dropwatch.ledger import Ledger
from dropwatch.model import Place
from dropwatch.pipeline.addresses import Addresses
from dropwatch.record import Record
from dropwatch.spool.folders import MEMORY, Spool
from dropwatch.spool.permissions import add_user, find_setfacl
from dropwatch.spool.presence import write_heartbeat
from dropwatch.spool.reports import write_report
from dropwatch.web.sessions import Sessions

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = re.findall(r"`((?:unit|contract|crash|faults|browser)/\w+\.py)::(\w+)`", TEXT)


@cache
def names_in(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_it_names_is_there() -> None:
    missing = [f"{file}::{name}" for file, name in NAMED if name not in names_in(ROOT / "tests" / file)]

    assert len(NAMED) > 50
    assert missing == []
    assert TEXT.count("::") == len(NAMED) + 1 + TEXT.count("o::---"), "each is written as `path::name`"


def test_every_claim_of_a_table_names_its_test() -> None:
    about = TEXT.partition("cannot\n")[2]
    rows = [line for line in about.splitlines() if line.startswith("| ") and not line.startswith("| |")]

    assert len(rows) > 14
    assert [row for row in rows[1:] if "::" not in row] == []


# -- the table of permissions --------------------------------------------------------------------------------


def table() -> Iterator[tuple[str, str, str, str]]:
    """Path, owner, mode and ACL of each row that is made by us."""
    for line in TEXT.partition("| Path | Owner |")[2].splitlines()[2:]:
        if not line.startswith("|"):
            return
        path, owner, mode, acl, made = (cell.strip() for cell in line.strip("|").split("|"))
        if made != "the admin":
            yield path.strip("`"), owner, mode, acl


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
@pytest.mark.skipif(
    find_setfacl() is None or getattr(os, "geteuid", int)() != 0, reason="needs root and setfacl"
)
def test_the_table_of_permissions_is_what_is_made(tmp_path: Path) -> None:
    before = os.umask(0o002)  # that of the unit
    try:
        places = made_in(tmp_path)
    finally:
        os.umask(before)
    rows = list(table())

    assert len(rows) == 18
    for path, owner, mode, acl in rows:
        real = Path(re.sub("|".join(places), lambda found: places[found[0]], path))
        info = real.stat()
        assert owner == "dropwatch"
        assert f"{stat.S_IMODE(info.st_mode):04o}" == mode, real
        if path.startswith("SPOOL") and "ENVELOPE" not in path:
            assert (info.st_uid, info.st_gid) == (DAEMON.uid, DAEMON.gid), real
        assert granted(real, acl), (real, acl)


def made_in(folder: Path) -> dict[str, str]:
    """A spool with a batch under way, and a state folder; what the words of the table stand for."""
    spool, state = folder / "spool", folder / "state"
    state.mkdir(mode=0o700)
    add_user(spool, "alice", owner=DAEMON, person=ALICE, setfacl=find_setfacl())
    claim = "20261124-140355-k3f9"
    envelope = Spool(spool).make_envelope("alice", claim, "run", "run")
    Ledger(MEMORY).write(envelope.path, Record(claim, claim, "alice", "run", "run", 1.0))
    write_report(envelope.path, "words", durably=False)
    outbox_in(state).post(LETTER)
    Addresses(state / "addresses.json").learn("alice", "alice@example.org")
    write_heartbeat(state, {})
    Sessions(state / "web", time.time).begin("alice", admin=False)
    assert envelope.place is Place.PROCESSING
    return {
        "SPOOL": str(spool),
        "STATE": str(state),
        "USER": "alice",
        "ENVELOPE": envelope.path.name,
        "LETTER": "id.json",
    }


def granted(path: Path, told: str) -> bool:
    """Whether the ACL of *path* names those who are *told*, and nobody else."""
    said = subprocess.run(["getfacl", "-cpnE", str(path)], capture_output=True, text=True, check=True).stdout
    short = said.replace("default:", "default ").replace("user:", "u:").replace("other:", "o:")
    named = {line for line in short.splitlines() if re.match(r"(default )?u:\d", line)}
    if told == "inherited":
        both = {f"u:{uid}:rwx" for uid in (ALICE.uid, DAEMON.uid)}
        return named == both | ({f"default {entry}" for entry in both} if path.is_dir() else set())
    words = told.replace("`", "").replace("USER", str(ALICE.uid)).replace("dropwatch", str(DAEMON.uid))
    wanted = {entry.strip() for entry in words.split(",") if entry.strip()}
    return named <= wanted <= set(short.splitlines())
