"""Holds the rooms of the house: layers, one room per third party, sizes, names.

Reads the source with ``ast``; only the last story imports anything, in a process of its own.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dropwatch"

LAYERS = (
    ("nouns", {"errors", "model", "record", "exits"}),
    (
        "thoughts",
        {
            "lifecycle",
            "settling",
            "schedule",
            "document",
            "manifest",
            "config",
            "report",
            "journal",
            "probe",
            "storage",
            "litter",
        },
    ),
    ("ground", {"durable"}),
    (
        "hands",
        {
            "spool",
            "places",
            "mounts",
            "ledger",
            "watch",
            "outbox",
            "credentials",
            "formats",
            "workers",
            "importers",
        },
    ),
    ("line", {"task", "pipeline", "status", "doctor"}),
    ("life", {"daemon", "actions"}),
    ("doors", {"cli", "web", "metrics", "sandbox"}),
)
SIBLINGS_MAY_MEET = {"nouns", "thoughts"}
FRONT_DOOR = "cli"  # its commands open the other doors
OUTSIDE = {"", "__main__"}  # the package's own front: re-exports and `python -m dropwatch`

OMERO = {"importers.omero", "sandbox"}
THIRD_PARTIES = {
    "tinydb": {"ledger"},
    "watchdog": {"watch"},
    "omero": OMERO,
    "Ice": OMERO,
    "IceImport": OMERO,
    "Glacier2": OMERO,
    "omero_version": OMERO,
    "yagmail": {"outbox"},
    "yaml": {"document", "sandbox"},
    "pydantic": {"document", "config", "manifest", "web"},
    "typer": {"cli"},
    "rich": {"cli", "sandbox"},
    "aiosmtpd": {"sandbox"},
    "tifffile": {"sandbox"},
    "numpy": {"sandbox"},
    "cryptography": {"sandbox"},
    "jpype": {"formats"},
    "pebble": {"workers"},
    "backoff": {"schedule"},
    "nicegui": {"web"},
    "fastapi": {"web"},
    "fastapi_offline": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "itsdangerous": {"web"},
    "tuspyserver": {"web"},
}
SHARED = {"importers.base", "importers.reading"}  # the contract, and what every importer reads files with
BROAD_EXCEPT = {"pipeline"}
GUARD = "outermost guard"  # elsewhere a comment says so, and why: where a thread, a call from outside, ends
FUNCTION_LINES = 40
MODULE_LINES = 320
NAMELESS = {"utils", "util", "core", "manager", "managers", "helpers", "helper", "common", "misc"}
HEAVY = (
    "omero",
    "Ice",
    "aiosmtpd",
    "tifffile",
    "numpy",
    "jpype",
    "nicegui",
    "fastapi",
)  # extras: submit and manifest work without


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """``dropwatch/importers/omero.py`` is ``importers.omero``; a package is called as its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def room(module: str) -> str:
    """The room a module belongs to: the modules of a split room share its first word (``spool_claim``)."""
    first, *rest = module.split(".")
    if first == "importers" and rest:
        return f"importers.{rest[0].partition('_')[0]}"
    return first.partition("_")[0]


def layer(module: str) -> int | None:
    first = room(module).partition(".")[0]
    return next((number for number, (_, rooms) in enumerate(LAYERS) if first in rooms), None)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of whatever the module imports, anywhere in it, type checking included."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*above, node.module) if node.module else above)
            # `from dropwatch import model` names a module, `from dropwatch.model import Place` does not.
            yield from ((node.lineno, _module(origin, alias.name)) for alias in node.names)


def _module(origin: str, name: str) -> str:
    inside = ROOT.joinpath(*origin.split("."), name)
    return f"{origin}.{name}" if inside.is_dir() or inside.with_suffix(".py").is_file() else origin


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imports(path):
        if name.split(".")[0] == "dropwatch":
            yield line, name.removeprefix("dropwatch").removeprefix(".")


def forbidden(importer: str, imported: str) -> str | None:
    """The rule that ``importer`` breaks by importing ``imported``, or None."""
    importer_room = room(importer)
    if imported in OUTSIDE or importer_room == room(imported):
        return None
    here, there = layer(importer), layer(imported)
    if here is None or there is None:
        return None  # reported by test_every_module_has_its_room
    if there > here:
        return f"imports go downwards only: {LAYERS[here][0]} may not know {LAYERS[there][0]}"
    may_meet = LAYERS[here][0] in SIBLINGS_MAY_MEET or imported in SHARED or importer_room == FRONT_DOOR
    if there == here and not may_meet:
        return f"two {LAYERS[here][0]} never import each other: who is above hands over both"
    return None


def told(problems: list[str]) -> str:
    return "\n" + "\n".join(problems)


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_every_module_has_its_room() -> None:
    problems = [
        f"{where(path, 1)}: no layer of DESIGN section 4 has a room for it; name it there and in this test"
        for path in modules()
        if dotted(path) not in OUTSIDE and layer(dotted(path)) is None
    ]

    assert not problems, told(problems)


def test_imports_go_downwards_only_and_hands_stay_apart() -> None:
    problems = [
        f"{where(path, line)}: {dotted(path)} imports {name}: {rule}"
        for path in modules()
        if dotted(path) not in OUTSIDE
        for line, name in own_imports(path)
        if (rule := forbidden(dotted(path), name))
    ]

    assert not problems, told(problems)


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("model", "errors", True),
        ("model", "lifecycle", False),
        ("config", "manifest", True),
        ("spool", "ledger", False),
        ("spool", "model", True),
        ("spool_claim", "spool_names", True),
        ("importers.omero_upload", "importers.omero_session", True),
        ("importers.omero", "importers.base", True),
        ("importers.folder", "importers.reading", True),
        ("importers.reading", "importers.folder", False),
        ("importers.omero", "importers.folder", False),
        ("importers.omero", "spool", False),
        ("importers.base", "importers.omero", False),
        ("status", "daemon", False),
        ("pipeline", "importers.base", True),
        ("pipeline", "task", False),
        ("task", "importers.omero", True),
        ("daemon", "cli", False),
        ("cli", "sandbox.demo", True),
        ("cli_mail", "spool", True),
        ("sandbox.demo", "cli", False),
    ],
)
def test_the_layer_rule_itself_is_right(importer: str, imported: str, allowed: bool) -> None:
    assert (forbidden(importer, imported) is None) is allowed


def test_each_third_party_has_one_room() -> None:
    problems = [
        f"{where(path, line)}: {name.split('.')[0]} belongs to {', '.join(sorted(rooms))}"
        for path in modules()
        for line, name in imports(path)
        if (rooms := THIRD_PARTIES.get(name.split(".")[0])) is not None and room(dotted(path)) not in rooms
    ]

    assert not problems, told(problems)


def test_no_third_party_comes_in_unannounced() -> None:
    known = set(sys.stdlib_module_names) | set(THIRD_PARTIES) | {"dropwatch"}

    problems = [
        f"{where(path, line)}: {name} has no room yet; name one in DESIGN section 4 and in this test"
        for path in modules()
        for line, name in imports(path)
        if name.split(".")[0] not in known and not name.startswith(("_", "omero_"))
    ]

    assert not problems, told(problems)


def test_functions_and_modules_fit_in_the_hand() -> None:
    problems = []
    for path in modules():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MODULE_LINES:
            problems.append(f"{where(path, lines)}: {lines} lines; over {MODULE_LINES} it is two modules")
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    problems.append(
                        f"{where(path, node.lineno)}: {node.name} has {length} lines; "
                        f"over {FUNCTION_LINES} its second half needs a name"
                    )

    assert not problems, told(problems)


def test_each_module_opens_with_its_promise() -> None:
    problems = [
        f"{where(path, 1)}: no docstring: say what it is, then what only it may do"
        for path in modules()
        if not ast.get_docstring(tree(path))
    ]

    assert not problems, told(problems)


def test_each_module_has_a_name_that_says_something() -> None:
    problems = [
        f"{where(path, 1)}: '{word}' says nothing; name it after its concept"
        for path in modules()
        for word in path.relative_to(PACKAGE).with_suffix("").parts
        if NAMELESS & set(word.split("_"))
    ]

    assert not problems, told(problems)


def test_broad_except_only_in_the_pipeline() -> None:
    problems = [
        f"{where(path, node.lineno)}: {rule}"
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and (rule := _too_broad(node, path))
    ]

    assert not problems, told(problems)


def _too_broad(handler: ast.ExceptHandler, path: Path) -> str | None:
    if handler.type is None:
        return "bare except: name what may happen"
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    if not names & {"Exception", "BaseException"} or room(dotted(path)) in BROAD_EXCEPT:
        return None
    cleans_up = isinstance(last := handler.body[-1], ast.Raise) and last.exc is None
    lines = path.read_text(encoding="utf-8").splitlines()[handler.lineno - 1 : handler.lineno + 1]
    if cleans_up or any(GUARD in line.partition("#")[2] for line in lines):
        return None
    return f"broad except outside {', '.join(sorted(BROAD_EXCEPT))}: sort failures by type, at the edge"


def test_no_star_imports() -> None:
    problems = [
        f"{where(path, node.lineno)}: import *"
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]

    assert not problems, told(problems)


def test_the_command_line_starts_without_the_extras() -> None:
    if not list(PACKAGE.glob("cli*")):
        pytest.skip("cli is being written")
    ask = f"import sys, dropwatch.cli; print(*sorted(set(sys.modules) & {set(HEAVY)!r}))"

    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=200, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], (
        f"import dropwatch.cli loads {done.stdout.strip()}: import it where it is used"
    )
