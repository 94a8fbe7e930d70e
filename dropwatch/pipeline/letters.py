"""Who is told what, and when. Words come from report/, letters go to the outbox; nothing is sent here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable

from dropwatch import report
from dropwatch.config import Config
from dropwatch.errors import DropwatchError, OperatorError
from dropwatch.model import Failed, Verdict
from dropwatch.outbox import Letter, letter_id
from dropwatch.pipeline.addresses import Addresses
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.pauses import Paused
from dropwatch.report import DeadLetter, Site, Story, Text

Post = Callable[[Letter], bool]

#: Kinds of letters that a record says were written: when they cannot be stored, their batch waits. All others may
#: wait in memory: what they tell shows in `status`, and will be told again as long as it lasts.
_NO_ADDRESS = "-no-address"
_SWORN = ("outcome", "failure", "delay", "withdrawn")


class Letters:
    """Writes letters for batches and for admins. *post* stores one durably; posting one twice does nothing.

    keep -- takes a letter that cannot be stored now, and sees to it that it is sent all the same
    """

    def __init__(
        self,
        config: Config,
        post: Post,
        keep: Callable[[Letter], None],
        addresses: Addresses,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._post, self._keep = post, keep
        self._addresses = addresses
        self._clock = clock
        self.site = report.site_of(config)

    # -- about a batch -----------------------------------------------------------------------------

    def outcome(self, case: Case) -> None:
        """The outcome: to the user, to whom the manifest names, and to the admins if anything failed."""
        story = story_of(case)
        text = report.outcome(story, self.site)
        self._to_user(case, "outcome", text)
        for address in case.plan.notify if case.plan else ():
            if self._config.may_send_to(address):
                self._write("outcome", case.record.batch, case.record.claim, case.user, address, text)
        if story.verdict is not Verdict.IMPORTED and (story.problems or any(story.failures())):
            self._to_admins("failure", case, report.outcome_for_admins(story, self.site))

    def delay(self, case: Case) -> None:
        self._to_user(case, "delay", report.delay(story_of(case), self.site))

    def withdrawn(self, case: Case) -> None:
        self._to_user(case, "withdrawn", report.withdrawn(story_of(case), self.site))

    def bug(self, case: Case, error: str, trace: str) -> None:
        self._to_admins("bug", case, report.bug(story_of(case), error, trace, self.site))

    def stuck(self, case: Case, seconds: float) -> None:
        self._to_admins("stuck", case, report.stuck(story_of(case), seconds, self.site))

    def operator_for_user(self, case: Case, error: OperatorError, since: float) -> None:
        """Tell a user, once for each fault, that an admin has to act. No address: the admins know anyway."""
        address = self.address(case)
        if address:
            text = report.operator_for_user(story_of(case), error, self.site)
            self._write("operator", case.user, _stamp(since), case.user, address, text)

    def address(self, case: Case) -> str | None:
        """The user's address: configuration first, then OMERO. Never from a record or a manifest."""
        return self.address_of(case.user, case.owner)

    def address_of(self, user: str, owner: str | None) -> str | None:
        instrument = self._config.instrument(user) is not None
        owner = owner or (None if instrument else self._config.omero_name(user))
        for name in (user, *self._config.users):
            known = self._config.user(name)
            theirs = name == user if not instrument else self._config.omero_name(name) == owner
            if theirs and known.email:
                return known.email
        found = self._addresses.get(owner) if owner else None
        return found or (self._config.user(user).email if instrument else None)

    def _to_user(self, case: Case, kind: str, text: Text) -> None:
        self._to(case.user, self.address(case), kind, case.record.batch, case.record.claim, text)

    def _to_admins(self, kind: str, case: Case, text: Text) -> None:
        self._all_admins(kind, case.record.batch, case.record.claim, case.user, text)

    # -- about a drop that is not claimed yet ------------------------------------------------------

    def incomplete(self, user: str, name: str, lacking: Iterable[str], state: str, fails_at: float) -> None:
        """*state*: digest of what lay there, so that one state is told of once, also after a restart."""
        text = report.incomplete(user, name, list(lacking), self.site, fails_at)
        self._to(user, self.address_of(user, None), "incomplete", name, state, text)

    def split_run(self, user: str, name: str, claim: str) -> None:
        text = report.split_run(user, name, self.site)
        self._to(user, self.address_of(user, None), "split", name, claim, text)

    def permission(self, user: str, path: str, error: OperatorError) -> None:
        """To user and admins: what may not be moved or read. Once a day as long as it lasts."""
        text = report.permission(user, path, error.remedy, self.site)
        address = self.address_of(user, None)
        if address:
            self._write("permission", path, self._today(), user, address, text)
        admins = report.permission_for_admins(user, path, error.remedy, self.site)
        self._all_admins("permission", path, self._today(), user, admins)

    # -- about targets -----------------------------------------------------------------------------

    def operator(self, paused: Paused, users: list[str]) -> None:
        if isinstance(paused.error, OperatorError):
            text = report.operator(paused.error, users, self.site)
            self._all_admins("operator", paused.name, _stamp(paused.pause.since), "", text)

    def outage(self, paused: Paused, waiting: int) -> None:
        name, pause = paused.name, paused.pause
        called, remedy = _called(name, self.site), paused.error.remedy
        text = report.outage(called, pause.since, pause.reason, waiting, self.site, remedy)
        self._all_admins("outage", name, _stamp(pause.since), "", text)

    def outage_over(self, paused: Paused, waiting: int) -> None:
        since = paused.pause.since
        text = report.outage_over(_called(paused.name, self.site), since, self._clock(), waiting, self.site)
        self._all_admins("outage-over", paused.name, _stamp(since), "", text)

    def fault(self, error: OperatorError, users: list[str]) -> None:
        """Something an admin has to mend that stops no target. Once a day as long as it lasts."""
        self._all_admins("fault", error.message, self._today(), "", report.operator(error, users, self.site))

    def low_space(self, path: str, free: int, least: int, waiting: int) -> None:
        self._all_admins(
            "space", path, self._today(), "", report.low_space(path, free, least, waiting, self.site)
        )

    def dead(self, letter: Letter) -> None:
        """Alert the admins of a letter that could not be delivered; not of an alert that could not."""
        if letter.kind == "dead-letter":
            return
        summary = DeadLetter(letter.id, letter.to, letter.subject, letter.attempts, letter.error)
        self._all_admins("dead-letter", letter.batch, letter.id, "", report.dead_letter(summary, self.site))

    def _today(self) -> str:
        """The day, for notices that are repeated daily at most."""
        return time.strftime("%Y-%m-%d", time.gmtime(self._clock()))

    # -- writing -----------------------------------------------------------------------------------

    def _to(self, user: str, address: str | None, kind: str, batch: str, claim: str, text: Text) -> None:
        if address:
            self._write(kind, batch, claim, user, address, text)
        else:
            self._all_admins(
                f"{kind}{_NO_ADDRESS}", batch, claim, user, report.no_address(text, user, self.site)
            )

    def _all_admins(self, kind: str, batch: str, claim: str, user: str, text: Text) -> None:
        for address in self._config.mail.admins if self._config.mail else ():
            self._write(kind, batch, claim, user, address, text)

    def _write(self, kind: str, batch: str, claim: str, user: str, to: str, text: Text) -> None:
        if self._config.mail is None:
            return
        name = letter_id(batch, claim, kind, to)
        letter = Letter(
            name, kind, batch, claim, user, to, text.subject, text.plain, text.html, self._clock()
        )
        try:
            self._post(letter)
        except OSError:
            if kind.removesuffix(_NO_ADDRESS) in _SWORN:
                raise
            self._keep(letter)


def story_of(case: Case) -> Story:
    """All that can be told of a claimed batch now."""
    lines = tuple(case.lines())
    return report.tell(case.envelope, case.record, lines, case.spool.root, case.beneficiary, case.waiting_for)


def failure(error: DropwatchError, *, lasting: bool) -> Failed:
    """An error as the outcome of a fileset."""
    kind = f"{type(error).__name__} {error.code}".strip()
    log = getattr(error, "log", None)
    return Failed(
        error.message, error.remedy, lasting, kind, error.detail, log if isinstance(log, int) else None
    )


def digest(*parts: object) -> str:
    """A short stable name for a state, for letter ids."""
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _called(target: str, site: Site) -> str:
    """What people call a target."""
    kind, _, name = target.partition(":")
    called = {
        "spool": "the spool",
        "batch": "the folder of batch",
        "drop": "the drop",
        "inbox": "the inbox of",
        "place": "the place",
    }
    if kind in called:
        return f"{called[kind]} {name}"
    known = {"omero": str(site.store), "mail": "the mail server", "state": "the state folder"}
    return known.get(target, target)


def _stamp(at: float) -> str:
    return f"{at:.3f}"
