"""Squads of worker processes. Each worker is a pebble pool of one, started when it is first needed.

Pools of one, because workers of one pool share pipes and locks: one that is killed while it holds a lock would
hold up the others. So a job that kills its process takes nobody with it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dropwatch.errors import Interrupted
from dropwatch.model import Job
from dropwatch.workers.seat import Seat, Squad, answer
from dropwatch.workers.work import Done, Perform, Work

_GOODBYE = 10.0  #: seconds that a worker gets to stop when it is told to, and to end its sessions
_STUBBORN = 60.0  #: seconds after which a worker that was told to stop its job is killed


class Workers:
    """Gives jobs to worker processes. Jobs of a squad that is busy wait in line.

    squads -- by class of job
    make   -- makes the worker, in its process; it has to survive pickling
    """

    def __init__(self, squads: Mapping[type, Squad], make: Perform) -> None:
        self._squads = dict(squads)
        names = {squad.name: squad for squad in squads.values()}
        self._seats = {name: [Seat(squad, make) for _ in range(squad.size)] for name, squad in names.items()}
        self._waiting: dict[str, deque[Work]] = {name: deque() for name in names}
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self.died = 0  #: processes that ended in the middle of a job

    def submit(self, job: Job, finished: Callable[[Done], None]) -> Work:
        """Have *job* done; *finished* gets the answer, in some thread."""
        work = Work(job, finished)
        with self._changed:
            squad = self._squads[type(job)].name
            self._waiting[squad].append(work)
            self._seat_next(squad)
        return work

    def busy(self) -> dict[str, int]:
        """How many workers of each squad have a job."""
        return {name: sum(seat.work is not None for seat in seats) for name, seats in self._seats.items()}

    def tend(self) -> None:
        """Kill the workers that do not stop when they are told to; end those that nobody needs any more. To be
        called now and then."""
        now = time.monotonic()
        with self._changed:
            stubborn = [seat for seat in self._all() if seat.work and seat.work.told_to_stop(now - _STUBBORN)]
            unused = [
                seat
                for seat in self._all()
                if not seat.work and seat.runs() and seat.used < now - seat.squad.unused
            ]
            ends = [(seat, seat.work, seat.leave()) for seat in (*stubborn, *unused)]
        for seat, work, end in ends:
            _in_thread(partial(self._end_seat, seat, work, end))

    def close(self, grace: float) -> None:
        """Give running jobs *grace* seconds, then stop them, then kill what does not stop. Jobs that wait are
        answered as interrupted. Returns when no process is left."""
        for work in self._take_waiting():
            work.end(Done(error=Interrupted("dropwatch is being stopped.")))
        if not self._rest(grace):
            for seat in self._all():
                if (running := seat.work) is not None:
                    running.stop()
            self._rest(_GOODBYE)
        with self._changed:
            ends = [(seat, seat.work, seat.leave()) for seat in self._all()]
        threads = [_in_thread(partial(self._end_seat, *one)) for one in ends]
        for thread in threads:
            thread.join(3 * _GOODBYE)

    def _all(self) -> list[Seat]:
        return [seat for seats in self._seats.values() for seat in seats]

    def _take_waiting(self) -> list[Work]:
        with self._changed:
            self._closed = True
            waiting = [work for line in self._waiting.values() for work in line]
            for line in self._waiting.values():
                line.clear()
        return waiting

    def _rest(self, seconds: float) -> bool:
        """Wait until no worker has a job, for *seconds* at most; whether that came to be."""
        with self._changed:
            return self._changed.wait_for(lambda: not any(seat.work for seat in self._all()), seconds)

    def _seat_next(self, squad: str) -> None:
        """Let an idle worker take the job that waits longest: a warm one before one that has to be started."""
        line = self._waiting[squad]
        while line and not self._closed:
            idle = [seat for seat in self._seats[squad] if seat.work is None]
            if not idle:
                return
            seat = max(idle, key=lambda seat: (seat.runs(), seat.used))
            work = line.popleft()
            seat.do(work, partial(self._answered, seat, work))

    def _answered(self, seat: Seat, work: Work, future: Any) -> None:
        """Runs in a thread of pebble's."""
        done = answer(future)
        with self._changed:
            if seat.work is not work or seat.ending:
                return  # it is killed, and whoever does that gives the answer
            if not done.began and not work.again and not self._closed:
                work.again = True  # the worker had died at rest; another one takes the job
                seat.do(work, partial(self._answered, seat, work))
                return
            self.died += done.died
        self._free(seat, work, done)

    def _end_seat(self, seat: Seat, work: Work | None, end: Callable[[bool], None]) -> None:
        # A process in a call to a disk that hangs dies when that answers. Until then it keeps its locks, not the seat.
        _in_thread(partial(end, work is None)).join(2 * _GOODBYE)
        if work is not None:
            self._free(
                seat, work, Done(error=Interrupted("It did not stop when it was told to, and was killed."))
            )

    def _free(self, seat: Seat, work: Work, done: Done) -> None:
        with self._changed:
            if seat.work is not work:
                return
            seat.work, seat.used = None, time.monotonic()
        work.end(done)
        with self._changed:
            self._seat_next(seat.squad.name)
            self._changed.notify_all()


def _in_thread(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, name="workers", daemon=True)
    thread.start()
    return thread
