"""The tree of what a person has in OMERO: what the browser reports of it is looked up here, and is nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from dropwatch import report
from dropwatch.model import Kind, Own, Tree
from dropwatch.web.pages.new_draft import Known

_SCRIPT = Path(__file__).parents[1] / "static" / "target_tree.js"


class OwnedTree(Element, component=_SCRIPT):
    """Projects with their datasets, then other datasets, then screens. *picked* is told what was chosen."""

    def __init__(self, picked: Callable[[Known], None]) -> None:
        super().__init__()
        self._picked = picked
        self._known: dict[str, Known] = {}
        self._props.update(label="Your datasets and screens", nodes=[], picked="", none="")
        self.on("pick", self._on_pick)

    def show(self, tree: Tree) -> None:
        """Show *tree*."""
        self._known = {_id(own): _known(own, project, tree.group) for own, project in _holders(tree)}
        self._props["nodes"] = [*map(_node, (*tree.projects, *tree.datasets, *tree.screens))]
        self._props["none"] = f"You have no datasets in {report.clean(tree.group) or 'OMERO'} yet."

    def pick(self, known: Known | None) -> None:
        """Show that *known* is chosen."""
        self._props["picked"] = f"{known.what}:{known.id}" if known else ""

    def _on_pick(self, event: GenericEventArguments) -> None:
        known = self._known.get(event.args) if isinstance(event.args, str) else None
        if known is not None:
            self.pick(known)
            self._picked(known)


def _holders(tree: Tree) -> Iterator[tuple[Own, str]]:
    """What may hold images, each with the name of its project or ""."""
    yield from ((own, "") for own in (*tree.datasets, *tree.screens))
    yield from ((own, project.name) for project in tree.projects for own in project.within)


def _known(own: Own, project: str, group: str) -> Known:
    return Known(
        what=own.kind, id=own.id, path=f"{project} / {own.name}" if project else own.name, group=group
    )


def _node(own: Own) -> dict[str, Any]:
    """As the script wants it."""
    node: dict[str, Any] = {
        "id": _id(own),
        "label": report.clean(own.name),
        "screen": own.kind is Kind.SCREEN,
    }
    if own.kind is Kind.PROJECT:
        return {
            **node,
            "within": [_node(one) for one in own.within],
            "count": report.count(own.count, "dataset"),
        }
    return {**node, "count": report.count(own.count, "plate" if own.kind is Kind.SCREEN else "image")}


def _id(own: Own) -> str:
    return f"{own.kind}:{own.id}"
