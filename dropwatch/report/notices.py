"""Short letters beside the outcome: to users what they can put right, to admins what only they can.

Each is written once for one event; how often, and to whom, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dropwatch.errors import OperatorError
from dropwatch.report import markup, plain
from dropwatch.report.admins import detail
from dropwatch.report.letter import Block, Facts, Heading, Items, Letter, Say, Step, Steps, Tone
from dropwatch.report.mails import progress, typeset
from dropwatch.report.sections import foot, under
from dropwatch.report.story import Site, Store, Story, Text
from dropwatch.report.words import count, duration, listed, moment, named, number, sentence, size, subject

SHOWN = 20  #: names in one list

_CONCERNS = {
    "omero": "All imports wait until this is put right.",
    "mail": "Mails wait until this is put right; imports go on.",
    "spool": "Nothing is taken up from this spool until this is put right.",
    "state": "Finished batches wait until their mails can be kept; imports go on.",
    "place": "Only batches with files to be fetched from there wait; all others go on.",
    "user": "Only the batches of the users named here wait; all others go on.",
}


@dataclass(frozen=True)
class DeadLetter:
    """A letter that could not be delivered; *error* is what the mail server said last."""

    id: str
    recipient: str
    subject: str
    attempts: int
    error: str


WRITING = "(still being written)"  #: behind the name of such a file, among what a folder waits for
_TEMPORARY = (
    "Names such as a.czi.part or .a.czi are those of files that are still being copied. If nobody copies any more, "
    "take them away, or give them their real names."
)


# -- to users -------------------------------------------------------------------------------------------


def incomplete(user: str, name: str, missing: Sequence[str], site: Site, fails_at: float) -> Text:
    """Return the mail for an incomplete batch in inbox; *missing*: ``b.czi (has 10 of 20 bytes)``."""
    until = moment(fails_at, site.timezone)
    left = len(missing) - SHOWN
    half = (Say(_TEMPORARY),) if any(item.endswith(WRITING) for item in missing) else ()
    blocks = (
        Say(
            f'Your folder "{named(name)}" has not been taken up yet, because it is not complete. '
            "Still waiting for:"
        ),
        Items(
            tuple(named(item, 200) for item in missing[:SHOWN]),
            f"and {number(left)} more" if left > 0 else "",
        ),
        Heading("What to do"),
        Say("If files are still being copied, there is nothing to do: it starts once everything is there."),
        Say(
            'Otherwise copy what is missing into the folder in "inbox", or correct the list of files in '
            "its manifest."
        ),
        *half,
        Say(f'We wait until {until}. After that the folder goes to "failed", unchanged, and you get a mail.'),
    )
    line = subject("Not complete yet", name, f"waiting for {count(len(missing), 'file')}")
    return typeset(Letter(line, Tone.INFO, "Not complete yet", _whose(name, user), blocks, foot(site)))


def split_run(user: str, name: str, site: Site) -> Text:
    """Return the mail for a folder that came again soon after it was taken up, so in two parts."""
    blocks = (
        Say(
            f'Your folder "{named(name)}" had been quiet for a while, so it was taken up. Soon after that '
            'a folder of the same name appeared in "inbox" again.'
        ),
        Say(
            "Probably the copying or the acquisition had paused. Both parts are imported, each on its own, "
            "and you get a mail for each. Nothing is lost."
        ),
        Heading("What to do"),
        Say(f"Please check in {site.store} that the images written around the pause are there and whole."),
        Say(
            "To avoid it: copy the folder under a name that ends in .part and rename it when it is whole, "
            "or add a manifest that lists its files."
        ),
    )
    line = subject("Came in two parts", name)
    return typeset(
        Letter(line, Tone.INFO, "This folder came in two parts", _whose(name, user), blocks, foot(site))
    )


def permission(user: str, path: str, remedy: str, site: Site) -> Text:
    """Return the user's mail on a folder that may not be taken. *path* as the user sees it."""
    blocks = (
        Say(
            "The import is not allowed to take this folder. It stays where it is; nothing has been imported:"
        ),
        Steps((Step("", named(path, 255)),)),
        Say("The facility has been told. Once the permissions are right, the import starts by itself."),
        *_remedy(remedy),
    )
    line = subject("Cannot be taken up", _last(path), "permission is missing")
    return typeset(
        Letter(line, Tone.MIXED, "A permission is missing", _whose(_last(path), user), blocks, foot(site))
    )


def operator_for_user(story: Story, error: OperatorError, site: Site) -> Text:
    """Return the user's mail, sent once, on a batch that waits for an admin."""
    blocks = (
        Say(sentence(error.message)),
        Say(
            "The facility has been told and can put it right. It then goes on by itself; you need do nothing."
        ),
        *progress(replace(story, waiting_for=""), site),
        Say("You get a mail when it is finished. Please leave the folder where it is."),
    )
    line = subject("Waiting", story.name, "the facility has been told")
    return typeset(Letter(line, Tone.INFO, "Your import is waiting", under(story, site), blocks, foot(site)))


# -- to admins ------------------------------------------------------------------------------------------


def permission_for_admins(user: str, path: str, remedy: str, site: Site) -> Text:
    """Return the admins' form of ``permission``; *path* as the daemon sees it."""
    blocks = (
        Say("dropwatch may not move this folder. It stays in inbox until that is put right; the user knows."),
        Facts((("User", user), ("Folder", path))),
        *_remedy(remedy),
    )
    line = subject(f"Permission missing, user {named(user, 40)}", _last(path))
    return _to_admins(line, Tone.BAD, "A permission is missing", blocks, site)


def operator(error: OperatorError, users: Sequence[str], site: Site) -> Text:
    """Return the mail on something that only an admin can put right; *users* are those who wait for it."""
    kind, _, name = error.concerns.partition(":")
    rows = [
        ("Concerns", f"{kind} {name}" if name else kind),
        ("Users waiting", _some(users)),
        ("Error", f"{type(error).__name__} {error.code}"),
    ]
    blocks = (
        Say(sentence(error.message)),
        *_remedy(error.remedy),
        Facts(tuple(rows)),
        Say(f"{_CONCERNS.get(kind, '')} It is tried again from time to time and goes on by itself."),
        *detail(error.detail),
    )
    line = subject("Needs an admin", sentence(error.message).rstrip("."))
    return _to_admins(line, Tone.BAD, "An admin has to act", blocks, site)


def outage(target: str, since: float, reason: str, waiting: int, site: Site, remedy: str = "") -> Text:
    """Return the mail on a server (*target*: "OMERO", "the mail server") that is away since *since*."""
    blocks = (
        Say(f"{_capital(target)} has not been reachable since {moment(since, site.timezone)}."),
        Facts((("Last error", reason), ("Waiting", count(waiting, _what(target))))),
        *_remedy(remedy),
        Say("Nothing is lost and no attempt is used up. It goes on by itself, and you get a mail then."),
    )
    line = subject("Cannot be reached", target, f"{count(waiting, _what(target))} waiting")
    return _to_admins(line, Tone.BAD, f"{_capital(target)} cannot be reached", blocks, site)


def outage_over(target: str, since: float, until: float, waiting: int, site: Site) -> Text:
    """Return the mail that ends an ``outage``."""
    span = duration(until - since)
    blocks = (
        Say(f"{_capital(target)} could be reached again at {moment(until, site.timezone)}, after {span}."),
        Say(f"Work goes on with {count(waiting, _what(target))} that had to wait.")
        if waiting
        else Say("Nothing had to wait."),
    )
    line = subject("Reachable again", target, f"after {span}")
    return _to_admins(line, Tone.GOOD, f"{_capital(target)} can be reached again", blocks, site)


def dead_letter(letter: DeadLetter, site: Site) -> Text:
    """Return the mail on a letter that could not be delivered."""
    blocks = (
        Say("A mail could not be delivered and was given up. It is kept, and its reader has not seen it."),
        Facts(
            (
                ("To", letter.recipient),
                ("Subject", letter.subject),
                ("Attempts", str(letter.attempts)),
                ("Last error", letter.error),
                ("Letter", letter.id),
            )
        ),
        Heading("Next steps"),
        Steps(
            (
                Step("Read it:", f"dropwatch mail show {letter.id}"),
                Step(f"Correct the address ({_kept(site, 'or')}) or the mail server."),
                Step("Send it again:", f"dropwatch mail retry {letter.id}"),
            )
        ),
    )
    line = subject("Mail not delivered", letter.recipient, letter.subject)
    return _to_admins(line, Tone.BAD, "A mail could not be delivered", blocks, site)


def low_space(path: str, free: int, least: int, waiting: int, site: Site) -> Text:
    """Return the mail on a disk that is nearly full: *free* and *least* (the limit) in bytes."""
    blocks = (
        Say("There is too little free space, so no new batches are taken up. What is under way goes on."),
        Facts(
            (
                ("Disk of", path),
                ("Free", size(free)),
                ("Limit", size(least)),
                ("Waiting", count(waiting, "folder")),
            )
        ),
        Heading("Next steps"),
        Say(
            'Make room, for instance by removing old folders from "done", or lower limits.min_free. '
            "It then goes on by itself."
        ),
    )
    line = subject("Disk nearly full", path, f"{size(free)} free")
    return _to_admins(line, Tone.BAD, "The disk is nearly full", blocks, site)


def no_address(text: Text, user: str, site: Site) -> Text:
    """Return a user's letter as it goes to the admins when no mail address of *user* is known."""
    note = (
        f"For the admins: no mail address of {named(user)} is known, so this letter came to you. "
        f"Please pass it on, and add the address in {_kept(site, 'or in')} (users)."
    )
    line = subject(f"For {named(user, 40)} (no address)", text.subject)
    return Text(line, plain.note_before(note, text.plain), markup.note_before(note, text.html))


def _kept(site: Site, between: str) -> str:
    """Where addresses of users stand."""
    return f"OMERO {between} the configuration" if site.store is Store.OMERO else "the configuration"


def _whose(name: str, user: str) -> tuple[str, ...]:
    return named(name), f"dropped by {named(user)}"


def _to_admins(line: str, tone: Tone, headline: str, blocks: tuple[Block, ...], site: Site) -> Text:
    return typeset(Letter(line, tone, headline, (site.name,), blocks))


def _remedy(remedy: str) -> tuple[Block, ...]:
    return (Heading("What to do"), Say(sentence(remedy))) if remedy else ()


def _some(users: Sequence[str]) -> str:
    shown = [named(user, 40) for user in users[:SHOWN]]
    left = len(users) - SHOWN
    return listed([*shown, f"{number(left)} more"] if left > 0 else shown) if shown else "none yet"


def _what(target: str) -> str:
    return "mail" if "mail" in target.lower() else "folder"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _last(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]
