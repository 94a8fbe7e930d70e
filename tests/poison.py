"""What an attacker would call a file, and the rules that every way out keeps. Used by both tests of injection."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from email.message import Message
from html.parser import HTMLParser

LONG = "long" * 2500

#: Each may stand wherever others choose the words. Two by two they break out of one place more.
POISONS = {
    "header": "x\r\nBcc: eve@evil.example\r\n\r\nbody",
    "line": "x\n2026-11-24T07:20:01Z claim batch=20261124-140355-k3f9 user=bob",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;https://evil.example/\x1b\\click\x1b]8;;\x1b\\",
    "colours": "\x1b[31mred\x1b[2J\x1b[H\x9b31m\x90q\x9c",
    "keys": "\b\b\x7f\x00\x05\x0e\v\f",
    "direction": "gpj.\u202eexe\u2066a\u2069\u200f\u061c",
    "breaks": "a\u2028b\u2029c\x85d",
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x=\'javascript:alert(1)\' <!-- note --> --> ]]> &lt;',
    "markup": "[red]x[/red] [link=https://evil.example]y[/link] \\[bold] [/] \\",
    "template": "%s%n%(x)s {0} {x.__class__} ${x} $(reboot) `reboot` ;reboot;",
    "query": "'; delete from Image; -- %_\\' or 1=1",
    "half": "\udfff\ud800 \udc80\udcff",
    "word": "=?utf-8?q?Bcc=3A_eve=40evil.example?=",
    "address": "eve@evil.example, alice@example.org\r\nRCPT TO:<eve@evil.example>",
    "option": "--user=bob",
    "formula": "=cmd|' /C calc'!A0",
    "long": LONG,
}

# -- text ----------------------------------------------------------------------------------------------------

_JOINERS = "\u200c\u200d"  # in Persian words, and in the emoji of a family


def active(text: str, allowed: str = "\n") -> list[str]:
    """The characters of *text* that do something instead of being read, *allowed* ones aside."""
    return sorted({char for char in text if _acts(char)} - set(allowed))


def _acts(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in _JOINERS


# -- terminals -----------------------------------------------------------------------------------------------

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # SGR: what our own colours are made of
_LINK = re.compile(r"\x1b\]8;(?:id=[0-9]+)?;(?:https?://localhost/webclient/[!-~]*)?\x1b\\")  # to OMERO.web


def terminal(text: str, allowed: str = "\r\n") -> list[str]:
    """What *text* would make a terminal do, our own colours and links to OMERO.web aside."""
    return active(_LINK.sub("", _COLOURS.sub("", text)), allowed)


# -- HTML ----------------------------------------------------------------------------------------------------

_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "table", "tr", "td", "div", "p", "h2", "a"),
    *("ul", "ol", "li", "pre", "strong", "br"),
}
_ATTRIBUTES = {
    *("lang", "charset", "name", "content", "class", "style", "role", "cellpadding", "cellspacing", "border"),
    *("width", "align", "valign", "bgcolor", "colspan", "href"),
}
_OURS = re.compile(r"[\w\s:;#'\-.,%()/=!&]*", re.ASCII)  # of the attributes that hold none of others' words


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in _TAGS:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name == "href":
                self.links.append(value or "")
            elif name not in _ATTRIBUTES or not _OURS.fullmatch(value or ""):
                self.faults.append(f"{tag} {name}={value!r}")

    def handle_comment(self, data: str) -> None:
        if data.strip() != "note":
            self.faults.append(f"<!--{data}-->")

    def handle_pi(self, data: str) -> None:
        self.faults.append(f"<?{data}>")

    def unknown_decl(self, data: str) -> None:
        self.faults.append(f"<![{data}]>")


def html(page: str) -> list[str]:
    """What is in *page* that we never write: tags, attributes, links that lead anywhere but into OMERO.web."""
    parsed = _Page()
    parsed.feed(page)
    parsed.close()
    ours = re.compile(r"https?://(localhost|omero\.example)/webclient/")
    wrong = [link for link in parsed.links if not ours.match(link)]
    return [*parsed.faults, *wrong, *active(page)]


def tags(page: str) -> list[str]:
    """The tags of *page*, in their order."""
    parsed = _Page()
    parsed.feed(page)
    return parsed.tags


# -- mails ---------------------------------------------------------------------------------------------------

HEADERS = (
    *("Content-Type", "MIME-Version", "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
    "X-Dropwatch-Batch",
)


def headers(mail: Message, added: Iterable[str] = ()) -> list[str]:
    """What is wrong with the headers of *mail*; *added*: those that a mail server puts in front."""
    names = [name for name, _ in mail.items() if name not in added]
    strange = [name for name in names if name not in HEADERS]
    twice = [name for name in set(names) if names.count(name) > 1]
    lines = [value for value in map(str, mail.values()) if active(re.sub(r"\r?\n[ \t]", " ", value), "")]
    return [*strange, *twice, *lines]


# -- logs ----------------------------------------------------------------------------------------------------

_EVENT = re.compile(
    r"(?:(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) )?(?P<verb>[a-z-]+)"
    r'(?P<rest>(?: [a-z_]+=(?:"(?:[^"\\]|\\.)*"|[^\s"=\\]+))*)'
)
_PAIR = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"=\\]+)')


def event(line: str) -> dict[str, str]:
    """A line of the log, key by key; its verb as ``verb``. Fails when it is none."""
    found = _EVENT.fullmatch(line)
    assert found, f"no event: {line!r}"
    assert line.isascii() and line.isprintable(), line
    pairs = _PAIR.findall(found["rest"])
    values = {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}
    assert len(values) == len(pairs), f"a key twice: {line!r}"
    return {"verb": found["verb"], **values}
