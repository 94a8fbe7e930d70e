"""Which files form one fileset. Pure: what was said of the files goes in, filesets come out.

The rules are those of OMERO's own Java client (omero-blitz: ome.formats.importer.ImportCandidates and its
Groups), which are told where they are kept below, with what we do otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dropwatch.model import FileFact

# Bio-Formats tells all files of a set whichever of them it is asked about, for most formats. For some, a file of pixels
# knows only itself, and the file that holds the set together has to be asked. Asked first, it saves the others their
# look. This is a matter of speed and not of what comes out: asked last, its larger set takes the smaller ones in.
_KEYS = (
    ".companion.ome",  # OME-TIFF
    ".xml",  # Operetta, Columbus, Prairie, ScanR, ...
    ".xdce",  # InCell
    ".htd",  # MetaXpress
    ".wpi",  # Yokogawa CV7000
    ".mlf",
    ".mea",  # Flex
    ".exp",  # BD Pathway
    ".db",  # Tecan
    ".nd",  # MetaMorph
    ".lei",  # Leica
    ".xlef",
    ".vsi",  # cellSens
    ".oif",  # FluoView
    ".mvd2",  # Volocity
    "metadata.txt",  # Micro-Manager
    ".mdb",  # Zeiss LSM
    ".hdr",  # Analyze, NIfTI
    ".ics",
    ".afi",
    ".vms",
    ".ndpis",
    ".pattern",
)


@dataclass(frozen=True)
class Trouble:
    """Why a group cannot be imported, and what to do about it; *error* and *detail* are for admins."""

    reason: str
    remedy: str
    error: str
    detail: str = ""


@dataclass(frozen=True)
class Group:
    """Files that belong together, as a look at one of them told.

    asked   -- the file that was looked at
    members -- files of the batch, by path, in the order of Bio-Formats: the server opens the first
    """

    asked: str
    members: tuple[str, ...]
    format: str = ""
    series: int = 0
    plate: bool = False
    trouble: Trouble | None = None


def keys_first(files: Iterable[FileFact]) -> list[FileFact]:
    """The order to look at *files* in; else as they come."""
    return sorted(files, key=lambda file: not file.path.lower().endswith(_KEYS))


class Grouping:
    """The groups found so far. Looks are added one by one, in any order.

    1. A file that a group uses needs no look of its own (so does the Java client). A set of 60,000 files costs
       one look, not 60,000 looks that take a minute each.
    2. A group that another one holds whole is part of it, whichever was found first. (The Java client drops the
       smaller one if it uses fewer files than groups use it; else both become filesets, and its image comes twice.)
    3. Groups that overlap, neither of which holds the other, both become filesets, and what they share is uploaded
       with each (so does the Java client): an image of either may need it.
    4. A group that cannot be imported claims its files all the same. Else a plate with one file missing would come
       in as 59,999 images that nobody wants.
    """

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}  # by the file that was asked about: no other group has it
        self._told: dict[str, frozenset[str]] = {}  # their files, as Bio-Formats told them
        self._users: defaultdict[str, list[str]] = defaultdict(list)  # file -> groups, those taken in as well
        self._anchors: defaultdict[str, list[str]] = defaultdict(list)  # one file of each group -> the group

    def covers(self, path: str) -> bool:
        return path in self._users

    def groups(self) -> list[Group]:
        return list(self._groups.values())

    def add(self, group: Group) -> None:
        """Add what was told of ``group.asked``, which is not covered yet."""
        asked, told = group.asked, frozenset(group.members)
        if asked not in told and (holder := self._holder(told)) is not None:
            self._append(holder, asked)
            return
        # Where Bio-Formats opens other files in place of the one that was asked about (a log, say), the Java client
        # loses both. Nothing that was dropped may vanish: so it goes along, as the last.
        group = replace(group, members=tuple(dict.fromkeys((*group.members, asked))))
        self._groups[asked], self._told[asked] = group, told
        for path in group.members:
            self._users[path].append(asked)
        self._take_in_smaller(asked, told)
        self._anchors[asked if asked in told else group.members[0]].append(asked)

    def _holder(self, told: frozenset[str]) -> str | None:
        """A group that has all of *told*."""
        users = self._users.get(next(iter(told), ""), ())
        return next((user for user in users if told <= self._told.get(user, frozenset())), None)

    def _take_in_smaller(self, larger: str, told: frozenset[str]) -> None:
        # All files of a smaller group are among ours, its anchor too: no need to compare every group with every other.
        for path in told:
            for smaller in self._anchors.get(path, ()):
                if smaller in self._groups and self._told[smaller] <= told:
                    del self._told[smaller]
                    for member in self._groups.pop(smaller).members:
                        if member not in told:
                            self._append(larger, member)

    def _append(self, asked: str, path: str) -> None:
        group = self._groups[asked]
        self._groups[asked] = replace(group, members=(*group.members, path))
        self._users[path].append(asked)
