"""How the bytes of a fileset come to OMERO: several files at a time, and through a network that breaks.

Between the importer and the server lies a relay that is cut or shut in the middle.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("omero")

from omero_site import completed, fails, filesets, open_below, rows, wait_until
from orders import Batch, run
from relay import Relay

from dropwatch.errors import Interrupted, TemporaryError
from dropwatch.importers.omero import OmeroImporter
from dropwatch.importers.omero_upload import AT_ONCE
from dropwatch.model import Fileset, Progress

pytestmark = pytest.mark.usefixtures("no_secret_in_logs")

BIG = 24_000_000  # bytes


@pytest.fixture
def relay(sandbox: Any) -> Iterator[Relay]:
    made = Relay(sandbox.server.omero_port)
    yield made
    made.shut()


@pytest.fixture
def importer(relay: Relay, connect: Callable[..., OmeroImporter]) -> OmeroImporter:
    return connect(port=relay.port)


def big_set(batch: Batch, others: int = 0, size: int = 50_000) -> Fileset:
    """A readable image with a big file beside it, and some others below folders of their own."""
    batch.image("a.ome.tif")
    names = ["big.bin", *(f"{number}/data.bin" for number in range(others))]
    for name in names:
        path = batch.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(hashlib.shake_128(name.encode()).digest(BIG if name == "big.bin" else size))
    return batch.fileset("a.ome.tif", *names)


def once(act: Callable[[], object]) -> Callable[[Progress], None]:
    """Progress that does something when it is called the first time."""
    told: list[Progress] = []

    def progress(now: Progress) -> None:
        told.append(now)
        if len(told) == 1:
            act()

    return progress


def arrived_whole(sandbox: Any, batch: Batch, fileset: Fileset) -> bool:
    """There is one fileset, imported, and every file is as it is here."""
    (line,) = completed(sandbox)
    here = [hashlib.sha1((batch.folder / fact.path).read_bytes()).hexdigest() for fact in fileset.files]
    return [file["sha1"] for file in line["files"]] == here and filesets(sandbox) == 1


# -- a connection that breaks --------------------------------------------------------------------------


def test_cut_connection_is_made_anew_and_the_upload_goes_on(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch)
    answers = importer.ask(batch.order, [fileset])
    before, joined = relay.up, relay.joined
    relay.cut_after(BIG // 2)
    imported = run(importer, batch, fileset, answers)

    assert imported.images and arrived_whole(sandbox, batch, fileset)
    assert relay.joined == joined + 1
    assert fileset.bytes < relay.up - before < fileset.bytes + 5_000_000


def test_files_that_were_not_begun_when_it_broke_are_sent_too(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch, others=30, size=300_000)
    answers = importer.ask(batch.order, [fileset])
    joined = relay.joined
    relay.cut_after(3_000_000, 4_000_000, 9_000_000)
    run(importer, batch, fileset, answers)

    assert arrived_whole(sandbox, batch, fileset)
    assert relay.joined > joined + 2


def test_cut_connection_is_made_anew_over_tls_too(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    relay = Relay(sandbox.server.omero_tls_port)
    importer = connect(port=relay.port, secure=True)
    fileset = big_set(batch, others=20)
    answers = importer.ask(batch.order, [fileset])
    relay.cut_after(3_000_000, 6_000_000, 6_000_000)
    run(importer, batch, fileset, answers)
    joined = relay.joined
    relay.shut()

    assert arrived_whole(sandbox, batch, fileset)
    assert joined > 4


def test_server_that_is_away_for_a_moment_is_waited_for(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch)
    answers = importer.ask(batch.order, [fileset])
    back = threading.Timer(1.0, relay.mend)

    def leave() -> None:
        relay.shut()
        back.start()

    run(importer, batch, fileset, answers, progress=once(leave))

    assert arrived_whole(sandbox, batch, fileset)


def test_lost_reply_to_the_closing_of_a_file_costs_nothing(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch)
    answers = importer.ask(batch.order, [fileset])
    before = relay.up
    sandbox.set_faults(lose_closed=1)
    run(importer, batch, fileset, answers)

    assert arrived_whole(sandbox, batch, fileset)
    assert relay.up - before < fileset.bytes + 5_000_000


def test_server_that_stays_away_is_given_up(
    sandbox: Any, relay: Relay, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    importer = connect(port=relay.port, reconnect=1.5)
    fileset = big_set(batch, others=5)
    answers = importer.ask(batch.order, [fileset])
    begun = time.monotonic()
    error = fails(TemporaryError, lambda: run(importer, batch, fileset, answers, progress=once(relay.shut)))
    took = time.monotonic() - begun
    relay.mend()
    answers = importer.ask(batch.order, [fileset])

    assert error.code == "connection-lost"
    assert 1.0 < took < 50  # by default it would wait for a minute
    assert answers.found == {} and filesets(sandbox) == 0

    run(importer, batch, fileset, answers)
    assert arrived_whole(sandbox, batch, fileset)


def test_stop_is_heard_while_the_server_is_away(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch, others=5)
    answers = importer.ask(batch.order, [fileset])
    stop = threading.Event()
    timer = threading.Timer(1.0, stop.set)

    def leave() -> None:
        relay.shut()
        timer.start()

    begun = time.monotonic()
    fails(
        Interrupted,
        lambda: run(importer, batch, fileset, answers, progress=once(leave), stopped=stop.is_set),
    )
    took = time.monotonic() - begun
    relay.mend()

    assert took < 50  # it would wait for a minute
    assert importer.ask(batch.order, [fileset]).found == {} and filesets(sandbox) == 0


def test_restarted_server_knows_the_session_no_more_and_is_not_waited_for(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch)
    answers = importer.ask(batch.order, [fileset])

    def restart() -> None:
        sandbox.server.stop()
        sandbox.server.start()

    begun = time.monotonic()
    fails(TemporaryError, lambda: run(importer, batch, fileset, answers, progress=once(restart)))
    took = time.monotonic() - begun
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert took < 50  # it would wait for a minute
    assert arrived_whole(sandbox, batch, fileset)


def test_session_that_was_joined_anew_is_used_for_the_next_file_too(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset, second = big_set(batch), batch.image("b.ome.tif", seed=1)
    answers = importer.ask(batch.order, [fileset, second])
    run(importer, batch, fileset, answers, progress=once(relay.cut))
    joined = relay.joined
    imported = run(importer, batch, second, answers)
    importer.discard(batch.order, second, imported)

    assert relay.joined == joined
    assert len(completed(sandbox)) == 2 and filesets(sandbox) == 1


# -- several files at a time ---------------------------------------------------------------------------


def small_set(batch: Batch, count: int) -> Fileset:
    batch.image("0000.ome.tif")
    names = [f"pos {number % 7}/{number:04}.bin" for number in range(1, count)]
    for name in names:
        path = batch.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode() * 10)
    return batch.fileset("0000.ome.tif", *names)


def test_files_of_a_fileset_are_sent_side_by_side_in_bounds(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = small_set(batch, 40)
    answers = importer.ask(batch.order, [fileset])
    sandbox.set_faults(slow_upload="100ms")
    opened: list[int] = []

    def look(progress: Progress) -> None:
        if progress.stage == "upload":
            opened.append(len(open_below(batch.folder)))

    run(importer, batch, fileset, answers, progress=look)

    assert arrived_whole(sandbox, batch, fileset)
    if sys.platform == "linux":
        assert 1 < max(opened) <= AT_ONCE


def test_one_bad_file_stops_the_others(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch, others=30, size=2_000_000)
    answers = importer.ask(batch.order, [fileset])
    (batch.folder / "3/data.bin").write_bytes(b"another")
    before = relay.up
    error = fails(TemporaryError, lambda: run(importer, batch, fileset, answers))

    assert (error.code, "3/data.bin" in error.message) == ("changed-while-read", True)
    assert relay.up - before < fileset.bytes // 2
    assert completed(sandbox) == [] and filesets(sandbox) == 0


def test_stop_in_the_middle_of_many_files_leaves_nothing(
    sandbox: Any, relay: Relay, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch, others=30, size=2_000_000)
    answers = importer.ask(batch.order, [fileset])
    told: list[Progress] = []
    before = relay.up
    fails(
        Interrupted,
        lambda: run(importer, batch, fileset, answers, progress=told.append, stopped=lambda: bool(told)),
    )

    assert relay.up - before < fileset.bytes // 2
    assert completed(sandbox) == [] and filesets(sandbox) == 0


def test_progress_counts_the_bytes_of_all_files_and_never_goes_back(
    importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch, others=10, size=2_000_000)
    told: list[Progress] = []
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]), progress=told.append)
    sent = [progress for progress in told if progress.stage == "upload"]

    assert sent[-1] == Progress("upload", fileset.bytes, fileset.bytes)
    assert [each.done for each in sent] == sorted(each.done for each in sent)


def test_set_of_many_files_is_followed_without_asking_for_all_of_them(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = small_set(batch, 1100)
    imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    (log,) = rows(sandbox, "select id from originalfile where mimetype = 'application/omero-log-file'")

    assert arrived_whole(sandbox, batch, fileset)
    assert (imported.fileset, imported.log) == (completed(sandbox)[0]["fileset"], log[0])


def test_equal_names_in_different_folders_stay_apart(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = big_set(batch, others=3)
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    kept = [path for (path,) in rows(sandbox, "select client_path from entry order by idx")]
    wait_until(lambda: fileset.id in importer.ask(batch.order, [fileset]).found)

    assert [path.split("/", 3)[3] for path in kept] == [fact.path for fact in fileset.files]
    assert arrived_whole(sandbox, batch, fileset)
