"""A hundred thousand batches in done/ cost nothing, because nobody looks at them: neither events, sweeps nor polling.

Asked of the interpreter itself, which tells of each directory that is listed. What it costs: tests/bench/bench_idle.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.quiet import Quiet
from tests.world import wait_until

OLD = "20260101-120000-aaaa_old"

#: `dropwatch run`, by an interpreter that notes each directory it lists.
NOTED = """
import os, sys
notes = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def note(event, args):
    if event in ("os.scandir", "os.listdir"):
        os.write(notes, os.fsencode(str(args[0])) + b"\\n")
sys.addaudithook(note)
from dropwatch.cli import main
main()
"""


@pytest.mark.parametrize("watch", [pytest.param("events", marks=pytest.mark.long), "poll"])
def test_nobody_lists_done_or_failed(tmp_path: Path, watch: str) -> None:
    quiet = Quiet(tmp_path, {"spools": {"watch": watch, "poll": "200ms", "sweep": "500ms", "settle": "0"}})
    for place in ("done", "failed"):
        (quiet.place("alice", place) / OLD / "old").mkdir(parents=True)
    notes, log = tmp_path / "listed", tmp_path / "run.log"
    command = [sys.executable, "-c", NOTED, notes, "--config", quiet.config, "run"]
    with log.open("wb") as output:
        daemon = subprocess.Popen(command, stderr=output)
    try:
        (tmp_path / "a.xyz").write_bytes(b"no image")
        wait_until(notes.exists)
        (tmp_path / "a.xyz").rename(
            quiet.inbox("alice") / "a.xyz"
        )  # the whole life of a batch, and then rest
        wait_until(
            lambda: len(quiet.claimed("alice")) == 3 and not any(quiet.place("alice", "processing").iterdir())
        )
        before = len(notes.read_bytes().splitlines())
        wait_until(
            lambda: len(notes.read_bytes().splitlines()) > before + 20, what="it does not look any more"
        )
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)

    listed = [os.fsdecode(line) for line in notes.read_bytes().splitlines()]
    seen = {str(Path(path).relative_to(quiet.spool)) for path in listed if path.startswith(f"{quiet.spool}")}
    assert {"alice/inbox", "bob/inbox", "alice/processing"} <= seen
    assert not [path for path in seen if Path(path).parts[1:2] in (("done",), ("failed",))]
