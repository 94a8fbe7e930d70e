"""Checks a site from end to end and names the remedy for whatever is not well. It prints nothing.

What it tries (a probe batch, a test mail, a tiny image), it takes away again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dropwatch.config import Config
from dropwatch.doctor.drop_folders import look_at_user
from dropwatch.doctor.duty import look_at_daemon, on_duty
from dropwatch.doctor.findings import Finding, State, guarded, ill
from dropwatch.doctor.machine import look_at_formats, look_at_passwords, look_at_state
from dropwatch.doctor.page import look_at_page
from dropwatch.doctor.privacy import look_at_trust
from dropwatch.doctor.servers import import_as, look_at_mail, look_at_store, store_of
from dropwatch.doctor.source_places import look_at_places
from dropwatch.doctor.spools import look_at_spool, look_for_strangers
from dropwatch.importers.base import Importer
from dropwatch.outbox import Outbox

__all__ = ["Finding", "State", "examine", "import_as", "look_at_user", "on_duty"]


def examine(
    config: Config,
    environ: Mapping[str, str],
    *,
    importer: Importer | str,
    outbox: Outbox | None,
    test_mail: str | None = None,
    file: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """Everything there is to find, as it is found.

    importer  -- or in words why there is none on this machine
    outbox    -- None when nobody gets mail
    test_mail -- an address that gets one
    file      -- where the configuration lies
    """
    duty = on_duty(config.state)
    yield from guarded("daemon", look_at_daemon(config, duty, clock()))
    answering = [spool for spool in config.spools if spool.path not in duty.hanging]
    if not answering:
        return
    config = config.model_copy(update={"spools": tuple(answering)})
    daemon = duty.account(config.spools[0].path)
    yield from guarded("state folder", look_at_state(config, daemon, environ))
    yield from guarded("passwords", look_at_passwords(config, daemon, environ))
    yield from guarded("trust", look_at_trust(config, file, daemon))
    yield from guarded("Bio-Formats", look_at_formats(config, daemon, environ))
    for spool in config.spools:
        yield from guarded(f"spool {spool.path}", look_at_spool(config, spool, duty, environ))
    yield from look_at_places(config, daemon, environ)
    yield from guarded("users", look_for_strangers(config))
    yield from guarded("page", look_at_page(config))
    yield from guarded("mail server", look_at_mail(outbox, test_mail))
    if isinstance(importer, str):
        yield ill(store_of(config), importer, "Install what is missing, then check again.")
    else:
        yield from guarded(store_of(config), look_at_store(config, importer, daemon, environ))
