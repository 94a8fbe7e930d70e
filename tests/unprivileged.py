"""A daemon under an account of its own that may do little: a bare uid, none is made for it. Needs root, on Linux."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.world import World, wait_until

CAP_LEASE = 28  #: linux/capability.h

#: Another account may not be able to read this Python (below /root, say), so all that a daemon may need is loaded
#: before, and the workers are threads: no process of that account could start it.
_PROGRAM = """
import ctypes, encodings, importlib, logging, os, pkgutil, struct, sys
for package in ("encodings", "dropwatch"):
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, package + "."):
        rooms = {"sandbox", "web", "cli"}.intersection(module.name.split("."))
        if not module.name.endswith(("__main__", "mbcs", "oem")) and not rooms:
            importlib.import_module(module.name)
import yagmail
_, uid, path, keeps, tests = sys.argv
sys.path.append(tests)
from threads import thread_staff
from dropwatch import config, daemon
from dropwatch.journal import log_to_stderr
from dropwatch.task.eyes import ByName
log_to_stderr()
settings = config.load(config.Path(path))
staff = thread_staff(settings, None, ByName)
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
os.setgroups([])
os.setresgid(int(uid), int(uid), int(uid))
os.setresuid(int(uid), int(uid), int(uid))
header, mask = struct.pack("Ii", 0x20080522, 0), 1 << int(keeps) if int(keeps) >= 0 else 0
assert libc.capset(header, struct.pack("6I", mask, mask, 0, 0, 0, 0)) == 0
os.umask(0o002)
life = daemon.Daemon(settings, staff, {})
daemon.on_signals(life.stop)
life.run()
"""


def start(world: World, uid: int, *, capability: int = -1) -> subprocess.Popen[bytes]:
    """The daemon of *world* as the account *uid*, without a group but its own; it keeps one *capability* at most."""
    words = [str(uid), str(world.config), str(capability), str(Path(__file__).parent)]
    with world.log.open("a") as log:
        daemon = subprocess.Popen([sys.executable, "-c", _PROGRAM, *words], stdout=log, stderr=log)
    try:
        wait_until(
            lambda: " start version=" in world.log.read_text() or daemon.poll(), what="the daemon starts"
        )
        assert daemon.poll() is None, world.log.read_text()
    except AssertionError:
        daemon.kill()
        daemon.wait()
        raise
    return daemon
