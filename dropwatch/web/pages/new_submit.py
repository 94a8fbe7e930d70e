"""Handing a batch over, and what is said then: that one may log out, and who hears of the outcome.

Whatever goes wrong is told in words; only the person's own faults are told with what to do about them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

from nicegui import ui

from dropwatch import report, storage
from dropwatch.config import Config
from dropwatch.errors import DropwatchError, OperatorError, Unavailable
from dropwatch.web.house import House
from dropwatch.web.pieces import Say, button, go, icon
from dropwatch.web.visitor import DropFolder, Visitor

_NO_MAIL = "This facility sends no mails; My batches shows how it went."
_MAILED = "The outcome will be mailed to you."


@dataclass(frozen=True)
class Refused:
    """Nothing was handed over; *why* is for the person to read."""

    why: str


async def attempt(config: Config, folder: DropFolder, drop: Awaitable[Path]) -> Path | Refused:
    """What comes of *drop*, or in words why nothing did."""
    try:
        return await drop
    except DropwatchError as err:
        return Refused(sorry(config, err))
    except OSError as err:
        fault = storage.sort(err, f"The drop folder of {folder.user}", "spool")
        what = f"The drop folder of {folder.user} could not be written to: {err.strerror or err}."
        return Refused(sorry(config, fault or Unavailable(what, concerns="spool")))


def sorry(config: Config, error: DropwatchError) -> str:
    """*error* for the person who meets it: what an admin has to do is not theirs to read."""
    if not isinstance(error, OperatorError | Unavailable):
        return report.clean(str(error))
    return f"{report.clean(error.message)} {ask_facility(config)}"


def ask_facility(config: Config) -> str:
    """Whom to turn to, as a sentence."""
    contact = config.site.contact
    return f"Please tell {report.clean(config.site.name)}{f' ({report.clean(contact)})' if contact else ''}."


def confirmation(config: Config, name: str, address: str) -> Say:
    """What takes the place of the form; gives the sentence for who_hears(). *address*: the page of the batch."""
    with (
        ui.element("section")
        .classes("dw-card dw-handed-over")
        .props("tabindex=-1 aria-labelledby=handed-over") as card
    ):
        icon("task_alt").classes("dw-handed-sign")
        Say("h2", "You can log out now").props("id=handed-over")
        Say("p", f"{name} is handed over. It is imported as soon as its turn comes, also while you are away.")
        outcome = Say("p", _NO_MAIL if config.mail is None else _MAILED, "dw-quiet").props("role=status")
        with ui.element("div").classes("dw-actions"):
            go("Watch it in My batches", address, kind="main")
            button("Submit another batch", ui.navigate.reload)
    ui.run_javascript(f"getHtmlElement({card.id}).focus()")
    return outcome


async def who_hears(house: House, visitor: Visitor, folder: DropFolder) -> str:
    """Whom the outcome goes to, as a sentence. OMERO may have to be asked, so this can take some seconds."""
    config = house.config
    if config.mail is None:
        return _NO_MAIL
    address = config.user(folder.user).email
    if not address:
        try:
            address = (await house.images.account(visitor.name)).email
        except DropwatchError:  # the daemon asks again when it has something to say
            return f"{_MAILED} To which address, OMERO does not tell at the moment."
    if address:
        return f"The outcome goes to {address}."
    return f"No mail address of yours is known, so the outcome goes to {config.site.name}, who will tell you."
