"""The HQL of our importer, each text beside the SQL that answers it, and IQuery on top.

What neither this nor client_queries.py has is left to hql_answers.py, which refuses by name what it does not know:
a stand-in that guessed would hide what a real server refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import omero
from omero.rtypes import rmap, unwrap

from dropwatch.sandbox import objects
from dropwatch.sandbox.client_queries import ASKED_BY_CLIENTS
from dropwatch.sandbox.hql_answers import Answers, Page, Visible
from dropwatch.sandbox.hql_classes import CLASSES
from dropwatch.sandbox.known import Known, normal
from dropwatch.sandbox.sessions import Session, View, view
from dropwatch.sandbox.shared import Shared
from dropwatch.sandbox.store import listed

KNOWN = (
    Known(
        """select fs.id, min(e.clientPath), i.id, i.name
        from Fileset fs join fs.usedFiles e left outer join fs.images i
        where fs.details.owner.id = :owner and e.clientPath like :prefix
        group by fs.id, i.id, i.name order by fs.id, i.id""",
        """select fs.id, min(e.client_path), i.id, i.name
        from fileset fs join entry e on e.fileset = fs.id left join image i on i.fileset = fs.id
        where {fs} and fs.owner = :owner and e.client_path like :prefix
        group by fs.id, i.id, i.name order by fs.id, i.id""",
        "lsls",
    ),
    Known(
        """select fs.id, min(e.clientPath), c.time
        from Fileset fs join fs.details.creationEvent c join fs.usedFiles e left outer join fs.images i
        where fs.details.owner.id = :owner and e.clientPath like :prefix and i.id is null
        group by fs.id, c.time order by fs.id""",
        """select fs.id, min(e.client_path), fs.created
        from fileset fs join entry e on e.fileset = fs.id left join image i on i.fileset = fs.id
        where {fs} and fs.owner = :owner and e.client_path like :prefix and i.id is null
        group by fs.id order by fs.id""",
        "lst",
    ),
    Known(
        """select fs.id, i.id, i.name from Image i join i.fileset fs
        where fs.details.owner.id = :owner and fs.id in (:ids) order by fs.id, i.id""",
        """select fs.id, i.id, i.name from image i join fileset fs on fs.id = i.fileset
        where {fs} and {i} and fs.owner = :owner and fs.id in (:ids) order by fs.id, i.id""",
        "lls",
    ),
    Known(
        """select distinct fs.id, p.id, p.name
        from Plate p join p.wells w join w.wellSamples ws join ws.image i join i.fileset fs
        where fs.details.owner.id = :owner and fs.id in (:ids) order by fs.id, p.id""",
        """select distinct fs.id, p.id, p.name
        from plate p join image i on i.plate = p.id join fileset fs on fs.id = i.fileset
        where {fs} and {p} and fs.owner = :owner and fs.id in (:ids) order by fs.id, p.id""",
        "lls",
    ),
    Known(
        """select fs.id, j.finished
        from FilesetJobLink l join l.parent fs join l.child j join j.status s
        where fs.details.owner.id = :owner and fs.id in (:ids)
        and j.class = UploadJob and s.value = 'Finished'""",
        """select fs.id, j.finished from fileset fs join job j on j.fileset = fs.id
        where {fs} and fs.owner = :owner and fs.id in (:ids)
        and j.kind = 'UploadJob' and j.status = 'Finished'""",
        "lt",
    ),
    Known(
        """select o.id, o.size
        from FilesetJobLink l join l.parent fs join l.child j join j.originalFileLinks l2 join l2.child o
        where fs.details.owner.id = :owner and fs.id = :id and o.mimetype = 'application/omero-log-file'""",
        """select o.id, o.size
        from fileset fs join job j on j.fileset = fs.id join originalfile o on o.id = j.log
        where {fs} and fs.owner = :owner and fs.id = :id and o.mimetype = 'application/omero-log-file'""",
        "ll",
    ),
    *(
        Known(
            f"""select {a}.id from {kind} {a}
            where {a}.details.owner.id = :owner and {a}.name = :name order by {a}.id desc""",
            f"""select {a}.id from {kind.lower()} {a}
            where {{{a}}} and {a}.owner = :owner and {a}.name = :name order by {a}.id desc""",
            "l",
        )
        for kind, a in (("Dataset", "d"), ("Screen", "s"), ("Project", "p"))
    ),
    Known(
        """select d.id, p.id from ProjectDatasetLink l join l.parent p join l.child d
        where d.details.owner.id = :owner and p.details.owner.id = :owner
        and d.name = :name and p.name = :project order by d.id desc""",
        """select d.id, p.id
        from link l join project p on p.id = l.parent join dataset d on d.id = l.child
        where l.kind = 'ProjectDatasetLink' and {d} and {p} and d.owner = :owner and p.owner = :owner
        and d.name = :name and p.name = :project order by d.id desc""",
        "ll",
    ),
    *(
        Known(
            f"""select fs.id, f.name, f.size, f.hash, h.value
            from Fileset fs join fs.usedFiles e join e.originalFile f left outer join f.hasher h
            where fs.details.owner.id = :owner and f.name in (:names) and fs.id in
            (select i.fileset.id from {hql} where l.parent.id = :id)""",
            f"""select fs.id, f.name, f.size, f.hash, f.hasher
            from fileset fs join entry e on e.fileset = fs.id join originalfile f on f.id = e.file
            where {{fs}} and fs.owner = :owner and f.name in (:names) and fs.id in
            (select i.fileset from {sql} where l.parent = :id)""",
            "lslss",
        )
        for hql, sql in (
            (
                "DatasetImageLink l join l.child i",
                "link l join image i on l.kind = 'DatasetImageLink' and i.id = l.child",
            ),
            (
                "ScreenPlateLink l join l.child p join p.wells w join w.wellSamples ws join ws.image i",
                "link l join image i on l.kind = 'ScreenPlateLink' and i.plate = l.child",
            ),
        )
    ),
    Known(
        """select fs.id, count(e.id) from Fileset fs join fs.usedFiles e
        where fs.details.owner.id = :owner and fs.id in (:ids) group by fs.id""",
        """select fs.id, count(e.id) from fileset fs join entry e on e.fileset = fs.id
        where {fs} and fs.owner = :owner and fs.id in (:ids) group by fs.id""",
        "ll",
    ),
    Known(
        """select fs.id, f.name, f.size, f.hash, h.value
        from Fileset fs join fs.usedFiles e join e.originalFile f left outer join f.hasher h
        where fs.details.owner.id = :owner and fs.id in (:ids)""",
        """select fs.id, f.name, f.size, f.hash, f.hasher
        from fileset fs join entry e on e.fileset = fs.id join originalfile f on f.id = e.file
        where {fs} and fs.owner = :owner and fs.id in (:ids)""",
        "lslss",
    ),
    Known(
        """select distinct i.id from ImageAnnotationLink l join l.parent i join i.fileset fs join l.child a
        where fs.details.owner.id = :owner and fs.id in (:ids) and a.ns = :ns""",
        """select distinct i.id from link l join image i on i.id = l.parent
        join fileset fs on fs.id = i.fileset join annotation a on a.id = l.child
        where l.kind = 'ImageAnnotationLink' and {i} and {fs} and fs.owner = :owner
        and fs.id in (:ids) and a.ns = :ns""",
        "l",
    ),
    Known(
        """select t.id, t.textValue from TagAnnotation t where t.details.owner.id = :owner
        and t.ns is null and t.textValue in (:names) order by t.id""",
        """select t.id, t.text from annotation t where t.kind = 'TagAnnotation' and {t} and t.owner = :owner
        and t.ns is null and t.text in (:names) order by t.id""",
        "ls",
    ),
    Known(
        """select f.id, f.path from OriginalFile f
        where f.details.owner.id = :owner and f.path like :prefix order by f.id""",
        """select f.id, f.path from originalfile f
        where {f} and f.owner = :owner and f.path like :prefix order by f.id""",
        "ls",
    ),
    Known(
        """select f.id, f.path, c.time from OriginalFile f join f.details.creationEvent c
        where f.details.owner.id = :owner and f.path like :prefix
        and not exists (select a.id from FileAnnotation a where a.file.id = f.id) order by f.id""",
        """select f.id, f.path, f.created from originalfile f
        where {f} and f.owner = :owner and f.path like :prefix
        and not exists (select a.id from annotation a where a.kind = 'FileAnnotation' and a.file = f.id)
        order by f.id""",
        "lst",
    ),
    Known(
        """select f.id, a.id from FileAnnotation a join a.file f
        where f.details.owner.id = :owner and f.id in (:ids) order by a.id desc""",
        """select f.id, a.id from annotation a join originalfile f on f.id = a.file
        where a.kind = 'FileAnnotation' and {f} and {a} and f.owner = :owner and f.id in (:ids)
        order by a.id desc""",
        "ll",
    ),
    *(
        Known(
            f"""select a.id, f.id, f.name, f.size, f.hash, h.value
            from {kind} l join l.child a join a.file f left outer join f.hasher h
            where l.parent.id = :id and f.details.owner.id = :owner and f.name in (:names) order by a.id""",
            f"""select a.id, f.id, f.name, f.size, f.hash, f.hasher
            from link l join annotation a on a.id = l.child join originalfile f on f.id = a.file
            where l.kind = '{kind}' and {{a}} and {{f}} and l.parent = :id
            and f.owner = :owner and f.name in (:names) order by a.id""",
            "llslss",
        )
        for kind in ("DatasetAnnotationLink", "ScreenAnnotationLink")
    ),
    *(
        Known(
            f"select count(l.id) from {kind} l where l.parent.id = :id",
            f"select count(l.id) from link l where l.kind = '{kind}' and {{l}} and l.parent = :id",
            "l",
        )
        for kind in ("DatasetImageLink", "ScreenPlateLink", "ProjectDatasetLink")
    ),
    Known(
        """select p.id, p.name, l.child.id from Project p left outer join p.datasetLinks l
        where p.details.owner.id = :owner order by p.id desc, l.id desc""",
        """select p.id, p.name, l.child from project p
        left join link l on l.kind = 'ProjectDatasetLink' and l.parent = p.id and {l}
        where {p} and p.owner = :owner order by p.id desc, l.id desc""",
        "lsl",
    ),
    *(
        Known(
            f"""select {a}.id, {a}.name, (select count(l.id) from {link} l where l.parent.id = {a}.id)
            from {kind} {a} where {a}.details.owner.id = :owner order by {a}.id desc""",
            f"""select {a}.id, {a}.name,
            (select count(*) from link l where l.kind = '{link}' and l.parent = {a}.id and {{l}})
            from {kind.lower()} {a} where {{{a}}} and {a}.owner = :owner order by {a}.id desc""",
            "lsl",
        )
        for kind, a, link in (("Dataset", "d", "DatasetImageLink"), ("Screen", "s", "ScreenPlateLink"))
    ),
    Known(
        """select i.id, p.id, i.details.group.id from Pixels p join p.image i
        where i.id in (:ids) order by p.id""",
        """select i.id, p.id, i.grp from pixels p join image i on i.id = p.image
        where {i} and i.id in (:ids) order by p.id""",
        "lll",
    ),
    Known(
        """select px.id, p.details.group.id
        from Plate p join p.wells w join w.wellSamples ws join ws.image i join i.pixels px
        where p.id = :id order by w.row, w.column, ws.id, px.id""",
        """select px.id, p.grp from plate p join well w on w.plate = p.id
        join wellsample ws on ws.well = w.id join image i on i.id = ws.image
        join pixels px on px.image = i.id
        where {p} and {i} and p.id = :id order by w.row, w.col, ws.id, px.id""",
        "ll",
    ),
)

_TYPES: dict[str, Callable[[Any], Any]] = {
    "l": objects.number,
    "s": objects.text,
    "i": objects.whole,
    "t": objects.moment,
}


class QueryService:
    """omero.api.IQuery."""

    def __init__(self, shared: Shared, session: Session) -> None:
        self._store = shared.store
        self._session = session
        self._known = {normal(known.hql): known for known in (*KNOWN, *ASKED_BY_CLIENTS)}

    def projection(self, hql: str, parameters: Any, current: Any) -> list[list[Any]]:
        known = self._known.get(normal(hql))
        if known is None:
            return self._answers(parameters, current).columns(hql)
        rows = self._ask(known.sql, parameters, view(self._session, current.ctx))
        return [_columns(known.columns, row) for row in rows]

    def get(self, kind: str, id: int, current: Any) -> Any:
        found = self.find(kind, id, current)
        if found is None:
            text = f"The requested object (ome.model.{kind},{id}) is not available."
            raise omero.ValidationException(None, None, text)
        return found

    def find(self, kind: str, id: int, current: Any) -> Any:
        # BlitzGateway names the class of its own object, as ProjectI.
        name = kind.rpartition(".")[2].removesuffix("I")
        if name not in CLASSES:
            raise omero.ApiUsageException(None, None, f"The sandbox does not load a {kind} by its id.")
        answers = Answers(self._store, view(self._session, current.ctx), {"id": id}, Page())
        return next(iter(answers.objects(f"select obj from {name} obj where obj.id = :id")), None)

    def findByQuery(self, hql: str, parameters: Any, current: Any) -> Any:
        return next(iter(self.findAllByQuery(hql, parameters, current)), None)

    def findAllByQuery(self, hql: str, parameters: Any, current: Any) -> list[Any]:
        known = self._known.get(normal(hql))
        if known is None or not known.columns.startswith("*"):
            return self._answers(parameters, current).objects(hql)
        seen = view(self._session, current.ctx)
        load = CLASSES[known.columns[1:]].load
        return [load(row, seen.edits(row["owner"])) for row in self._ask(known.sql, parameters, seen)]

    def _answers(self, parameters: Any, current: Any) -> Answers:
        seen = view(self._session, current.ctx)
        return Answers(self._store, seen, _values(parameters), _page(parameters))

    def _ask(self, sql: str, parameters: Any, seen: View) -> list[Any]:
        values: dict[str, object] = {}
        for name, value in _values(parameters).items():
            if isinstance(value, list):
                marks, items = listed(name, value)
                sql = sql.replace(f"(:{name})", f"({marks})")
                values.update(items)
            else:
                values[name] = value
        return self._store.rows(f"{sql} {_page(parameters).clause}".format_map(Visible(seen)), values)


def _columns(kinds: str, row: Any) -> list[Any]:
    """The row as RTypes. ``{a b}``: as one map of longs."""
    if kinds.startswith("{"):
        pairs = zip(kinds.strip("{}").split(), row, strict=True)
        return [rmap({name: objects.number(value) for name, value in pairs})]
    return [_TYPES[kind](value) for kind, value in zip(kinds, row, strict=True)]


def _values(parameters: Any) -> Mapping[str, Any]:
    return unwrap(parameters.map) if parameters and parameters.map else {}


def _page(parameters: Any) -> Page:
    chosen = parameters.theFilter if parameters else None
    return Page(unwrap(chosen.offset) or 0, unwrap(chosen.limit)) if chosen else Page()
