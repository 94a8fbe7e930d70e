"""The stories that are crashed at every point: what is dropped, what goes wrong besides, where it must end.

Each is told to a fresh world; whatever it needs to happen before the crash is done by lives that nobody kills.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from tests.lives import Life, Trap
from tests.world import DISK, Drop, World, file_of, merged

QUICK: dict[str, Any] = {
    "spools": {"settle": "0s", "sweep": "1h"},
    "retry": {"import": ["50ms"] * 6, "mail": ["50ms"] * 6},
    "mail": {"send_to": ["*@example.org"]},
}
PATIENT = {"spools": {"settle": "1h"}}  #: only a manifest that proves itself whole leads to a claim
FROM_DISK = {"places": {DISK: {"path": DISK, "users": ["alice"]}}}
PI = "pi@example.org"

_seeds = itertools.count(1)


@dataclass(frozen=True)
class Story:
    """tell     -- drops what it is about
    ends     -- the place where it ends; "" when nothing of it stays in the spool
    attempts -- how many it takes when nothing crashes
    tells    -- who gets a letter besides the user, and of which kind
    """

    name: str
    tell: Callable[[World], None]
    ends: str = "done"
    attempts: int = 1
    tells: tuple[tuple[str, str], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def image(world: World) -> bytes:
    """An image file that resembles no other."""
    path = world.root / "image.ome.tif"
    ome_tiff(path, seed=next(_seeds))
    return path.read_bytes()


def corrupt(world: World) -> bytes:
    path = world.root / "corrupt.tif"
    corrupt_tiff(path)
    return path.read_bytes() + str(next(_seeds)).encode()


def listing(files: Mapping[str, bytes]) -> bytes:
    """A manifest that says all it can, and proves itself whole."""
    listed = [
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in files.items()
    ]
    words = {"name": "HeLa knockdown", "target": "Dataset:{folder} of {batch}", "notify": [PI]}
    return json.dumps({**words, "files": listed}).encode()


def two_images(world: World) -> dict[str, bytes]:
    return {"a.ome.tif": image(world), "b.ome.tif": image(world)}


def trap(world: World, *, at: int = 0, before: str = "", syncs: bool = False) -> Trap:
    """A trap for a life in *world*."""
    return Trap((str(world.spool), str(world.state)), world.root / "points.txt", at, before, syncs)


# -- told to a world -------------------------------------------------------------------------------------


def fresh(world: World) -> None:
    world.drop("alice", "HeLa day 3", two_images(world))


def listed(world: World) -> None:
    files = two_images(world)
    world.drop("alice", "listed", {"batch.json": listing(files), **files})


def fetched(world: World) -> None:
    files = {"run7/a.ome.tif": image(world), "run7/deep/b.ome.tif": image(world)}
    world.drop_from("alice", "fetched", files, "run7")


def loose(world: World) -> None:
    world.drop_loose("alice", "scan", {"scan.ome.tif": image(world), "scan.tif": image(world)})


def loose_listed(world: World) -> None:
    files = {"one.ome.tif": image(world), "two.ome.tif": image(world)}
    world.drop_loose("alice", "run", {"run.batch.json": listing(files), **files})


def partial(world: World) -> None:
    world.drop("bob", "partial", {"a.ome.tif": image(world), "b.tif": corrupt(world)}, bad=("b.tif",))


def typo(world: World) -> None:
    files = {"batch.yaml": b"taget: Dataset:x\n", "a.ome.tif": image(world)}
    world.drop("carol", "typo", files, bad=("a.ome.tif",))


def returned(world: World) -> None:
    """A partial batch whose corrupt file was replaced, and whose envelope was moved back to the inbox."""
    partial(world)
    assert Life(world.config, world.log, once=True).end() == 0
    drop = world.drops.pop()
    envelope = world.envelope(drop)
    (envelope / drop.name / "b.tif").unlink()
    (envelope / drop.name / "b.tif").write_bytes(image(world))
    mended = file_of(envelope / drop.name, "b.tif", good=True)
    world.drops.append(replace(drop, files=(drop.files[0], mended)))
    envelope.rename(world.spool / "bob" / "inbox" / envelope.name)


def checksum_differs(world: World) -> None:
    world.sandbox.set_faults(omero={"checksum": 1})
    fresh(world)


def connection_lost(world: World) -> None:
    world.sandbox.set_faults(omero={"drop_after_bytes": 4000})
    fresh(world)


def reply_lost(world: World) -> None:
    world.sandbox.set_faults(omero={"lose_reply": 1})
    fresh(world)


def mail_refused(world: World) -> None:
    world.sandbox.set_faults(smtp={"code": 451, "count": 1})
    fresh(world)


def cancelled(world: World) -> None:
    """Cancelled while the daemon is down, after it died in mid-import."""
    files = two_images(world)
    drop = world.drop("alice", "cancelled", files, bad=tuple(files))
    envelope = _dead_in_mid_import(world, drop)
    (envelope / ".dropwatch" / "cancel").write_text(envelope.name[:20])


def withdrawn(world: World) -> None:
    """Taken out of processing/ while the daemon is down, after it died in mid-import."""
    drop = world.drop("alice", "withdrawn", two_images(world))
    envelope = _dead_in_mid_import(world, drop)
    (envelope / drop.name).rename(world.desk / "taken")
    world.drops.remove(drop)


def _dead_in_mid_import(world: World, drop: Drop) -> Path:
    assert Life(world.config, world.log, once=True, trap=trap(world, before="import begin")).end() == -9
    (world.root / "points.txt").unlink()
    return world.envelope(drop)


LISTED = ((PI, "outcome"),)
FAILED = (("admin@example.org", "failure"),)
STORIES = (
    Story("fresh folder", fresh),
    Story("listed manifest", listed, tells=LISTED, settings=PATIENT),
    Story("fetched from a place", fetched, settings=merged(PATIENT, FROM_DISK)),
    Story("loose files", loose),
    Story("loose files with a listing", loose_listed, tells=LISTED, settings=PATIENT),
    Story("partial", partial, ends="failed", tells=FAILED),
    Story("manifest with a typo", typo, ends="failed", attempts=0, tells=FAILED),
    Story("returned envelope", returned),
    Story("checksum differs once", checksum_differs, attempts=2),
    Story("connection lost in mid-upload", connection_lost, attempts=2),
    Story("reply lost", reply_lost, attempts=2),
    Story("mail refused once", mail_refused),
    Story("cancelled", cancelled, ends="failed"),
    Story("withdrawn", withdrawn, ends=""),
)
