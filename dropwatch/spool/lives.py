"""Names of processes that are never given twice, and a clock that no sleep stops: for leases.

A process that is certainly gone need not be waited for.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def this_life() -> str:
    """The name of this process; "" where it cannot be known."""
    return _life(os.getpid())


def _life(pid: int) -> str:
    """Names the process *pid* for all time: its machine since it was started, its table of processes, its number,
    and when it began (proc(5)). "" where that cannot be known."""
    if sys.platform != "linux":
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        table = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  # no path: "pid:[4026531836]"
        # The name of the program stands in brackets and may hold anything.
        began = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{boot} {table} {pid} {began}"


def is_over(life: str) -> bool:
    """Whether the process of that *life* is certainly gone: one of this machine and of our table that is not there."""
    ours = this_life().split()
    theirs = life.split()
    if len(ours) != 4 or len(theirs) != 4 or ours[:2] != theirs[:2] or not theirs[2].isdecimal():
        return False
    return _life(int(theirs[2])) != life


def sleepless_clock() -> float:
    """Seconds by a clock that goes on while the machine sleeps; time.monotonic() stands still then on Linux and
    macOS, and a lease would seem fresh when it has long been another's."""
    # The first is Linux's; on macOS the second does it; Windows' own monotonic clock does.
    clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if clock is None else time.clock_gettime(clock)
