"""dropwatch as a Windows service: starts the daemon, starts it again when it died, stops it in good order.

It knows nothing of dropwatch but the command line, so that a crash there does not take the service along. README.md
beside this file says how to install it; ``python service.py`` alone lists the commands.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

try:
    import servicemanager
    import win32console
    import win32job
    import win32service
    import win32serviceutil
except ImportError as missing:
    WITHOUT_PYWIN32 = (
        f"This file runs dropwatch as a Windows service and needs pywin32 ({missing}).\n"
        "On Windows:  py -m pip install pywin32   and then again.\n"
        "On Linux see service/systemd, on a Mac service/launchd."
    )
else:
    WITHOUT_PYWIN32 = ""

HOME = Path(os.environ.get("PROGRAMDATA", "C:/ProgramData")) / "dropwatch"
ARGUMENTS = ("-m", "dropwatch", "--config", str(HOME / "dropwatch.yaml"))
PAGE = "dropwatch_web"  # a copy of this file whose name begins so is the service of the page
USAGE = 2  # dropwatch's exit code for a configuration it cannot use: starting it again would not help


class Keeper:
    """Keeps one process of *command* running until told to stop.

    command  -- program and arguments
    log      -- gets each line of the process's error output
    adopt    -- sees each new process before anything else happens to it
    pause    -- seconds between an unexpected end and the next start
    patience -- seconds the process gets to end when asked to; then it is killed
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Callable[[str], None],
        *,
        adopt: Callable[[subprocess.Popen[str]], None] = lambda process: None,
        pause: float = 10.0,
        patience: float = 120.0,
    ) -> None:
        self._command = command
        self._log = log
        self._adopt = adopt
        self._pause = pause
        self._patience = patience
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> int:
        """Return when stopped (0) or when dropwatch refused its configuration (USAGE)."""
        while (process := self._started()) is not None:
            with process:
                for line in process.stderr or ():
                    self._log(line.rstrip())
            self._log(f"ended exit={process.returncode}")
            if process.returncode == USAGE and not self._stopping.is_set():
                return USAGE
            self._stopping.wait(self._pause)
        return 0

    def stop(self) -> None:
        """Ask the process to end, wait for it, kill it if it does not listen."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGTERM)
        try:
            process.wait(self._patience)
        except subprocess.TimeoutExpired:
            self._log(f"kill pid={process.pid} after={self._patience:g}s")
            process.kill()

    def _started(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                # A group of its own: the request to end must reach the daemon and not this service.
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
            self._adopt(self._process)
            return self._process


def file_log(path: Path) -> Callable[[str], None]:
    """A log that never fills the disk: five files of 10 MB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("dropwatch.service")
    logger.setLevel(logging.INFO)
    logger.addHandler(RotatingFileHandler(path, maxBytes=10_000_000, backupCount=4, encoding="utf-8"))
    return logger.info


if not WITHOUT_PYWIN32:

    class Service(win32serviceutil.ServiceFramework):
        """What Windows' service manager talks to."""

        _svc_name_ = "dropwatch"
        _svc_display_name_ = "dropwatch"
        _svc_description_ = "Imports dropped microscopy images into OMERO."
        _command_ = "run"

        def __init__(self, arguments: Sequence[str]) -> None:
            super().__init__(arguments)
            # A service has no console, and CTRL_BREAK travels through one.
            win32console.AllocConsole()
            self._job = job_that_ends_with_us()
            # pythonservice.exe hosts this class; the Python it belongs to lies beside it.
            command = (str(Path(sys.exec_prefix) / "python.exe"), *ARGUMENTS, self._command_)
            self._keeper = Keeper(
                command, file_log(HOME / "log" / f"{self._svc_name_}.log"), adopt=self._adopt
            )

        def SvcDoRun(self) -> None:
            if self._keeper.run() == USAGE:
                servicemanager.LogErrorMsg(f"dropwatch cannot use its configuration; see {HOME / 'log'}")

        def SvcStop(self) -> None:
            # The service manager waits for an answer here, so the waiting is done elsewhere.
            self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, waitHint=150_000)
            threading.Thread(target=self._keeper.stop).start()

        SvcShutdown = SvcStop

        def _adopt(self, process: subprocess.Popen[str]) -> None:
            win32job.AssignProcessToJobObject(self._job, int(process._handle))

    class PageService(Service):
        """The page in the browser, beside the daemon."""

        _svc_name_ = "dropwatch-web"
        _svc_display_name_ = "dropwatch page"
        _svc_description_ = "The page of dropwatch: submit batches and watch them from a browser."
        _command_ = "web"

    def job_that_ends_with_us() -> object:
        """A job object: when this service dies, Windows ends every process in it."""
        job = win32job.CreateJobObject(None, "")
        limits = win32job.QueryInformationJobObject(job, win32job.JobObjectExtendedLimitInformation)
        limits["BasicLimitInformation"]["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        win32job.SetInformationJobObject(job, win32job.JobObjectExtendedLimitInformation, limits)
        return job


def main() -> int:
    """Hand the command line to pywin32, or say what is missing (exit code 2)."""
    if WITHOUT_PYWIN32:
        print(WITHOUT_PYWIN32, file=sys.stderr)
        return USAGE
    service = PageService if Path(sys.argv[0]).stem.startswith(PAGE) else Service
    return int(win32serviceutil.HandleCommandLine(service) or 0)


if __name__ == "__main__":
    sys.exit(main())
