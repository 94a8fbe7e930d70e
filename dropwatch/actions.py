"""What a person may do to batches, users and letters: retry, cancel, hold, release, send again. Deeds in the folders.

Command line and page call these and show the sentence that comes back. Nothing here talks to the daemon, and
nothing asks who is acting: the doors know that.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.durable import write_durably
from dropwatch.errors import PermanentError, Unavailable
from dropwatch.model import Dropped, Envelope, Place
from dropwatch.outbox import Outbox
from dropwatch.pipeline import cancelling
from dropwatch.pipeline.withdrawing import withdraw
from dropwatch.report import count
from dropwatch.spool.folders import Spool
from dropwatch.spool.moves import InUse, make_directory
from dropwatch.spool.presence import hold_marker
from dropwatch.status import Found
from dropwatch.status.presence import EVERYBODY, Presence, presence
from dropwatch.status.rows import Reader


class Refused(PermanentError):
    """It cannot be done as things are; the text says why."""


@dataclass(frozen=True)
class GivenBack:
    """A batch that lies in the inbox again, at *path*; *told* is what to tell the person."""

    path: Path
    told: str


def retry(config: Config, found: Found, now: float) -> GivenBack:
    """Move a batch from failed (or done) back to the inbox; what is missing in OMERO is imported.

    *now* in epoch seconds. Raises Refused, Unavailable, OSError.
    """
    envelope = found.envelope
    if found.place is Place.PROCESSING and envelope is not None:
        row = Reader(config, presence(config.state, now), now).envelope(found.spool.root, envelope)
        raise Refused(f"{found.name} is in processing and goes on by itself: {row.reason}.")
    if envelope is None or found.place is Place.INBOX:
        raise Refused(f"{found.name} lies in the inbox already and will be taken up from there: {found.path}")
    if not envelope.folder:
        raise Refused(f"There is no folder of {found.user} left in {found.path}: nothing could be imported.")
    path = found.spool.give_back(envelope)
    when = _when_taken_up(config, found.user, now)
    return GivenBack(path, f"{found.name} is back in the inbox of {found.user}. {when}")


def cancel(config: Config, found: Found, now: float) -> str:
    """Stop a batch, wherever it is by now: in processing, just dropped, or back in the inbox to be tried again.

    What OMERO already has of it stays there, and its files stay with the user.

    Returns what to tell the person. Raises Refused, Unavailable, OperatorError (no permission), OSError.
    """
    envelope = found.envelope
    there = presence(config.state, now)
    record = Reader(config, there, now).record(envelope) if envelope is not None else None
    if found.dropped is not None:
        if envelope is not None and envelope.claim and record is not None and record.verdict is not None:
            return _take_back(found, envelope, record.verdict.place)
        return _withdraw(config, found, found.dropped, now)
    assert envelope is not None, "only what was dropped has none"
    assert record is not None, "an envelope has one, at least by its name"
    if record.verdict is not None:
        raise Refused(
            f"There is nothing to cancel: {found.name} came to its end already ({record.verdict.value})."
        )
    if found.place is not Place.PROCESSING:
        raise Refused(f"There is nothing to cancel: {found.name} lies in {found.place.value}.")
    cancelling.mark(envelope.path, envelope.claim)
    when = "within seconds" if there.running else "when dropwatch runs again"
    return f"{found.name} will be cancelled {when}. Image files that OMERO already has stay there."


def _take_back(found: Found, envelope: Envelope, place: Place) -> str:
    """Put a batch that came back to the inbox where it lay before."""
    path = found.spool.take_back(envelope, place)
    return f"{found.name} is not tried again: it lies in {place.value} as before, {path}."


def _withdraw(config: Config, found: Found, dropped: Dropped, now: float) -> str:
    """Take a drop that nobody claimed yet out of the inbox."""
    try:
        path = withdraw(config, found.spool, dropped, now, random.SystemRandom())
    except FileNotFoundError:
        raise Refused(f"{found.name} has moved on meanwhile: look where it is, and try again.") from None
    except InUse as err:
        raise Refused(f"{err.message} Wait until nothing writes into it any more.") from err
    running = presence(config.state, now).running
    when = "It goes to failed in a moment" if running else "It goes to failed when dropwatch runs again"
    told = f"{found.name} will not be imported: it is out of the inbox. {when}, with all its files: {path}"
    # Its last change, by the file server's clock: near enough to tell who may still be copying.
    copying = (
        " Stop what still copies into it, or the rest becomes a batch." if now - dropped.since < 60 else ""
    )
    return f"{told}.{copying}"


def hold(config: Config, user: str | None) -> None:
    """Take up and begin nothing more, of *user* or (None) of everybody; what runs is finished.

    Raises Refused (no such drop folder), Unavailable (a spool is away), OSError.
    """
    marker = hold_marker(config.state, _known(config, user))
    if not marker.parent.is_dir():
        config.state.mkdir(parents=True, exist_ok=True)
        make_directory(marker.parent)
    if not marker.exists():
        write_durably(marker, b"")


def release(config: Config, user: str | None) -> None:
    """End a hold: of *user*, or (None) the one on everybody. Raises as hold() does."""
    hold_marker(config.state, _known(config, user)).unlink(missing_ok=True)


def tell_holds(config: Config, now: float) -> list[str]:
    """Who is on hold, in sentences."""
    there, told = presence(config.state, now), []
    if EVERYBODY in there.holds:
        told.append(
            "On hold: everybody. What is being imported is finished; nothing else begins until"
            " `dropwatch release`."
        )
    users = [user for user in there.holds if user != EVERYBODY]
    if users:
        told.append(f"On hold: {', '.join(users)}. `dropwatch release USER` lets one go.")
    if not there.holds:
        what = "What was held goes on within seconds." if there.running else "dropwatch is not running."
        told.append(f"Nobody is on hold. {what}")
    return told


def send_again(config: Config, outbox: Outbox, letter: str | None, now: float) -> str:
    """Make one letter due now with a fresh schedule, or (None) every one that waits or was given up.

    Returns what to tell the person. Raises Refused, OSError.
    """
    many = outbox.retry(letter)
    if not many and letter is not None:
        raise Refused(f"No letter {letter} waits or was given up. `dropwatch mail list` lists them.")
    if not many:
        return "No letter waits, and none was given up."
    there = presence(config.state, now)
    when = "within a minute" if there.running else "when dropwatch runs again"
    away = there.pause("mail") if there.running else None
    if away is not None:
        when = f"as soon as mail goes out again. It does not now: {away.reason}"
    return f"{count(many, 'letter')} will be tried {when.rstrip('.')}."


def _known(config: Config, user: str | None) -> str | None:
    """*user* as the folder spells it. Raises Refused when no spool has such a folder."""
    if user is None:
        return None
    names = [name for settings in config.spools for name in _users(Spool(settings.path))]
    match = next((name for name in names if name.casefold() == user.casefold()), None)
    if match is None:
        there = ", ".join(sorted(set(names))) or "none"
        raise Refused(f"No spool has a folder for {user}. There are: {there}.")
    return match


def _users(spool: Spool) -> tuple[str, ...]:
    """None of a spool that is away: whoever is elsewhere can be named all the same."""
    try:
        spool.check_present()
    except Unavailable:
        return ()
    return spool.users().names


def _when_taken_up(config: Config, user: str, now: float) -> str:
    there: Presence = presence(config.state, now)
    if not there.running:
        return "dropwatch is not running: it is taken up when it does."
    if there.held(user):
        return "On hold: it is taken up after `dropwatch release`."
    return "It is taken up when it has settled."
