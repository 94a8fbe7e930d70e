"""The outbox: keeps letters until the mail server has taken them over, at least once each.

It decides when a letter is tried, given up and kept; shelves.py moves it and postman.py sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from dropwatch.errors import OperatorError, PermanentError, TemporaryError, Unavailable
from dropwatch.outbox.letter import Letter, NotALetter, is_safe, letter_id
from dropwatch.outbox.postman import MailServerSettings, Postman
from dropwatch.outbox.shelves import Shelf, Shelves, Stranger
from dropwatch.schedule import next_attempt


@dataclass(frozen=True)
class Delivered:
    """What one round came to.

    sent     -- letters that the mail server took over
    deferred -- letters that were tried in vain and will be tried again
    died     -- letters that were given up in this round, files that are no letters included; *error* says why
    outage   -- why the round ended early: the mail server is to be left alone for a while
    """

    sent: int = 0
    deferred: int = 0
    died: tuple[Letter, ...] = ()
    outage: Unavailable | OperatorError | None = None


class Outbox:
    """The letters below *folder*.

    server    -- how to reach the mail server
    password  -- asked anew for each connection, so that a corrected password file needs no restart
    intervals -- seconds to wait after the first, second, ... attempt; then a letter is given up
    clock     -- epoch seconds

    post() may be called by any thread, deliver() by one at a time. Reading makes no file or directory. Other
    processes (``dropwatch mail``) may read and retry() meanwhile: at worst they bring back a letter that was
    sent just then, and a letter that is in sent/ is not sent again.
    """

    def __init__(
        self,
        folder: Path,
        server: MailServerSettings,
        password: Callable[[], str | None],
        intervals: Sequence[float],
        clock: Callable[[], float],
    ) -> None:
        self._shelves = Shelves(folder)
        self._server = server
        self._password = password
        self._intervals = tuple(intervals)
        self._clock = clock
        self._posting = Lock()
        self._taken: set[str] = (
            set()
        )  # taken over by the mail server, and not in sent/ yet: the disk was full, say

    def post(self, letter: Letter) -> bool:
        """Put *letter* into the queue; it is on the disk when this returns.

        False when its id is queued, sent or dead already: writing a letter once more does nothing.
        """
        if not is_safe(letter.id):
            raise ValueError(f"not the id of a letter: {letter.id!r}")
        with self._posting:
            place = self.where(letter.id)
            if place is not None:
                # Its first writer may have died between the rename and the sync.
                self._shelves.sync(place)
                return False
            self._shelves.write(Shelf.QUEUED, letter)
        return True

    def deliver(self, now: float, stopped: Callable[[], bool]) -> Delivered:
        """Try each letter that is due at *now* once, over one connection as long as it holds.

        *stopped* is looked at before each letter. Nothing is raised for what mail servers do.
        """
        died: list[Letter] = []
        due = self._due(now, died)
        counts = dict.fromkeys(Shelf, 0)
        outage: Unavailable | OperatorError | None = None
        with Postman(self._server, self._password) as postman:
            for name in due:
                if stopped():
                    break
                try:
                    tried = self._take(name, postman)
                except (Unavailable, OperatorError) as err:
                    outage = err
                    break
                if tried is not None:
                    place, letter = tried
                    counts[place] += 1
                    died += [letter] if place is Shelf.DEAD else []
        return Delivered(counts[Shelf.SENT], counts[Shelf.QUEUED], tuple(died), outage)

    def reach(self) -> None:
        """Connect to the mail server, log in, and leave again. Raises Unavailable, OperatorError."""
        with Postman(self._server, self._password) as postman:
            postman.connect()

    def hand_over(self, letter: Letter) -> None:
        """Send *letter*, which could not be stored, now and past the queue; then note_sent() as soon as that works.

        Raises Unavailable, OperatorError, TemporaryError, PermanentError.
        """
        with Postman(self._server, self._password) as postman:
            postman.connect()
            postman.send(letter)

    def note_sent(self, letter: Letter) -> None:
        """Note that *letter* was handed over, so that writing it again does nothing. Raises OSError."""
        with self._posting:
            if self.where(letter.id) is not Shelf.SENT:
                self._shelves.write(Shelf.SENT, letter)

    def probe(self, to: str) -> None:
        """Send one test letter to *to* now, past the queue.

        Raises Unavailable, OperatorError, TemporaryError, PermanentError.
        """
        now = self._clock()
        words = "This is a test. If you can read it, dropwatch can send mail.\n"
        letter = Letter(
            letter_id("", str(now), "test", to), "test", "", "", "", to, "dropwatch test mail", words, "", now
        )
        self.hand_over(letter)

    def next_due(self) -> float | None:
        """When the next letter is due, epoch seconds; None when nothing is queued."""
        now = self._clock()
        return min((letter.due_at(now) for letter in self._letters(Shelf.QUEUED)), default=None)

    def queued(self) -> list[Letter]:
        return _oldest_first(self._letters(Shelf.QUEUED))

    def sent(self) -> list[Letter]:
        return _oldest_first(self._letters(Shelf.SENT))

    def dead(self) -> list[Letter]:
        """The letters that were given up, and the files that are none as letters of kind ``unreadable``."""
        found = self._shelves.scan(Shelf.DEAD)
        return _oldest_first(_unreadable(one) if isinstance(one, Stranger) else one for one in found)

    def counts(self) -> dict[str, int]:
        """How many files lie on each shelf, by its name. Opens none of them."""
        return {str(shelf): len(self._shelves.files(shelf)) for shelf in Shelf}

    def where(self, name: str) -> Shelf | None:
        """The shelf that the letter with id *name* lies on."""
        if not is_safe(name):
            return None
        # The last look at sent/ finds a letter that was moved on between the first two.
        order = (Shelf.QUEUED, Shelf.DEAD, Shelf.QUEUED, Shelf.SENT)
        return next((shelf for shelf in order if self._shelves.path(shelf, name).is_file()), None)

    def find(self, name: str) -> Letter | None:
        """The letter with id *name*, wherever it lies; unreadable ones are called by their file's name."""
        found = self.where(name)
        shelves = Shelf if found is None else (found,)
        letters = (*self._letters(*shelves), *self.dead())
        return next((letter for letter in letters if letter.id == name), None)

    def retry(self, name: str | None = None) -> int:
        """Make the letter *name*, or all, due now with a fresh schedule, dead ones too. Says how many."""
        count = 0
        for shelf in (Shelf.QUEUED, Shelf.DEAD):
            for letter in self._letters(shelf):
                if name not in (None, letter.id):
                    continue
                # Fresh first, moved second: a crash between the two leaves it listed as dead.
                self._shelves.write(shelf, replace(letter, attempts=0, not_before=0.0))
                if shelf is Shelf.DEAD:
                    self._shelves.move(letter.id, Shelf.DEAD, Shelf.QUEUED)
                count += 1
        return count

    def purge_sent(self, before: float) -> int:
        """Remove the sent letters that were tried last before *before* (epoch seconds). Says how many."""
        count = 0
        for letter in self._letters(Shelf.SENT):
            if letter.tried < before:
                self._shelves.remove(Shelf.SENT, letter.id)
                count += 1
        self._shelves.clear_temporary(before)
        return count

    def _letters(self, *shelves: Shelf) -> Iterator[Letter]:
        for shelf in shelves:
            yield from (one for one in self._shelves.scan(shelf) if isinstance(one, Letter))

    def _due(self, now: float, died: list[Letter]) -> list[str]:
        """Ids of the due letters, the longest due first: one that breaks each connection comes behind the
        others next time. What is no letter is set aside on the way and added to *died*."""
        due = []
        for one in self._shelves.scan(Shelf.QUEUED):
            if isinstance(one, Stranger):
                self._shelves.set_aside(one)
                died.append(_unreadable(one))
            elif one.due_at(now) <= now:
                due.append((one.due_at(now), one.created, one.id))
        return [name for _, _, name in sorted(due)]

    def _take(self, name: str, postman: Postman) -> tuple[Shelf, Letter] | None:
        """Try one letter. Says where it lies now, None when there was nothing to do.

        Raises Unavailable (it was not tried), OperatorError.
        """
        try:
            letter = self._shelves.read(self._shelves.path(Shelf.QUEUED, name))
        except (FileNotFoundError, NotALetter):
            return None  # somebody was faster; the next round sees what is there
        if self._shelves.path(Shelf.SENT, name).exists():
            self._shelves.remove(Shelf.QUEUED, name)
            return None
        if name in self._taken:
            return self._file(letter)
        if self._is_exhausted(letter):
            return self._bury(letter, letter.error or "The last attempt was interrupted.")
        postman.connect()
        return self._try(self._count(letter), postman)

    def _try(self, letter: Letter, postman: Postman) -> tuple[Shelf, Letter]:
        try:
            postman.send(letter)
        except PermanentError as err:
            return self._bury(letter, str(err))
        except (TemporaryError, OperatorError) as err:
            if self._is_exhausted(letter):
                return self._bury(letter, str(err))
            kept = replace(letter, error=str(err))
            self._shelves.write(Shelf.QUEUED, kept)
            if isinstance(err, OperatorError):
                raise
            return Shelf.QUEUED, kept
        self._taken.add(letter.id)
        return self._file(letter)

    def _file(self, letter: Letter) -> tuple[Shelf, Letter]:
        """Put away a letter that the mail server took over."""
        self._shelves.move(letter.id, Shelf.QUEUED, Shelf.SENT)
        self._taken.discard(letter.id)
        return Shelf.SENT, letter

    def _count(self, letter: Letter) -> Letter:
        """Write the attempt down before making it: a letter that kills us is still bounded."""
        now, attempts = self._clock(), letter.attempts + 1
        due = next_attempt(self._intervals, attempts, now)
        counted = replace(
            letter, attempts=attempts, tried=now, not_before=now if due is None else due, error=""
        )
        self._shelves.write(Shelf.QUEUED, counted)
        return counted

    def _is_exhausted(self, letter: Letter) -> bool:
        return next_attempt(self._intervals, letter.attempts, letter.tried) is None

    def _bury(self, letter: Letter, reason: str) -> tuple[Shelf, Letter]:
        dead = replace(letter, error=reason)
        self._shelves.write(Shelf.QUEUED, dead)
        self._shelves.move(letter.id, Shelf.QUEUED, Shelf.DEAD)
        return Shelf.DEAD, dead


def _oldest_first(letters: Iterable[Letter]) -> list[Letter]:
    return sorted(letters, key=lambda letter: (letter.created, letter.id))


def _unreadable(stranger: Stranger) -> Letter:
    name = stranger.path.name
    error = f"The file {name} in the outbox is no letter: {stranger.reason}."
    return Letter(name, "unreadable", "", "", "", "", "", "", "", 0.0, error=error)
