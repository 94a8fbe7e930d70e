"""Parts of a page that are drawn again when what they show has changed, and only then.

So a selection and the place in a long list stay where they are while a page is live. In what is drawn again,
static/focus.js keeps the place of the keyboard.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from nicegui import ui

Shown = TypeVar("Shown")


class Parts(Generic[Shown]):
    """The elements *tag* in *home*, one for each value that is shown; *draw* fills one."""

    def __init__(self, home: ui.element, tag: str, draw: Callable[[Shown], object]) -> None:
        self._home, self._tag, self._draw = home.props("data-redrawn"), tag, draw
        self._elements: dict[Hashable, ui.element] = {}
        self._shown: dict[Hashable, Shown] = {}

    def show(self, values: Iterable[tuple[Hashable, Shown]]) -> None:
        """Show *values*, each under a key that stays its own while it changes."""
        wanted = dict(values)
        for key in self._elements.keys() - wanted.keys():
            self._elements.pop(key).delete()
            del self._shown[key]
        for place, (key, value) in enumerate(wanted.items()):
            self._fill(key, value)
            there = self._home.default_slot.children
            if there[place] is not self._elements[key]:
                self._elements[key].move(target_index=place)

    def _fill(self, key: Hashable, value: Shown) -> None:
        if key in self._shown and self._shown[key] == value:
            return
        if key not in self._elements:
            with self._home:
                self._elements[key] = ui.element(self._tag)
        element = self._elements[key]
        element.clear()
        with element:
            self._draw(value)
        self._shown[key] = value
