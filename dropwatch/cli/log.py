"""The log of the daemon on standard error: one line for each thing that happens, whoever says it."""

from __future__ import annotations

import json
import logging
import sys
import time

#: Loggers of others that speak of what the daemon tells anyway: their errors only.
_CHATTY = ("omero", "Ice", "tifffile", "mail.log", "asyncio")


class OneLine(logging.Formatter):
    """``2026-11-24T07:20:01Z verb key=value``; what others log bears their name, and traces are folded in."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.name != "dropwatch":
            text = f"{record.levelname.lower()} logger={record.name} text={json.dumps(text)}"
        if record.exc_info:
            text += f" trace={json.dumps(self.formatException(record.exc_info))}"
        return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(record.created))} {text}"


def log_to_stderr() -> None:
    """Send the log to standard error: ours in full, warnings of the libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("dropwatch").setLevel(logging.INFO)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # It calls it an error when it is closed while it reads; and an event that is lost costs a sweep at most.
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
