"""Who is signed in, and the tokens of their programs: made here (and shown once), listed, revoked."""

from __future__ import annotations

import asyncio
import json

from nicegui import ui

from dropwatch.report import clean, moment
from dropwatch.web.entrance import asking_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.pages.facility_parts import LOOKS
from dropwatch.web.pages.new_fields import choice, line
from dropwatch.web.pieces import Notice, Say, Tone, button, card, confirm, fact, facts, hide, part, table
from dropwatch.web.redraw import Parts
from dropwatch.web.tokens import Token
from dropwatch.web.visitor import Visitor

_DAY = 86400.0
_LASTING = {"30": "30 days", "365": "One year", "": "Until it is revoked"}
_NAME_MOST = 100  #: characters
_COPY = "return navigator.clipboard ? navigator.clipboard.writeText(%s).then(() => true, () => false) : false"
_ONCE = "Copy it now: it is shown this once. Whoever has it acts as you."


def register(house: House) -> None:
    """Hang up /account."""
    asking = asking_at(house.doorkeeper)

    @ui.page("/account")
    async def account(visitor: Visitor = asking) -> None:
        ui.add_head_html(LOOKS)
        with frame(house, visitor, "Account", "/account"):
            _whoever(visitor)
            await _Programs(house, visitor).show()


def _whoever(visitor: Visitor) -> None:
    with card(), facts():
        fact("Name in OMERO", visitor.name)
        folders = ", ".join(str(folder.spool / folder.user) for folder in visitor.folders)
        fact("Drop folder", folders or "none")
        if visitor.admin:
            fact("Rights", "Admin: sees everybody's batches, and the facility")


class _Programs:
    """The tokens of *visitor*, and the form that makes one."""

    def __init__(self, house: House, visitor: Visitor) -> None:
        self._house, self._visitor = house, visitor
        self._tokens, self._making = house.doorkeeper.tokens, False
        with part("Access for programs") as self._home:
            about = "A token lets a program, such as acquisition software, do what you can do here."
            with ui.element("p").classes("dw-quiet"):
                Say("span", f"{about} What there is to do, and how: ")
                ui.link("the documentation of the API", "/docs")
            self._form()
            self._made()
            with ui.element("div") as self._some:
                body = table("Tokens", "Name", "For", "Made", "Good until", "Last used", "")
            self._rows = Parts[Token](body, "tr", self._row)
            self._none = Say("p", "There is no token yet.", "dw-quiet")

    def _form(self) -> None:
        with ui.element("form").classes("dw-row dw-token-form").on("submit.prevent", self._make):
            self._name = line("Name, such as ZEN at confocal 1", lambda: None)
            self._name.props(f"maxlength={_NAME_MOST}")
            self._owner = choice("Acts as", self._owners(), self._visitor.name, lambda: None)
            hide(self._owner, len(self._owners()) == 1)
            self._days = choice("Good for", _LASTING, "365", lambda: None)
            button("Make a token", sign="key", kind="main").props('type="submit"')

    def _owners(self) -> dict[str, str]:
        """As whom a program may act: as the visitor; an admin gives instruments theirs."""
        mine, known = {self._visitor.name: self._visitor.name}, self._house.config.instruments
        return mine | ({name: f"{name}, an instrument" for name in known} if self._visitor.admin else {})

    def _made(self) -> None:
        with card(classes="dw-part") as self._new:
            Notice(Tone.WAIT, _ONCE)
            with ui.element("div").classes("dw-row"):
                self._secret = Say("code", "", "dw-mono dw-secret").props("tabindex=0")
                button("Copy", self._copy, sign="content_copy")
        hide(self._new)

    def _row(self, token: Token) -> None:
        zone = self._house.config.site.timezone
        with ui.element("th").props('scope="row"'):
            Say("span", token.name)
        Say("td", f"{token.owner}{', as an admin' if token.admin else ''}")
        Say("td", moment(token.created, zone), "dw-nowrap")
        Say("td", moment(token.expires, zone) if token.expires else "it is revoked", "dw-nowrap")
        Say("td", moment(token.used, zone) if token.used else "never", "dw-nowrap")
        with ui.element("td"):
            button("Revoke", lambda: self._revoke(token), kind="plain", label=f"Revoke {token.name}")

    async def show(self) -> None:
        """Show the tokens as they are now."""
        everyone = await asyncio.to_thread(self._tokens.all)
        theirs = [token for token in everyone if self._visitor.admin or token.owner == self._visitor.name]
        self._rows.show((token.id, token) for token in theirs)
        hide(self._some, not theirs)
        hide(self._none, bool(theirs))

    async def _make(self) -> None:
        name = str(self._name.value or "").strip()[:_NAME_MOST]
        self._name.error = (
            None if name and name.isprintable() else "Give it a name, so that you know it again."
        )
        if self._name.error or self._making:
            return
        self._making = True
        expires = self._house.clock() + int(self._days.value) * _DAY if self._days.value else None
        owner = self._owner.value if self._owner.value in self._owners() else self._visitor.name
        try:
            secret, _ = await asyncio.to_thread(
                lambda: self._tokens.make(owner, name, admin=False, expires=expires)
            )
        finally:
            self._making = False
        self._secret.say(secret)
        hide(self._new, False)
        self._name.set_value("")
        await self.show()

    async def _copy(self) -> None:
        text = json.dumps(self._secret.text)
        # Browsers lend their clipboard to pages that came by TLS, or from this machine.
        if await ui.run_javascript(_COPY % text):
            ui.notify("Copied.", type="positive")
        else:
            ui.notify(
                "The browser does not let it be copied: select it, and copy it yourself.", type="warning"
            )

    async def _revoke(self, token: Token) -> None:
        with self._home:
            text = "Programs that use it are turned away from then on."
            if await confirm(f"Revoke {clean(token.name)}?", text, yes="Revoke", danger=True):
                await asyncio.to_thread(self._tokens.revoke, token)
                hide(self._new)
                await self.show()
