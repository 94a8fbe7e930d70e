"""The fields of the form: text, chips, pairs. They look alike, say their hint below, and their problem in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement
from nicegui.events import GenericEventArguments

from dropwatch.web.pieces import button

Field = TypeVar("Field", bound=ui.element)
_LOOK = "outlined dense stack-label"


def line(label: str, changed: Callable[[], None], *, hint: str = "", value: str = "") -> ui.input:
    """One line of text."""
    made = ui.input(label, value=value, on_change=changed).props(_LOOK).classes("dw-field")
    return hinted(made, hint)


def paragraph(label: str, changed: Callable[[], None]) -> ui.textarea:
    """Some lines of text."""
    return ui.textarea(label, on_change=changed).props(f"{_LOOK} autogrow").classes("dw-field")


def choice(label: str, options: dict[str, str], value: str, changed: Callable[[], None]) -> ui.select:
    """One of few."""
    return ui.select(options, label=label, value=value, on_change=changed).props(_LOOK).classes("dw-field")


def hinted(field: Field, hint: str) -> Field:
    """*field* with *hint* below it."""
    if hint:
        field.props["hint"] = hint
    return field


def complain(field: ValidationElement[Any], problem: str | None) -> None:
    """Say *problem* in its place, a clause of the manifest room; None: there is none."""
    field.without_auto_validation()  # which would take our words away with each change
    field.error = f"{problem[:1].upper()}{problem[1:]}." if problem else None


class Chips(ui.input_chips):
    """Several short texts. What was typed counts when the field is left, too.

    apart -- what separates two that are typed or pasted at once
    """

    def __init__(self, label: str, changed: Callable[[], None], *, hint: str, apart: str) -> None:
        super().__init__(label, new_value_mode="add-unique", on_change=changed)
        self.props(_LOOK).classes("dw-field")
        self.props["hint"] = hint
        self._apart, self._typing = apart, ""
        self.on("input-value", self._typed)
        self.on("blur", self.settle)

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them, once each."""
        parts = [part.strip() for value in self.value or () for part in re.split(self._apart, str(value))]
        return tuple(dict.fromkeys(part for part in parts if part))

    def put(self, texts: Sequence[str]) -> None:
        """Show *texts* instead."""
        self.value = list(texts)

    def _typed(self, event: GenericEventArguments) -> None:
        self._typing = event.args if isinstance(event.args, str) else ""

    def settle(self) -> None:
        """Take what was typed. The browser tells that a field was left only after the click on the next thing."""
        if typed := self._typing.strip():
            self._typing = ""
            self.run_method("updateInputValue", "", True)
            self.value = [*(self.value or []), *([] if typed in (self.value or []) else [typed])]


class Pairs(ui.element):
    """Rows of a key and a value, as many as one likes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__("fieldset")
        self.classes("dw-pairs").props("data-redrawn")
        self._changed = changed
        self._made = 0
        self._rows: list[tuple[ui.input, ui.input]] = []
        with self:
            with ui.element("legend"):
                ui.label("Key-value pairs")
            self._body = ui.element("div").classes("dw-pairs-body")
            self._problem = ui.label("").classes("dw-problem").props("role=alert")
            button("Add a pair", lambda: self._add("", "", focus=True), sign="add", kind="plain")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """As they were typed; rows that are empty too."""
        return tuple((key.value or "", value.value or "") for key, value in self._rows)

    def put(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Show *pairs* instead."""
        self._body.clear()
        self._rows.clear()
        self._made = 0
        for key, value in pairs:
            self._add(key, value)

    def complain(self, problem: str | None) -> None:
        """Say *problem* below them."""
        self._problem.text = f"{problem[:1].upper()}{problem[1:]}." if problem else ""

    def _add(self, key: str, value: str, *, focus: bool = False) -> None:
        with self._body, ui.element("div").classes("dw-pair") as row:
            self._made += 1
            number = self._made  # not that of a pair which was there before
            fields = (
                line(f"Key {number}", self._changed, value=key),
                line(f"Value {number}", self._changed, value=value),
            )
            self._rows.append(fields)
            button(
                "",
                lambda: self._remove(row, fields),
                sign="close",
                kind="plain",
                label=f"Remove pair {number}",
            )
        if focus:
            fields[0].run_method("focus")

    def _remove(self, row: ui.element, fields: tuple[ui.input, ui.input]) -> None:
        self._rows.remove(fields)
        row.delete()
        self._changed()


class Suggesting(ui.select):
    """One line of text with suggestions: one of them, or something else."""

    def __init__(self, label: str, changed: Callable[[], None], *, hint: str) -> None:
        super().__init__([], label=label, with_input=True, clearable=True, on_change=changed)
        self.props(_LOOK).classes("dw-field")
        self.props["hint"] = hint
        self._offered: list[str] = []
        self._typing = ""
        self.on("input-value", self._typed)
        self.on("blur", self.settle)

    @property
    def text(self) -> str:
        return str(self.value or "")

    def offer(self, texts: Sequence[str]) -> None:
        """Suggest *texts*."""
        self._offered = list(texts)
        self.choose(self.text)

    def choose(self, text: str) -> None:
        """Show *text*."""
        more = [] if not text or text in self._offered else [text]
        self.set_options(list(dict.fromkeys([*more, *self._offered])), value=text or None)

    def _typed(self, event: GenericEventArguments) -> None:
        self._typing = event.args if isinstance(event.args, str) else ""

    def settle(self) -> None:
        """Take what was typed. The browser tells that a field was left only after the click on the next thing."""
        if typed := self._typing.strip():
            self._typing = ""
            self.choose(typed)
