"""What `omero import` says, understood line by line. Text in, values out; nothing is decided here.

What is printed: omero-blitz ``LoggingImportMonitor.java``, ``ImportEvent.java`` and ``ErrorHandler.java`` (lines of
the log, by default on standard error; the summary), ``CommandLineImporter.java``, and omero-py. With
``--output yaml`` standard output has one YAML document for each fileset. Where the log goes to is a matter of a
file that may be missing, so both streams are heard alike and a line of the log among the YAML does no harm.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

_COMPLAINT = 80  # lines kept of it
_LAST = 30  # lines
_LINE = 1000  # characters kept of a line

_EVENT = re.compile(
    r"- (?P<name>FILE_UPLOAD_COMPLETE|FILESET_UPLOAD_PREPARATION|FILESET_UPLOAD_END|IMPORT_STARTED"
    r"|METADATA_IMPORTED|PIXELDATA_PROCESSED|THUMBNAILS_GENERATED|METADATA_PROCESSED|OBJECTS_RETURNED)"
    r"(?P<rest>.*)"
)
_LOG = re.compile(r"Logfile: (\d+)")
_STEP = re.compile(r"Step: (\d+) of (\d+)")
_FILESET = re.compile(r"- Fileset: (\d+)")
_SUMMARY = re.compile(
    r"(\d+) files? uploaded, (\d+) filesets?(?:, \d+ plates?)? created, (\d+) images? imported, (\d+) errors? in "
)
_TROUBLE = re.compile(
    r"\] ERROR\b|- (MISSING_LIBRARY|UNREADABLE_FILE)\b|^No imports |^Exception in thread|^Traceback |^FATAL"
    r"|^# A fatal error|OutOfMemoryError|^usage: |: error: |^No JAR files|^Bad session key|^Previous session expired"
    r"|Exception: "
)
_NOTHING = re.compile(r"No imports (found|due to errors!)")
_VERSION = re.compile(r"ImportConfig +- (OMERO|Bioformats) [Vv]ersion: (\S+)")
_ERR = re.compile(r"^Name: ([\w-]+)$")


@dataclass(frozen=True)
class Summary:
    """The last line of the program's report."""

    files: int
    filesets: int
    images: int
    errors: int


@dataclass
class Heard:
    """What was said until now.

    filesets  -- OMERO's ids in the YAML documents, in order, each as often as it was said
    uploaded  -- the files that were sent, by the paths that the program was given
    began     -- it went as far as asking the server for an import
    started   -- the server has all it needs, and has begun
    step      -- which of how many steps the server has done
    log       -- OriginalFile id of the server's import log
    nothing   -- "found" or "due to errors!" when it said that there was nothing to import
    complaint -- the lines from the first complaint on, not too many
    last      -- the last lines
    versions  -- of OMERO.java and its Bio-Formats, by name
    """

    filesets: list[int] = field(default_factory=list)
    uploaded: set[str] = field(default_factory=set)
    began: bool = False
    started: bool = False
    step: tuple[int, int] | None = None
    log: int | None = None
    summary: Summary | None = None
    complaint: list[str] = field(default_factory=list)
    nothing: str = ""
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST))
    versions: dict[str, str] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """Take in one line, without its end."""
        line = line[:_LINE]
        if line.strip():
            self.last.append(line)
        if len(self.complaint) < _COMPLAINT and (self.complaint or _TROUBLE.search(line)):
            self.complaint.append(line)
        if event := _EVENT.search(line):
            self._event(event["name"], event["rest"])
        elif said := _FILESET.fullmatch(line):
            self.filesets.append(int(said[1]))
        elif said := _SUMMARY.match(line):
            self.summary = Summary(*map(int, said.groups()))
        elif said := _NOTHING.match(line):
            self.nothing = said[1]
        elif said := _VERSION.search(line):
            self.versions[said[1]] = said[2]

    @property
    def err(self) -> str:
        """The name of the server's ERR; empty when it answered with none."""
        named = (_ERR.match(line) for line in self.complaint)
        return next((found[1] for found in named if found), "")

    def may_go_on(self, files: int) -> bool:
        """Whether the server may go on by itself with a fileset of so many *files*, if nothing more is said."""
        sent = len(self.uploaded) >= files and not self.complaint
        return not self.err and (self.started or sent)

    def text(self) -> str:
        """The complaint; the last lines where there was none."""
        return "\n".join(self.complaint or self.last)

    def _event(self, name: str, rest: str) -> None:
        if name == "FILE_UPLOAD_COMPLETE":
            self.uploaded.add(rest.removeprefix(": "))
            return
        self.began = True
        self.started |= not name.startswith("FILESET_")
        if found := _LOG.search(rest):
            self.log = int(found[1])
        if found := _STEP.search(rest):
            self.step = int(found[1]), int(found[2])
