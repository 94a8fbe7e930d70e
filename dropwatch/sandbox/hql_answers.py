"""Answers what hql.py can read: the rows, what is fetched along, and the objects that become of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import omero

from dropwatch.sandbox import hql, objects
from dropwatch.sandbox.hql_classes import CLASSES, ORPHANS, Class
from dropwatch.sandbox.sessions import View
from dropwatch.sandbox.store import Store, listed


@dataclass(frozen=True)
class Page:
    """Which of the rows: *limit* None means all."""

    offset: int = 0
    limit: int | None = None

    @property
    def clause(self) -> str:
        """In SQL."""
        return "" if self.limit is None else f"limit {self.limit} offset {self.offset}"


class Answers:
    """Answers questions from *store* for a caller who sees what *seen* says. *values* are those of the parameters."""

    def __init__(self, store: Store, seen: View, values: Mapping[str, Any], page: Page) -> None:
        self._store = store
        self._seen = seen
        self._values = values
        self._page = page

    def objects(self, text: str) -> list[Any]:
        """Whole objects, for findAllByQuery. Raises QueryException for what is not known or selects no objects."""
        question, found = self._read(text)
        if question.selected:
            raise _refusal(f"select {', '.join(question.selected)}")
        rows = self._rows("obj.*", question, found)
        made = [found.load(row, self._edits(row)) for row in rows]
        for thing, row in zip(made, rows, strict=True):
            self._fetch(question, thing, row)
        return made

    def columns(self, text: str) -> list[list[Any]]:
        """Rows of RTypes, for projection. Raises QueryException for what is not known."""
        question, found = self._read(text)
        if not question.selected:
            return [[omero.rtypes.robject(thing)] for thing in self.objects(text)]
        if question.selected == ("count",):
            return [[objects.number(row[0])] for row in self._rows("count(*)", question, found)]
        columns = [_column(found, path) for path in question.selected]
        rows = self._rows(", ".join(sql for sql, _ in columns), question, found)
        return [[_TYPES[kind](value) for (_, kind), value in zip(columns, row, strict=True)] for row in rows]

    def _read(self, text: str) -> tuple[hql.Question, Class]:
        try:
            question = hql.parse(text)
        except hql.Unknown as part:
            raise _refusal(str(part)) from None
        found = CLASSES.get(question.kind)
        if found is None:
            raise _refusal(f"from {question.kind}")
        strange = sorted(question.joined - found.joins)
        if strange:
            raise _refusal(f"join {strange[0]} of {question.kind}")
        return question, found

    def _rows(self, selected: str, question: hql.Question, found: Class) -> list[sqlite3.Row]:
        values: dict[str, object] = {}
        clauses = [found.visible.format_map(Visible(self._seen))]
        clauses += [
            self._clause(found, one, values, f"v{number}") for number, one in enumerate(question.conditions)
        ]
        clauses += [_orphan(text) for text in question.orphans]
        sql = f"select {selected} from {found.table} obj where " + " and ".join(f"({one})" for one in clauses)
        if question.order:
            sql += " order by " + ", ".join(_ordered(found, one) for one in question.order)
        return self._store.rows(f"{sql} {self._page.clause}", values)

    def _clause(self, found: Class, condition: hql.Condition, values: dict[str, object], mark: str) -> str:
        relation = found.relations.get(condition.path) or f"{_column(found, condition.path)[0]} {{}}"
        if condition.value is None:
            return relation.format(condition.operator)
        value = condition.value
        if isinstance(value, hql.Parameter):
            if value.name not in self._values:
                raise omero.QueryException(
                    None, None, f"Not all named parameters have been set: [{value.name}]"
                )
            value = self._values[value.name]
        if isinstance(value, list):
            marks, items = listed(mark, value)
            values.update(items)
            return relation.format(f"in ({marks})")
        values[mark] = value
        operator = "=" if condition.operator == "in" else condition.operator
        return relation.format(f"{operator} :{mark}")

    def _edits(self, row: sqlite3.Row) -> bool:
        return self._seen.edits(row["owner"]) if "owner" in row.keys() else False  # noqa: SIM118  # a Row has no "in"

    def _fetch(self, question: hql.Question, thing: Any, row: sqlite3.Row) -> None:
        """Load along with *thing* what the question fetches of it."""
        if "details.creationEvent" in question.fetched:
            objects.created(thing, row)
        if question.kind == "Image" and "pixels" in question.fetched:
            load_pixels(self._store, thing)
        if question.kind == "Well" and "wellSamples" in question.fetched:
            self._fetch_samples(thing, "wellSamples.image" in question.fetched)
        if "child" in question.fetched:
            thing.child = self._child(thing)
        if question.kind == "FilesetEntry" and "originalFile" in question.fetched:
            thing.originalFile = self._one("originalfile", objects.original_file, row["file"])

    def _fetch_samples(self, well: Any, images: bool) -> None:
        rows = self._store.rows("select * from wellsample where well = ? order by idx", (well.id.val,))
        objects.loaded(well, "wellSamples", [objects.well_sample(row, self._edits(row)) for row in rows])
        for sample in well.copyWellSamples() if images else ():
            sample.image = self._one("image", objects.image, sample.image.id.val)

    def _child(self, link: Any) -> Any:
        kind = type(link.child).__name__.removesuffix("I")
        if kind.endswith("Annotation"):
            annotation = self._one("annotation", objects.annotation, link.child.id.val)
            if isinstance(annotation, omero.model.FileAnnotation):
                annotation.file = self._one("originalfile", objects.original_file, annotation.file.id.val)
            return annotation
        return self._one(kind.lower(), CLASSES[kind].load, link.child.id.val)

    def _one(self, table: str, load: Any, id: int) -> Any:
        row = self._store.rows(f"select * from {table} where id = ?", (id,))[0]
        return objects.created(load(row, self._edits(row)), row)


def load_pixels(store: Store, image: Any) -> None:
    """Load the pixels of *image* (omero.model) into it."""
    rows = store.rows("select * from pixels where image = ?", (image.id.val,))
    objects.loaded(image, "pixels", [objects.pixels(row) for row in rows])


class Visible(dict[str, str]):
    """``{alias}`` in a SQL text: what a view may see of it."""

    def __init__(self, seen: View) -> None:
        super().__init__()
        self._seen = seen

    def __missing__(self, alias: str) -> str:
        return self._seen.clause(alias)


def _column(found: Class, path: str) -> tuple[str, str]:
    if path not in found.columns:
        raise _refusal(f"{path} of {found.table}")
    return found.columns[path]


def _orphan(text: str) -> str:
    if text not in ORPHANS:
        raise _refusal(text)
    return ORPHANS[text]


def _ordered(found: Class, order: hql.Order) -> str:
    column = _column(found, order.path)[0]
    return (f"lower({column})" if order.lower else column) + (" desc" if order.descending else "")


def _refusal(part: str) -> omero.QueryException:
    return omero.QueryException(None, None, f"The sandbox does not know this part of a query: {part}")


_TYPES: Mapping[str, Any] = {"l": objects.number, "s": objects.text, "i": objects.whole}
