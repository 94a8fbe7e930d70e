"""The questions of omero-py's own programs that hql.py cannot read: BlitzGateway's and those of ``omero fs``."""

from __future__ import annotations

from collections.abc import Iterator

from dropwatch.sandbox.known import Known

_FILES_OF_IMAGE = """from image i join fileset fs on fs.id = i.fileset
    join entry e on e.fileset = fs.id join originalfile o on o.id = e.file
    where {i} and {o} and i.id = :id order by e.idx"""

_ENTRIES_OF_IMAGE = """from FilesetEntry as fse join fse.fileset as fileset
    join fse.originalFile as ofile join fileset.images as image where image.id in (:id)"""


def _gateway() -> Iterator[Known]:
    yield Known(f"select ofile {_ENTRIES_OF_IMAGE}", f"select o.* {_FILES_OF_IMAGE}", "*OriginalFile")
    yield Known(
        f"select ofile.path, ofile.name, fse.clientPath {_ENTRIES_OF_IMAGE}",
        f"select o.path, o.name, e.client_path {_FILES_OF_IMAGE}",
        "sss",
    )
    yield Known(
        """select count(fse), sum(fse.originalFile.size) from FilesetEntry as fse where fse.id in (
        select distinct(i_fse.id) from FilesetEntry as i_fse join i_fse.fileset as i_fileset
        join i_fileset.images as i_image where i_image.id in (:ids))""",
        """select count(e.id), sum(o.size) from entry e join originalfile o on o.id = e.file
        where {o} and e.fileset in (select i.fileset from image i where {i} and i.id in (:ids))""",
        "ll",
    )
    yield Known(
        """select ann.id, ann.ns, ann.textValue from Fileset as fileset
        join fileset.annotationLinks as a_link join a_link.child as ann where fileset.id in (
        select distinct(i_fileset.id) from Fileset as i_fileset
        join i_fileset.images as i_image where i_image.id in (:ids))""",
        """select a.id, a.ns, a.text from link l join annotation a on a.id = l.child
        where l.kind = 'FilesetAnnotationLink' and {a}
        and l.parent in (select i.fileset from image i where {i} and i.id in (:ids))""",
        "lss",
    )
    yield Known(
        """select new map( i.id as im_id, p.id as pix_id ) from Pixels as p join p.image as i
        where i.id in (:ids)""",
        "select i.id, p.id from image i join pixels p on p.image = i.id where {i} and i.id in (:ids)",
        "{im_id pix_id}",
    )


def _plates() -> Iterator[Known]:
    yield Known(
        "select max(row), max(column) from Well where plate.id = :id",
        "select max(w.row), max(w.col) from well w where {w} and w.plate = :id",
        "ii",
    )
    yield Known(
        "select minIndex(ws), maxIndex(ws) from Well w join w.wellSamples ws where w.plate.id=:oid",
        """select min(s.idx), max(s.idx) from well w join wellsample s on s.well = w.id
        where {w} and w.plate = :oid""",
        "ii",
    )
    # A run over a plate: the sandbox makes none.
    yield Known(
        "select pa from PlateAcquisition as pa join fetch pa.plate as p where p.id=:pid",
        "select * from plate p where {p} and p.id = :pid and 1 = 0",
        "*Plate",
    )


def _fs_sets() -> Iterator[Known]:
    """``omero fs sets``, in each order, with and without ``--without-images``."""
    hql = """select fs.id, fs.templatePrefix, (select size(f2.images) from Fileset f2 where f2.id = fs.id),
        (select size(f3.usedFiles) from Fileset f3 where f3.id = fs.id),
        (select ann.textValue from Fileset f4 join f4.annotationLinks fal join fal.child ann
        where f4.id = fs.id and ann.ns =:ns) from Fileset fs where 1 = 1"""
    sql = """select fs.id, fs.prefix, (select count(*) from image where fileset = fs.id),
        (select count(*) from entry where fileset = fs.id),
        (select a.text from link l join annotation a on a.id = l.child
        where l.kind = 'FilesetAnnotationLink' and l.parent = fs.id and a.ns = :ns)
        from fileset fs where {fs}"""
    for order, column in (
        ("fs.id desc", "fs.id desc"),
        ("fs.id asc", "fs.id"),
        ("fs.templatePrefix", "fs.prefix"),
    ):
        for asked, meant in (
            ("", ""),
            ("and fs.images is empty", "and not exists (select 1 from image where fileset = fs.id)"),
        ):
            grouped = f"{hql} {asked} group by fs.id, fs.templatePrefix order by {order}"
            yield Known(grouped, f"{sql} {meant} order by {column}", "lslls")


def _fs_images() -> Iterator[Known]:
    """``omero fs images``, in each order; nothing was archived here as OMERO 4 did it."""
    hql = """from Image i join i.pixels p left outer join p.pixelsFileMaps m left outer join m.parent f1
        left outer join i.fileset as fs left outer join fs.usedFiles as uf
        left outer join uf.originalFile as f2"""
    sql = """from image i join pixels p on p.image = i.id left join entry e on e.fileset = i.fileset
        left join originalfile f on f.id = e.file where {i}"""
    yield Known(f"select count(i) {hql}", f"select count(*) {sql}", "l")
    size = "sum(coalesce(f1.size,0) + coalesce(f2.size, 0))"
    for order, column in (("i.id desc", "1 desc"), ("i.id asc", "1"), (f"{size} desc", "5 desc")):
        yield Known(
            f"""select i.id, i.name, fs.id,count(f1.id)+count(f2.id), {size} {hql}
            group by i.id, i.name, fs.id order by {order}""",
            f"""select i.id, i.name, i.fileset, count(f.id), sum(coalesce(f.size, 0)) {sql}
            group by i.id, i.name, i.fileset order by {column}""",
            "lslll",
        )


def _fs_logfile() -> Iterator[Known]:
    yield Known(
        """select o from FilesetJobLink l join l.parent as fs join l.child as j
        join j.originalFileLinks l2 join l2.child as o
        where fs.id = :id and o.mimetype = 'application/omero-log-file'""",
        """select o.* from fileset fs join job j on j.fileset = fs.id join originalfile o on o.id = j.log
        where {fs} and fs.id = :id and o.mimetype = 'application/omero-log-file'""",
        "*OriginalFile",
    )


def _tags() -> Iterator[Known]:
    """``omero tag list``. The sandbox has no sets of tags, so that no tag is in one."""
    mine = "{ann} and ann.kind = 'TagAnnotation'"
    for asked, meant in (("", ""), (" and ann.details.owner.id = :eid", " and ann.owner = :eid")):
        yield Known(
            f"""select aal.parent.id, aal.child.id, aal.parent.description, aal.parent.textValue
            from AnnotationAnnotationLink aal inner join aal.parent ann where ann.ns=:ns{asked}""",
            "select 1, 1, '', '' where 1 = 0",
            "llss",
        )
        yield Known(
            f"""select ann.id, ann.description, ann.textValue from TagAnnotation ann
            where ann.id not in (select distinct l.parent.id from AnnotationAnnotationLink l)
            and ann.ns=:ns{asked}""",
            f"select ann.id, ann.description, ann.text from annotation ann where {mine} and ann.ns = :ns{meant}",
            "lss",
        )
        yield Known(
            f"""select ann.id, ann.textValue, ann.description from TagAnnotation ann where ann.id not in
            (select distinct l.child.id from AnnotationAnnotationLink l join l.parent as ts
            where ts.ns = :ns) and ann.ns is null{asked}""",
            f"select ann.id, ann.text, ann.description from annotation ann where {mine} and ann.ns is null{meant}",
            "lss",
        )
        yield Known(
            f"""select ann.id, ann.description, ann.textValue, ann.details.owner.id,
            ann.details.owner.firstName, ann.details.owner.lastName
            from TagAnnotation ann{asked.replace(" and", " where")}""",
            f"""select ann.id, ann.description, ann.text, ann.owner, u.first_name, u.last_name
            from annotation ann join experimenter u on u.id = ann.owner where {mine}{meant}""",
            "lsslss",
        )


ASKED_BY_CLIENTS = (*_gateway(), *_plates(), *_fs_sets(), *_fs_images(), *_fs_logfile(), *_tags())
