"""How a command ends, as a number. README has the same table; scripts and service managers rely on it."""

from __future__ import annotations

GOOD = 0  #: all is well
FAILED = 1  #: something failed: a batch was not imported, a letter was given up, a check found trouble
USAGE = 2  #: the command line or the configuration is wrong, or another daemon runs
WAITING = 75  #: nothing failed, but something is left waiting (EX_TEMPFAIL of sysexits.h)
