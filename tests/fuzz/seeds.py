"""Good examples of all that is read, and the words that it is made of."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from dropwatch import manifest
from dropwatch.model import Attached, Failed, Image, Imported, Kind, ListedFile, Problem, Skipped, Verdict
from dropwatch.outbox import Letter
from dropwatch.outbox.letter import to_json
from dropwatch.record import Event, Line, PastClaim, Record
from dropwatch.sandbox.samples import ome_tiff

ROOT = Path(__file__).parents[2]
CLAIM = "20261124-130355-abcd"  #: of the first batch of tests/still.py's Facility
AT = 1_795_525_435.0


def _words(*words: str) -> tuple[bytes, ...]:
    return tuple(word.encode("utf-8", "surrogateescape") for word in words)


def _texts(*patterns: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for pattern in patterns for path in sorted(ROOT.glob(pattern)))


def _keys(texts: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Each key that stands in *texts*, with its colon."""
    return tuple(
        sorted({key + b" " for text in texts for key in re.findall(rb"[a-z][a-z_-]+:(?= |$)", text)})
    )


# -- what people write -------------------------------------------------------------------------------------

_EVERY_KEY = b"""\
dropwatch: 1
name: HeLa knockdown, day 3
target: "Project:HeLa/Dataset:{batch} {date}"
group: imaging-lab
description: |
  free text
  in two lines
tags: [confocal, day3]
key_values: {objective: 63x, empty: }
files:
- {path: a.czi, size: 1234, sha256: %s}
- path: sub/a.czi
attachments: [notes.pdf]
notify: [pi@example.org]
from: {place: confocal1-disk, paths: [run7]}
user: alice
duplicates: import
""" % (b"0" * 64)

MANIFESTS = (
    *_texts("examples/batches/*/batch.yaml", "examples/defaults.yaml"),
    _EVERY_KEY,
    _EVERY_KEY.replace(b"\n", b"\r\n") + b"...\r\n",
    b"\xef\xbb\xbf" + _EVERY_KEY,
    _EVERY_KEY.decode().encode("utf-16"),
    b"{name: day 3, tags: [a, 'b'], files: [{path: a.czi, size: 3}]}",
    manifest.compose({"name": "a", "target": "Dataset:123"}, [ListedFile("a.czi", 3, "0" * 64)]),
)
CONFIGS = (
    *_texts("config.example.yaml"),
    b"include: base.yaml\nspools: [{path: /a, settle: 0}, {path: /b, watch: poll}]\nlimits: {min_free: 50GiB}\n",
    b'{"include": "base.yaml", "users": {"alice": {"email": "a@example.org"}}, "mail": null}',
)
KEYS = _keys((_EVERY_KEY,))
SETTINGS = (*_keys(CONFIGS), *_words("5%", "10s", "*@x", "base.yaml", "/"))
YAML = _words(
    "- ", ": ", "{", "}", "[", "]", ", ", "\n", "  ", "'", '"', "|\n ", ">-\n ", "&a ", "*a",
    "!!python/name:os.system",
    "!!int ", "!!timestamp ", "!!bool ", "!!binary ", "<<: ", "? ", "# ", "---\n", "...\n", "~", "null", "\t", "\r\n",
    "\ufeff", "\u2028", "\x85", "\\ud800", "\\0", "%YAML 1.1\n", ".nan", ".inf", "1e999", "-0", "0x_", "1:99:99",
    "2026-99-99", "9" * 50, "Dataset:", "Project:", "/", "..", " ",
)  # fmt: skip
NAMES = _words(
    "HeLa", ".", "..", "/", "\\", " ", "\n", "\x1b[2J", "\u202e", "\udcff", "é", "é", "CON", ":", "*", "~$", "._",
    ".tmp",
    "batch", ".yaml", ".batch", ".json", ".txt", " (1)", "copy of ", "{batch}", "{", "}", "Dataset:", "Project:",
    "id:",
    "name:", "1234", "@", "example.org", ",", "=", "a" * 60, "\u2028", "\x85", CLAIM, "_", "٢",
)  # fmt: skip

# -- what programs write -------------------------------------------------------------------------------------

_EVENTS = (Event(AT, "claim", "HeLa"), Event(AT + 1, "defer", "a.tif is still open for writing"))
_PAST = PastClaim("20261123-130355-abcd", AT - 86400, Verdict.PARTIAL, 2, _EVENTS)
_RECORD = Record(
    CLAIM, CLAIM, "alice", "HeLa day 3", "HeLa", AT, "HeLa", ("a.tif",), True, 3, True, AT + 60, Verdict.FAILED,
    AT + 9, True, ("delay",), None, "lab-a", (Problem("It is bad.", "Mend it."),), ("a note",), _EVENTS, (_PAST,),
)  # fmt: skip
RECORD = json.dumps(
    {
        "_default": {
            "1": {
                **dataclasses.asdict(_RECORD),
                "container": {
                    "kind": Kind.DATASET,
                    "id": 7,
                    "name": "HeLa",
                    "group": "lab-a",
                    "note": "several",
                },
            }
        }
    }
).encode()


def _line(outcome: object, **more: object) -> dict[str, object]:
    line = dataclasses.asdict(
        Line(CLAIM, "f1", "a.tif", 1, 100, 1, AT, more=("b.tif",), format="TIFF", series=1)
    )
    told = {"outcome": dataclasses.asdict(outcome), "kind": type(outcome).__name__.lower()} if outcome else {}  # type: ignore[call-overload]
    return {**line, **told, **more}


_LINES = (
    _line(None),
    _line(Imported((Image(3, "a"), Image(4, "P", "Plate")), 9, "no thumbnails", 77)),
    _line(Skipped((Image(3),), 9), fileset="f2"),
    _line(Failed("It is damaged.", "Copy it anew.", True, "PermanentError", "trace", 78), fileset="f3"),
    _line(Attached(5, 6), fileset="f4", attachment=True),
)
FILESETS = "".join(json.dumps(line) + "\n" for line in _LINES).encode()
LOOKS = "".join(
    f"\n{json.dumps(line)}\n"
    for line in (
        {"claim": CLAIM, "state": "now"},
        {"look": "a.tif", "size": 6, "mtime": 1},
        {"seen": "a.tif", "format": "TIFF", "series": 1, "plate": False, "used": ["a.tif", "sub/b.tif"]},
        {"look": "b.tif", "size": 6, "mtime": 1},
        {"seen": "b.tif", "unknown": True, "reason": "r", "detail": "d", "remedy": "m", "used": []},
        {"look": "b.tif", "size": 6, "mtime": 1},
        {"blamed": "a.tif", "size": 6, "mtime": 1, "times": 2},
    )
).encode()
_PAUSE = {"since": AT, "until": AT + 9, "times": 2, "reason": "down", "remedy": "wait", "operator": False}
HEARTBEAT = json.dumps(
    {
        "version": "1", "pid": 7, "started": AT, "beat": AT, "stopped": False,
        "spools": {"/spool": {"watch": "poll", "why": "nfs"}},
        "targets": {"omero": _PAUSE, "mail": _PAUSE, "user:alice": _PAUSE},
        "working": [{
            "batch": CLAIM, "fileset": "f1", "file": "a.tif",
            "progress": {"stage": "upload", "done": 5, "total": 9, "rate": 2.5, "left": 3},
        }],
        "concluded": {"imported": 3}, "workers": {"imports": 1, "died": 2},
    }
).encode()  # fmt: skip
ADDRESSES = b'{"alice": "alice@example.org"}'
LETTER = to_json(
    Letter(
        "letter-0123456789abcdef",
        "outcome",
        CLAIM,
        CLAIM,
        "alice",
        "alice@example.org",
        "News",
        "Text",
        "<p>",
        AT,
    )
).encode()
FAULTS = (
    b"omero: {refuse: true, busy: 3, drop_after_bytes: 100000, slow_upload: 5s}\nsmtp: {code: 451, count: 3}\n",
)
JSON = _words(
    "{", "}", "[", "]", ",", ":", '"', "null", "true", "NaN", "-Infinity", "1e999", "-1", "0.5", "1e300", "9" * 50,
    "9" * 400, "\n", '"\\ud800"', '"\\u0000"', '"../../x"', '"a/b"', "\\", '"_default"', '"1"', '"٢"', CLAIM,
)  # fmt: skip

# -- images, programs, tables --------------------------------------------------------------------------------


def images(folder: Path) -> tuple[bytes, ...]:
    ome_tiff(folder / "a.ome.tif", size=16, series=2)
    small = (folder / "a.ome.tif").read_bytes()
    big = b"II+\0\x08\0\0\0" + (16).to_bytes(8, "little") + (2).to_bytes(8, "little") + b"".join(
        tag.to_bytes(2, "little") + (16).to_bytes(2, "little") + (1).to_bytes(8, "little") + value.to_bytes(8, "little")
        for tag, value in ((273, 8), (279, 8))
    ) + bytes(8)  # fmt: skip
    return (
        small,
        big,
        b"\xff\xd8\xff\xe0pixels\xff\xd9",
        b"\x89PNGpixelsIEND\xaeB`\x82",
        b"BM\x0a\0\0\0pixels",
    )


_LOG = "2026-11-24 10:32:28,895 321        [      main] INFO   orter.cli.LoggingImportMonitor - "
SAID = _words(
    _LOG, "FILE_UPLOAD_COMPLETE: a.czi", "IMPORT_STARTED Logfile: 152", "METADATA_IMPORTED Step: 1 of 5  Logfile: 9",
    "- Fileset: 9", "2 files uploaded, 1 fileset created, 2 images imported, 0 errors in 0:00:02.345", "\n", "\t",
    "[l.Client-0] ERROR  s.importer.cli.ErrorHandler - ", "Name: import-unknown-format", "Name: ",
    "java.io.IOException: ",
    "Input/output error", "No imports found", "No imports due to errors!", "omero.SecurityViolation", "Ice.Exception",
    "Ice.ConnectionLostException", "omero.ServerError", "Glacier2.PermissionDeniedException",
    "ImportConfig - OMERO version: 5",
    "OutOfMemoryError", "Traceback ", "Exception: ", "usage: ", "Cannot link to target", "٣", "9" * 5000, "\at ",
)  # fmt: skip
VERDICTS = (
    b"\0" + b"\n".join(SAID),
    *(bytes([code]) + b"\n".join(SAID[3:]) for code in (1, 2, 11, 43, 103, 137, 247)),
)
MOUNTS = (
    b"/dev/sda1 / ext4 rw,relatime 0 0\nserver:/x /srv/drop\\040watch nfs4 rw,vers=4.2 0 0\n"
    b"25 1 0:22 / /srv/drop\\040watch rw,relatime shared:1 - fuse.sshfs host:/x rw\n"
    b"//host/x on /srv/drop watch (smbfs, nodev, mounted by alice)\n/dev/disk1 on / (apfs, local)\n"
    b"//s/share /srv/\\303\\251t\xc3\xa9 cifs rw 0 0\n# a comment\nfuse.sshfs /mnt/a\\134b fuse.sshfs rw 0 0\n",
)
MOUNT_WORDS = _words(
    "\\040", "\\134", "\\x", "/srv", " ", "\t", "\n", "\x0c", "\u2028", "nfs", "\0", "\udcff"
)
QUESTIONS = _words(
    "select fs.id, i.id, i.name from Image i join i.fileset fs where fs.id in (:ids) order by lower(i.name) desc, i.id",
    "select count(*) from Dataset as d left outer join fetch d.imageLinks l where d.name = 'x' and l is not null",
    "from Experimenter e where e.omeName like :name and not exists (select 1)",
)
HQL = _words(
    "select ", "from ", "Image ", "i ", "as ", "join ", "left outer ", "fetch ", "where ", "and ", "order by ",
    "asc", "lower(",
    ")", "(", ":name", "i.id", ", ", "= ", "like ", "in ", "is null", "'", "7", "9" * 5000, "count(*)",
    "not exists", " ",
)  # fmt: skip
