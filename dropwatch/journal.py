"""The log: one line for each thing that happens, the verb first, then key=value, whoever says it.

Only this module says how a line looks, and where this process writes it. What others named is quoted and
escaped, so that a file name can neither forge a line nor move a terminal's cursor.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from types import TracebackType

#: Loggers of others that speak of what the daemon tells anyway: their errors only. (nicegui would warn of each
#: address that is not there, with the key of a sign-in link in it if somebody mistyped the path.)
_CHATTY = ("omero", "Ice", "tifffile", "mail.log", "asyncio", "nicegui")


def line(verb: str, **values: object) -> str:
    """``claim batch=... user=alice name="HeLa day 3"``. Whatever is no plain word is quoted and escaped. Values
    that are None are left out."""
    return " ".join([verb, *(f"{key}={_value(value)}" for key, value in values.items() if value is not None)])


def _value(value: object) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & set(' "=\\')
    return text if plain and text else json.dumps(text)


class OneLine(logging.Formatter):
    """``2026-11-24T07:20:01Z verb key=value``; what others log bears their name, and traces are folded in."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.name != "dropwatch":
            text = f"{record.levelname.lower()} logger={_value(record.name)} text={json.dumps(text)}"
        if record.exc_info:
            text += f" trace={json.dumps(self.formatException(record.exc_info))}"
        return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(record.created))} {text}"


def log_to_stderr() -> None:
    """Send the log of this process to standard error: ours in full, warnings of the libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("dropwatch").setLevel(logging.INFO)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # It calls it an error when it is closed while it reads; and an event that is lost costs a sweep at most.
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
    # Python's own way would write a trace as it is, with whatever names are in it.
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("dropwatch").error(
        line("bug", error=f"{kind.__name__}: {error}"), exc_info=(kind, error, trace)
    )


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and not issubclass(told.exc_type, SystemExit):
        _uncaught(told.exc_type, told.exc_value, told.exc_traceback)
