"""When is a drop complete? The rules as a table, then real inboxes looked at on a clock of our own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dropwatch.model import FileFact, ListedFile, Place
from dropwatch.pipeline.drops import FreshFolder, LooseFiles, ReturnedEnvelope, drops, stem_of
from dropwatch.pipeline.sightings import Seen, Sightings
from dropwatch.settling import Ready, Rules, Settling, Sight, judge
from dropwatch.spool.folders import Spool

RULES = Rules(settle=60, tell=3600, fail=86400)
STRICT = Rules(settle=60, tell=3600, fail=86400, manifest_only=True)
FILES = (FileFact("a.tif", 10, 1),)
SIZED = (ListedFile("a.tif", 10),)
HIDDEN = ".cache (1 hour without a change, because it is hidden and may be half written)"
NO_MANIFEST = ("the manifest (batch.yaml)",)


@pytest.mark.parametrize(
    ("what", "sight", "unchanged", "rules", "state"),
    [
        ("fresh", Sight(FILES), 0, RULES, Settling(60)),
        ("nearly", Sight(FILES), 59, RULES, Settling(1)),
        ("quiet", Sight(FILES), 60, RULES, Ready()),
        ("listed, whole, all there", Sight(FILES, manifest=True, whole=True, listed=SIZED), 0, RULES, Ready()),
        ("whole, but no list", Sight(FILES, manifest=True, whole=True), 0, RULES, Settling(60)),
        (
            "listed without sizes",
            Sight(FILES, manifest=True, whole=True, listed=(ListedFile("a.tif"),)), 0, RULES, Settling(60),
        ),
        ("listed, but perhaps cut", Sight(FILES, manifest=True, listed=SIZED), 0, RULES, Settling(60)),
        (
            "a temporary name", Sight(FILES, ("b.part",)), 60, RULES,
            Settling(3540, ("b.part (still being written)",), bounded=True),
        ),
        ("hidden", Sight(FILES, hidden=(".cache",)), 60, RULES, Settling(3540, (HIDDEN,))),
        ("hidden, at rest", Sight(FILES, hidden=(".cache",)), 3600, RULES, Ready()),
        ("hidden beside a list", Sight(FILES, hidden=(".cache",), whole=True, listed=SIZED), 0, RULES, Ready()),
        ("empty", Sight(()), 100, RULES, Settling(3500, ("any file",), bounded=True)),
        (
            "garbled",
            Sight(FILES, manifest=True, garbled="line 3"), 100, RULES,
            Settling(3500, ("a manifest that can be read (line 3)",), bounded=True),
        ),
        (
            "missing", Sight(FILES, missing=("b (not there)",)), 100, RULES,
            Settling(3500, ("b (not there)",), bounded=True),
        ),
        ("missing, told", Sight(FILES, missing=("b",)), 3600, RULES, Settling(82800, ("b",), tell=True, bounded=True)),
        ("missing, given up", Sight(FILES, missing=("b",)), 86400, RULES, Ready(("b",))),
        ("must have a manifest", Sight(FILES), 100, STRICT, Settling(3500, NO_MANIFEST)),
        ("must have one, told", Sight(FILES), 90000, STRICT, Settling(3600, NO_MANIFEST, tell=True)),
        ("has one", Sight(FILES, manifest=True), 60, STRICT, Ready()),
        ("nothing at all and no manifest", Sight(()), 86400, STRICT, Ready(("any file",))),
    ],
)  # fmt: skip
def test_a_drop_is(what: str, sight: Sight, unchanged: float, rules: Rules, state: Ready | Settling) -> None:
    assert judge(sight, unchanged, rules) == state


def test_a_drop_is_never_given_up_before_it_could_have_settled() -> None:
    hasty = Rules(settle=60, tell=0, fail=0)

    assert isinstance(judge(Sight(FILES, missing=("b",)), 59, hasty), Settling)
    assert judge(Sight(FILES, missing=("b",)), 60, hasty) == Ready(("b",))


# -- what belongs together -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.tif", "a"), ("a.ome.tif", "a"), ("a.OME.TIFF", "a"), ("a.companion.ome", "a"), ("a.b.czi", "a.b"),
        ("noending", "noending"), (".ome.tif", ".ome"), (".hidden", ".hidden"), ("a.", "a"), ("run 7.1.nd2", "run 7.1"),
    ],
)  # fmt: skip
def test_loose_files_belong_together_by_their_stem(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    for place in Place:
        (tmp_path / "alice" / place).mkdir(parents=True)
    (tmp_path / ".dropwatch-spool").write_text("{}")
    return Spool(tmp_path)


def put(spool: Spool, name: str, data: str = "pixels") -> Path:
    path = spool.folder("alice", Place.INBOX) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)
    return path


def test_what_lies_in_an_inbox_is_sorted_into_drops(spool: Spool) -> None:
    for name in (
        "run/a.tif",
        "s.ome.tif",
        "s.xml",
        "t.tif",
        "20261124-080000-abcd_old/old/a.tif",
        ".DS_Store",
    ):
        put(spool, name)

    found = drops(spool, "alice", spool.inbox("alice"), {})

    folders = [drop for drop in found if isinstance(drop, FreshFolder)]
    assert folders == [FreshFolder("run")]
    assert [drop.name for drop in found if isinstance(drop, ReturnedEnvelope)] == ["20261124-080000-abcd_old"]
    assert [drop for drop in found if isinstance(drop, LooseFiles)] == [
        LooseFiles("s", ("s.ome.tif", "s.xml")),
        LooseFiles("t", ("t.tif",)),
    ]


def test_a_loose_manifest_takes_the_files_that_it_lists_or_those_of_its_stem(spool: Spool) -> None:
    for name in ("run.batch.yaml", "a.tif", "b.tif", "s.batch.yaml", "s.tif", "c.tif"):
        put(spool, name)

    found = drops(
        spool, "alice", spool.inbox("alice"), {"run.batch.yaml": ("a.tif", "b.tif", "not there.tif")}
    )

    assert found == [
        LooseFiles("run", ("a.tif", "b.tif", "run.batch.yaml"), "run.batch.yaml"),
        LooseFiles("s", ("s.batch.yaml", "s.tif"), "s.batch.yaml"),
        LooseFiles("c", ("c.tif",)),
    ]


# -- on our own clock ------------------------------------------------------------------------------------


def look(sightings: Sightings, now: float, rules: Rules = RULES) -> dict[str, Ready | Settling]:
    seen: list[Seen] = sightings.look("alice", rules, now)
    return {one.drop.name: one.state for one in seen}


def test_a_folder_settles_when_nothing_in_it_changed_for_a_while(spool: Spool) -> None:
    sightings = Sightings(spool)
    put(spool, "run/a.tif")

    assert look(sightings, 1000) == {"run": Settling(60)}
    put(spool, "run/deep/b.tif")
    assert look(sightings, 1050) == {"run": Settling(60)}  # from now on
    assert look(sightings, 1100) == {"run": Settling(10)}
    assert look(sightings, 1110) == {"run": Ready()}


def test_a_writer_that_pauses_starts_the_wait_anew(spool: Spool) -> None:
    sightings = Sightings(spool)
    path = put(spool, "run/a.tif")
    look(sightings, 1000)

    with path.open("a") as file:
        file.write("more")
    assert look(sightings, 1059) == {"run": Settling(60)}
    assert look(sightings, 1119) == {"run": Ready()}


@pytest.mark.parametrize("mtime", [0, 4_000_000_000])
def test_what_the_files_times_say_is_not_compared_with_our_clock(spool: Spool, mtime: int) -> None:
    sightings = Sightings(spool)
    path = put(spool, "run/a.tif")
    os.utime(path, (mtime, mtime))

    assert look(sightings, 1000) == {"run": Settling(60)}
    assert look(sightings, 1060) == {"run": Ready()}


def test_a_file_that_was_replaced_by_another_one_alike_starts_the_wait_anew(spool: Spool) -> None:
    sightings = Sightings(spool)
    path = put(spool, "run/a.tif")
    os.utime(path, (1000, 1000))
    look(sightings, 1000)

    other = put(spool, "run/new.tmp2")
    os.utime(other, (1000, 1000))
    other.replace(path)
    assert look(sightings, 1059) == {"run": Settling(60)}


def test_one_that_settles_does_not_hold_another_up(spool: Spool) -> None:
    sightings = Sightings(spool)
    put(spool, "first/a.tif")
    look(sightings, 1000)
    put(spool, "second/a.tif")

    assert look(sightings, 1030) == {"first": Settling(30), "second": Settling(60)}
    assert look(sightings, 1060) == {"first": Ready(), "second": Settling(30)}


def test_a_listing_makes_a_batch_ready_at_once_when_all_is_there_with_its_size(spool: Spool) -> None:
    sightings = Sightings(spool)
    listing = json.dumps({"files": [{"path": "a.tif", "size": 6}, {"path": "b.tif", "size": 6}]})
    put(spool, "run/batch.json", listing)
    put(spool, "run/a.tif")

    assert look(sightings, 1000) == {"run": Settling(3600, ("b.tif (not there)",), bounded=True)}
    put(spool, "run/b.tif", "pix")
    assert look(sightings, 1001) == {"run": Settling(3600, ("b.tif (has 3 of 6 bytes)",), bounded=True)}
    put(spool, "run/b.tif")
    assert look(sightings, 1002) == {"run": Ready()}


def test_a_listing_that_may_be_cut_off_proves_nothing(spool: Spool) -> None:
    """A block-style YAML that is cut is a valid, shorter list; its end mark proves that it is not."""
    sightings = Sightings(spool)
    listing = "files:\n  - path: a.tif\n    size: 6\n"
    put(spool, "run/a.tif")
    manifest = put(spool, "run/batch.yaml", listing)

    assert look(sightings, 1000) == {"run": Settling(60)}
    manifest.write_text(listing + "...\n")
    assert look(sightings, 1001) == {"run": Ready()}


def test_a_manifest_that_is_still_arriving_is_waited_for_and_a_wrong_one_is_not(spool: Spool) -> None:
    sightings = Sightings(spool)
    put(spool, "arriving/a.tif")
    put(spool, "arriving/batch.json", '{"target": "Data')
    put(spool, "wrong/a.tif")
    put(spool, "wrong/batch.json", '{"taget": "Dataset:x"}')

    states = look(sightings, 1000) and look(sightings, 1060)

    assert states["wrong"] == Ready()  # planning refuses it in words
    assert isinstance(states["arriving"], Settling)
    assert "a manifest that can be read" in states["arriving"].lacking[0]


def test_a_user_whose_batches_start_by_manifest_may_drop_without_haste(spool: Spool) -> None:
    sightings = Sightings(spool)
    put(spool, "run/a.tif")

    assert look(sightings, 1000, STRICT)["run"] == Settling(3600, NO_MANIFEST)
    assert look(sightings, 1e6, STRICT)["run"] == Settling(3600, NO_MANIFEST, tell=True)
    put(spool, "run/batch.yaml", "target: Dataset:x\n")
    look(sightings, 1e6 + 1, STRICT)
    assert look(sightings, 1e6 + 61, STRICT)["run"] == Ready()


def test_what_was_taken_away_again_is_forgotten(spool: Spool) -> None:
    sightings = Sightings(spool)
    path = put(spool, "run/a.tif")
    look(sightings, 1000)
    path.unlink()
    path.parent.rmdir()

    assert look(sightings, 1059) == {}
    put(spool, "run/a.tif")
    assert look(sightings, 1061) == {"run": Settling(60)}


def test_loose_files_settle_together(spool: Spool) -> None:
    sightings = Sightings(spool)
    put(spool, "s.tif")
    look(sightings, 1000)
    put(spool, "s.xml")

    assert look(sightings, 1030) == {"s": Settling(60)}
    assert look(sightings, 1090) == {"s": Ready()}


@pytest.mark.parametrize("inodes", [True, False])
def test_a_share_that_makes_inodes_up_does_not_keep_a_drop_from_settling(
    tmp_path: Path, inodes: bool
) -> None:
    """Each look finds the same file under another inode, as on sshfs after its memory was taken away."""
    inbox = tmp_path / "alice" / "inbox"
    (inbox / "run").mkdir(parents=True)
    sightings, states = Sightings(Spool(tmp_path)), []
    for now in (0.0, 40.0, 80.0):
        new = tmp_path / f"new {now}"
        new.write_bytes(b"the same")
        os.utime(new, ns=(0, 10**18))
        new.rename(inbox / "run" / "a.tif")  # the old one is still there until then, so the inode is another
        states += [one.state for one in sightings.look("alice", RULES, now, inodes=inodes)]

    assert states[-1] == (Settling(60) if inodes else Ready())
