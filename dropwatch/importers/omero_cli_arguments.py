"""Which arguments a facility may hand on to `omero import`, and why not the others. Text in, text out.

Options and their abbreviations: omero-py ``plugins/import.py`` (argparse) and omero-blitz
``CommandLineImporter.java`` (getopt); both take the beginning of a long option for the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_OURS = "dropwatch sets it itself"
_NAMES = "it would give every image of every batch the same one; batch.yaml has description"
_QUIET = "dropwatch could no longer see how an import ended"
_SENDS = "it sends file names, or files, to the OME team"
_NO_IMPORT = "nothing is imported then"
_TRANSFER = (
    "only upload is allowed: ln, ln_s and cp need OMERO's own disks and leave images that depend on files in the "
    "batch, and what ends in _rm deletes files after imports that failed without being counted as errors"
)

_REASONS = {
    "server": _OURS,
    "port": _OURS,
    "user": _OURS,
    "password": "a password never stands in arguments, where everybody can see it",
    "group": "batch.yaml says it (group)",
    "key": "a session key never stands in arguments, where everybody can see it",
    "create": _OURS,
    "quiet": _QUIET,
    "sudo": "dropwatch logs in by itself, with omero.user",
    "target": "batch.yaml says it (target)",
    "output": _OURS,
    "file": _OURS,
    "errs": _OURS,
    "logprefix": _OURS,
    "encrypted": "omero.secure says it",
    "clientdir": "omero-cli.clientdir says it",
    "name": _NAMES,
    "description": _NAMES,
    "plate-name": _NAMES,
    "plate-description": _NAMES,
    "bulk": "dropwatch says which files are imported",
    "exclude": "it takes a failed import for one that is there (`duplicates` in the configuration looks for images)",
    "report": _SENDS,
    "upload": _SENDS,
    "logs": _SENDS,
    "email": _SENDS,
    "qa-baseurl": _SENDS,
    "minutes-wait": _QUIET,
    "auto-close": _QUIET,
    "close-completed": _NO_IMPORT,
    "wait-completed": _NO_IMPORT,
    "fetch-jars": _NO_IMPORT,
    "help": _NO_IMPORT,
    "javahelp": _NO_IMPORT,
    "java-help": _NO_IMPORT,
    "advanced-help": _NO_IMPORT,
}
_SHORT = {
    "s": "server",
    "p": "port",
    "u": "user",
    "w": "password",
    "g": "group",
    "k": "key",
    "C": "create",
    "q": "quiet",
    "d": "target",
    "r": "target",
    "T": "target",
    "n": "name",
    "x": "description",
    "h": "help",
}
_SHORT_REASONS = {
    "c": "it makes the exit code 0 whatever failed",
    "f": _NO_IMPORT,
}
_WITH_VALUE = frozenset(
    {
        "skip",
        "depth",
        "readers",
        "logback",
        "transfer",
        "checksum-algorithm",
        "parallel-upload",
        "parallel-fileset",
        "annotation-ns",
        "annotation-text",
        "annotation-link",
        "keep-alive",
        "debug",
    }
)
_WITHOUT_VALUE = frozenset({"no-thumbnails", "no-stats-info", "no-upgrade-check"})


def refused(arguments: Sequence[str]) -> list[str]:
    """A sentence for each argument that cannot be handed on; none when all can."""
    return [f"{argument}: {why}" for argument, why in _refused(arguments)]


def _refused(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    awaited = ""  # the option whose value comes next
    for argument in arguments:
        if argument == "--":
            awaited = ""
        elif argument == "-" or not argument.startswith("-"):
            if not awaited:
                yield argument, "it would be taken for a file to import; write --option=value"
            elif why := _bad_value(awaited, argument):
                yield f"--{awaited} {argument}", why
            awaited = ""
        elif argument.startswith("--"):
            name, equals, value = argument.lstrip("-").partition("=")
            name = name.replace("_", "-")
            if why := _bad_option(name) or (_bad_value(name, value) if equals else ""):
                yield argument, why
            awaited = name if name in _WITH_VALUE and not equals else ""
        else:
            if why := _bad_letter(argument):
                yield argument, why
            awaited = "readers" if argument == "-l" else ""


def _bad_option(name: str) -> str:
    if any(char.isspace() for char in name):
        return "an option and its value are two entries of the list, or one with = between them"
    if name in _WITH_VALUE | _WITHOUT_VALUE:
        return ""
    if name in _REASONS:
        return _REASONS[name]
    meant = sorted(full for full in {*_REASONS, "transfer"} if full.startswith(name))
    return f"it may be taken for --{meant[0]}; write options out" if meant else ""


def _bad_value(name: str, value: str) -> str:
    return _TRANSFER if name == "transfer" and value != "upload" else ""


def _bad_letter(argument: str) -> str:
    letter = argument[1:2]
    return _SHORT_REASONS.get(letter) or _REASONS.get(_SHORT.get(letter, ""), "")
