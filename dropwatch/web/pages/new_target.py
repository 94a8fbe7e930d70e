"""Where to: a new dataset or screen by name, or one that the person has in OMERO; and the group.

Without OMERO (it is away, or images go to folders) there are names only, and that is enough to submit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from dropwatch.model import Tree
from dropwatch.web.pages.new_draft import Draft, Known, NewDataset, NewScreen
from dropwatch.web.pages.new_fields import Suggesting, choice, complain, line
from dropwatch.web.pages.new_owned import OwnedTree
from dropwatch.web.pieces import Say, hide

_DATASET, _SCREEN, _KNOWN = "dataset", "screen", "known"
_KINDS = {_DATASET: "A new dataset", _SCREEN: "A new screen, for plates", _KNOWN: "One that I have already"}


class WhereTo:
    """The fields.

    changed -- told whenever one of them changed; regroup -- told that what is in another group is wanted
    """

    def __init__(self, changed: Callable[[], None], regroup: Callable[[], Any]) -> None:
        self._changed, self._regroup = changed, regroup
        self._known: Known | None = None
        self._default = ""
        self._build()

    @property
    def group(self) -> str | None:
        """The group that was chosen; None: the person's default group."""
        return str(self._group.value) or None

    def read(self, draft: Draft) -> Draft:
        """*draft* with what these fields say."""
        return draft.model_copy(update={"where": self._where(), "group": self.group or ""})

    def settle(self) -> None:
        """Take what was typed last."""
        self._project.settle()

    def restore(self, draft: Draft) -> None:
        """Show what *draft* says."""
        if draft.group:
            self._group.set_options({**self._options(), draft.group: draft.group}, value=draft.group)
        match draft.where:
            case NewDataset(name=name, project=project):
                self._dataset.value = name
                self._project.choose(project)
            case NewScreen(name=name):
                self._screen.value, self._kind.value = name, _SCREEN
            case Known() as known:
                self._known, self._kind.value = known, _KNOWN
                self._tree.pick(known)

    def named(self, batch: str) -> None:
        """Show what the name of the batch makes of fields that are left empty."""
        for field in (self._dataset, self._screen):
            field.props["placeholder"] = batch or "as the batch"

    def has(self, tree: Tree) -> None:
        """Offer what OMERO has of the person in a group."""
        self._default = tree.groups[0] if tree.groups else ""
        mine = {"": f"{self._default} (your default)" if self._default else "Your default group"}
        options = mine | {name: name for name in tree.groups[1:]}
        self._group.set_options(options, value=self.group if self.group in options else "")
        hide(self._group, len(options) < 2)
        self._tree.show(tree)
        self._project.offer([project.name for project in tree.projects])
        hide(self._kind, False)

    def away(self) -> None:
        """There is no tree: names only."""
        if self._known is None:
            self._kind.set_options({key: _KINDS[key] for key in (_DATASET, _SCREEN)}, value=self._kind.value)

    def complain(self, problem: str | None, about_group: str | None) -> None:
        """Say what is wrong with the target and with the group."""
        complain(self._dataset, problem if self._kind.value == _DATASET else None)
        complain(self._screen, problem if self._kind.value == _SCREEN else None)
        complain(self._group, about_group)

    @property
    def lacks(self) -> bool:
        """Whether something has to be chosen before it can be submitted."""
        return self._kind.value == _KNOWN and self._known is None

    @property
    def holds_plates(self) -> bool | None:
        """Whether plates belong where it goes: in a screen, and nowhere else. None: wherever they have to."""
        where = self._where()
        if isinstance(where, NewDataset):
            return False if where.name or where.project else None
        return isinstance(where, NewScreen) or where.what.value == "Screen"

    def told(self, batch: str) -> str:
        """In words, for the summary."""
        match self._where():
            case Known() as known:
                return f"{known.what.lower()} {known.path}"
            case NewScreen(name=name):
                return f"screen {name.strip() or batch}"
            case NewDataset(name=name, project=project):
                within = f", project {project.strip()}" if project.strip() else ""
                return f"dataset {name.strip() or batch}{within}"

    # -- what it is made of ----------------------------------------------------------------------------------

    def _build(self) -> None:
        with ui.element("fieldset").classes("dw-where"):
            with ui.element("legend"):
                Say("span", "The images go to")
            self._kind = ui.radio(_KINDS, value=_DATASET, on_change=self._rekind).classes("dw-radio")
        with ui.element("div").classes("dw-two") as self._for_dataset:
            self._dataset = line("Name of the dataset", self._changed, hint="Empty: named as the batch")
            self._project = Suggesting(
                "Project", self._changed, hint="Optional. A new name makes a new project"
            )
        self._screen = line("Name of the screen", self._changed, hint="Empty: named as the batch")
        self._tree = OwnedTree(self._took)
        self._group = choice("Group in OMERO", {"": "Your default group"}, "", self._other_group)
        hide(self._group)
        self._rekind()

    def _options(self) -> dict[str, str]:
        return dict(self._group.options) if isinstance(self._group.options, dict) else {}

    def _where(self) -> NewDataset | NewScreen | Known:
        if self._kind.value == _KNOWN and self._known is not None:
            return self._known
        if self._kind.value == _SCREEN:
            return NewScreen(name=self._screen.value or "")
        return NewDataset(name=self._dataset.value or "", project=self._project.text)

    def _rekind(self) -> None:
        for kind, field in ((_DATASET, self._for_dataset), (_SCREEN, self._screen), (_KNOWN, self._tree)):
            hide(field, self._kind.value != kind)
        self._changed()

    def _other_group(self) -> None:
        if self._known is not None and self._known.group != (self.group or self._default):
            self._known = None
            self._tree.pick(None)
        self._changed()
        self._regroup()

    def _took(self, known: Known) -> None:
        self._known = known
        self._changed()
