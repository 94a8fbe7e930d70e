"""Spools that hang in the middle of a call, while the daemon is at it: the others are served, people are told, it ends.

Nothing is measured: what must not wait is over before what hangs is let go.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

from dropwatch.daemon import Daemon
from dropwatch.model import Place
from dropwatch.pipeline import glance
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.status import snapshot
from facility import Facility, text_of
from tests.faulty_mount import FaultyMount, can_fuse
from threads import thread_staff

with_shares = pytest.mark.skipif(bool(can_fuse()), reason=can_fuse())
PATIENCE = 4.0  #: seconds of the daemon, which in life has 20


class Two(Facility):
    """alice's and bob's spool lies on a share; carol has one of her own, on a disk of this machine."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.second = self.folder / "second"
        for place in Place:
            (self.second / "carol" / place).mkdir(parents=True)
        (self.second / ".dropwatch-spool").write_text("{}")
        first = {"path": str(self.spool), "settle": "200ms", "sweep": "1s", "poll": "300ms"}
        self.settings["spools"] = [first, {**first, "path": str(self.second)}]
        self.settings["retry"] = {"outage_alert": "1s"}
        self.spool.rename(self.folder / "backing")
        self.spool.mkdir()
        self.share = FaultyMount(self.folder / "backing", self.spool)
        self.share.start()

    def start(self) -> None:
        config = self.config()
        self.daemon = Daemon(config, thread_staff(config), {}, patience=PATIENCE)
        self.run_in_thread()

    def close(self) -> None:
        self.share.go_on()
        super().close()
        self.share.close()

    def drop_behind(self, user: str, name: str) -> None:
        """Another machine drops a folder with an image on the share."""
        made = self.folder / "made" / name
        made.mkdir(parents=True)
        ome_tiff(made / f"{name}.ome.tif", seed=len(name))
        made.rename(self.share.backing / user / "inbox" / name)

    def drop_elsewhere(self, name: str) -> Path:
        """carol drops a folder; returns where it will lie in the end."""
        made = self.folder / "made" / name
        made.mkdir(parents=True)
        ome_tiff(made / f"{name}.ome.tif", seed=len(name))
        made.rename(self.second / "carol" / "inbox" / name)
        return self.second / "carol" / "done"

    def hanging(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state" / "heartbeat.json").read_text())["hanging"]
        return found

    def seen(self) -> str:
        """What `dropwatch status` says is not served, and why."""
        found = snapshot(self.config(), time.time(), glance.inbox)
        return "\n".join(f"{target.name} {target.reason} {target.remedy}" for target in found.targets)

    def told(self) -> list[str]:
        """The mails to the admins about the share."""
        mails = [text_of(mail) for mail in self.mails("admin@example.org")]
        return [text for text in mails if str(self.spool) in text and "umount -f -l" in text]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path, {})
    made.start()
    yield made
    made.close()


@with_shares
def test_a_share_that_hangs_in_the_middle_of_a_claim_keeps_no_other_spool_waiting(site: Two) -> None:
    site.share.hang("rename", "/alice/inbox/*")
    site.drop_behind("alice", "claimed")
    site.until(site.share.hung)
    done = site.drop_elsewhere("meanwhile")
    site.until(lambda: list(done.iterdir()))
    site.until(lambda: str(site.spool) in site.hanging())
    seen = site.seen()
    site.until(site.told)
    hung = site.share.hung()
    site.share.go_on()
    site.until(lambda: site.retired("alice"))
    site.until(lambda: not site.hanging())

    assert hung
    assert f"spool:{site.spool} " in seen
    assert "does not answer" in seen
    assert len(site.told()) == 1
    assert site.imported() == ["claimed.ome.tif", "meanwhile.ome.tif"]


@pytest.mark.long
@with_shares
@pytest.mark.parametrize(
    ("op", "path"),
    [
        ("readdir", "/"),
        ("readdir", "/alice/inbox"),
        ("rename", "/alice/processing/*"),
        ("create", "*record*"),
        ("fsync", "*record*"),
        ("mkdir", "/alice/processing/*"),
    ],
)
def test_wherever_it_hangs_the_others_go_on_and_nothing_is_lost_or_doubled(
    site: Two, op: str, path: str
) -> None:
    site.share.hang(op, path)
    site.drop_behind("alice", "one")
    site.drop_behind("bob", "other")
    site.until(site.share.hung)
    done = site.drop_elsewhere("meanwhile")
    site.until(lambda: list(done.iterdir()))
    site.until(lambda: str(site.spool) in site.hanging())
    hung = site.share.hung()
    site.share.go_on()
    site.until(lambda: site.retired("alice") and site.retired("bob"))

    assert hung
    assert site.imported() == ["meanwhile.ome.tif", "one.ome.tif", "other.ome.tif"]


@pytest.mark.long
@with_shares
def test_a_daemon_that_is_stopped_while_a_share_hangs_ends_and_lets_the_other_spool_go(site: Two) -> None:
    site.share.hang("rename", "/alice/inbox/*")
    site.drop_behind("alice", "claimed")
    site.until(site.share.hung)
    first = site.daemon
    assert first is not None
    site.stop()
    hung = site.share.hung()
    site.settings["spools"] = site.settings["spools"][1:]
    site.start()  # in the same state folder
    done = site.drop_elsewhere("meanwhile")
    site.until(lambda: list(done.iterdir()))

    assert hung
    assert first.stuck
