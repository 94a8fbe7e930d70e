"""``dropwatch demo``: a story of five batches, a mail server that is down and a daemon that is killed; and the page.

The story and its words are here, and nothing else: what is said is what was seen.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from dropwatch import exits
from dropwatch.errors import DropwatchError
from dropwatch.model import Place
from dropwatch.sandbox.demo_check import check, half_uploaded, imports, strays
from dropwatch.sandbox.demo_drops import BRAIN, DROPS, EMBRYO, HEART, HELA, PLATE, Drop, make_samples
from dropwatch.sandbox.demo_mails import Mail, received
from dropwatch.sandbox.demo_page import PageProgram
from dropwatch.sandbox.demo_programs import Stuck
from dropwatch.sandbox.demo_scene import Scene, set_faults
from dropwatch.sandbox.demo_screen import (
    Screen,
    print_check,
    print_mail,
    print_point,
    screen_for,
)
from dropwatch.sandbox.demo_stage import Stage, raised

_SLOW = {"slow_upload": "2s", "slow_after_verify": "400ms"}  #: so that a kill comes in mid-upload
_BRISK = {"slow_upload": "400ms", "slow_after_verify": "200ms"}  #: and that people can follow
_GOOD = sum(len(drop.good) for drop in DROPS)
_SENTENCE = 0.7  #: seconds to read one
_PATIENCE = 90.0  #: seconds for what takes a few


def run_demo(folder: Path | None, *, once: bool) -> int:
    """Tell the story below *folder*, a new one in the temporary directory if None; the exit code.

    once -- end when the story is told, instead of going on for people's own files until Ctrl-C
    """
    return play(folder, once=once, screen=screen_for(Console(highlight=False)), command=_command())


def play(folder: Path | None, *, once: bool, screen: Screen, command: str) -> int:
    """run_demo() on *screen*. *command*: how to call dropwatch from here."""
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        screen.say("trouble", f"{folder} is not empty. The demo wants a folder of its own: name another one.")
        return exits.USAGE
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="dropwatch-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    stage = Stage(Scene(folder.resolve()), screen)
    with raised(stage):
        return _played(stage, once, command)


def _played(stage: Stage, once: bool, command: str) -> int:
    code = exits.FAILED
    try:
        _tell(stage)
        code = conclude(stage)
        where_to_look(stage, command)
        if not once:
            _go_on(stage)
    except KeyboardInterrupt:
        stage.screen.rest()
        stage.screen.say("", "The demo ends; its folder stays.")
    except (Stuck, DropwatchError, OSError) as err:
        stage.screen.rest()
        stage.screen.say("trouble", f"The demo cannot go on. {err}")
        if stage.scene.log.exists():
            stage.screen.say("", f"The daemon's log is {stage.scene.log}.")
    return code


# -- the story -----------------------------------------------------------------------------------------


def _tell(stage: Stage) -> None:
    _open(stage)
    _drop(stage)
    _kill(stage)
    _come_back(stage)
    _mail(stage)


def _open(stage: Stage) -> None:
    screen, scene = stage.screen, stage.scene
    screen.chapter("1. A small imaging facility, all of it on this machine")
    screen.say("", f"Everything happens in {scene.folder}")
    make_samples(scene, DROPS)
    omero, smtp = stage.build()
    set_faults(scene, omero=_SLOW, smtp={"refuse": True})
    screen.say("OMERO", f"listens on port {omero}. It is a stand-in, but it speaks the real protocol (Ice).")
    screen.say("mail", f"should be taken on port {smtp}, but the mail server is down today.")
    stage.daemon.open()
    if stage.page is None:
        screen.say("page", "is not installed here: it comes with dropwatch[web]. All else goes without it.")
    else:
        stage.page.begin()
        screen.say("page", "shows all this in a browser; more of it at the end.")
    screen.say("dropwatch", "runs, and watches the drop folders of alice, bob and carol.")


def _drop(stage: Stage) -> None:
    stage.screen.chapter("2. Three people and a microscope drop images, and are done")
    _hand_in(
        stage,
        "alice",
        f'copies the folder "{HELA.name}" to her inbox. A batch.yaml in it says where in OMERO, and the tags.',
        HELA,
    )
    _hand_in(
        stage,
        "bob",
        "copies a folder and a single file. The three files of the folder are one image, the file holds three.",
        HEART,
        EMBRYO,
    )
    _hand_in(
        stage, "carol", f'copies "{BRAIN.name}". One of its files is broken, and she does not know.', BRAIN
    )
    _hand_in(
        stage,
        "microscope",
        f'saves "{PLATE.name}" for carol, well by well, and at last a list with checksums.',
        PLATE,
    )


def _hand_in(stage: Stage, who: str, story: str, *drops: Drop) -> None:
    stage.screen.say(who, story)
    for drop in drops:
        drop.hand_in(drop, stage.scene, stage.let_pass)
    stage.let_pass(_SENTENCE)


def _kill(stage: Stage) -> None:
    screen, scene = stage.screen, stage.scene
    screen.chapter("3. The worst moment to die")

    def in_mid_import() -> bool:
        """Whether a file is half uploaded, and stays so: who is to kill may be slow."""
        if len(imports(scene)) < 2 or not half_uploaded(scene, DROPS):
            return False
        set_faults(scene, omero={"hold_upload": True}, smtp={"refuse": True})
        if half_uploaded(scene, DROPS):
            return True
        set_faults(scene, omero=_SLOW, smtp={"refuse": True})
        return False

    stage.wait(in_mid_import, _PATIENCE, "An upload to be interrupted")
    stage.daemon.kill()
    half = half_uploaded(scene, DROPS)
    if not half:
        raise Stuck("The daemon was to be killed in mid-upload, but it was quicker.")
    screen.say("trouble", f'dropwatch is killed (SIGKILL) while "{half[0]}" is half uploaded.')
    screen.say(
        "OMERO", f"has {_files_in(scene)} of {_GOOD} good files by now, and a half one that is of no use."
    )
    stage.let_pass(2.0)
    set_faults(scene, omero=_BRISK, smtp={"refuse": True})


def _files_in(scene: Scene) -> int:
    return sum(len(line["files"]) for line in imports(scene))


def _come_back(stage: Stage) -> None:
    screen, scene = stage.screen, stage.scene
    stage.daemon.open()
    screen.say(
        "dropwatch",
        "is started again. It asks OMERO before it repeats anything: what is there stays, "
        "the half file is thrown away and sent anew.",
    )
    stage.wait(lambda: stage.all_retired(len(DROPS)), _PATIENCE, "All batches to be through")
    if strays(scene, DROPS):
        screen.say("trouble", "OMERO does not have exactly what was dropped; see below.")
    else:
        screen.say("OMERO", f"has all {_GOOD} good files now, each one once: none lost, none twice.")


def _mail(stage: Stage) -> None:
    screen = stage.screen
    screen.chapter("4. The letters")
    screen.say(
        "mail", f"is still down. {stage.letters_waiting()} letters wait on disk; they held up no import."
    )
    set_faults(stage.scene, omero=_BRISK)
    screen.say("mail", "is up again. dropwatch tries it now and then, so this takes some seconds.")
    stage.wait(lambda: stage.letters_waiting() == 0, _PATIENCE, "The letters to arrive")
    screen.rest()
    mails = stage.postbox.new()
    screen.say("mail", f"{len(mails)} letters arrive. This is what carol reads about the broken file:")
    for mail in _to_carol(stage):
        print_mail(screen.console, mail)


def _to_carol(stage: Stage) -> list[Mail]:
    rows = stage.status().rows
    ids = {row.id for row in rows if row.user == BRAIN.user and BRAIN.is_called(row.name)}
    mine = [mail for mail in received(stage.scene.mails) if mail.batch in ids]
    return [mail for mail in mine if mail.to == BRAIN.recipients[0]][:1]


# -- what came of it -----------------------------------------------------------------------------------


def conclude(stage: Stage) -> int:
    """Compare what was dropped with what is there; the exit code: GOOD only if all came out as told."""
    screen, scene = stage.screen, stage.scene
    screen.chapter("5. What came of it, as read from OMERO's own list, the folders and the mails")
    seen = check(scene, DROPS, stage.status().rows)
    page = stage.page.problems(DROPS) if stage.page is not None and stage.page.runs() else None
    print_check(screen.console, seen, page)
    problems = [f"{one.drop.user}/{one.drop.name}: {problem}." for one in seen for problem in one.problems]
    problems += [f"OMERO does not have {name} exactly once." for name in strays(scene, DROPS)]
    problems += [f"OMERO still has a half {name}." for name in half_uploaded(scene, DROPS)]
    problems += [f"The page: {problem}." for problem in page or ()]
    for problem in problems:
        screen.say("trouble", problem)
    if problems:
        return exits.FAILED
    screen.say(
        "",
        "Every good file is in OMERO once, byte for byte. Every file lies where it should, unchanged. "
        "The broken one is waiting for carol, and everybody has mail.",
    )
    return exits.GOOD


def where_to_look(stage: Stage, command: str) -> None:
    """Print what there is to see and to try."""
    screen, scene = stage.screen, stage.scene
    screen.chapter(f"Where to look in {scene.folder}")
    failed = [row.path for row in stage.status().rows if row.place is Place.FAILED]
    places = [
        ("folders", scene.spool),
        *[("report", path / "REPORT.txt") for path in failed[:1]],
        ("letters", scene.mails),
        ("log", scene.log),
    ]
    for name, path in places:
        print_point(screen.console, name, str(path.relative_to(scene.folder)))
    print_point(screen.console, "try", f"{command} --config {scene.config} status")


def _go_on(stage: Stage) -> None:
    """Keep everything running for people's own files, until Ctrl-C."""
    screen = stage.screen
    set_faults(stage.scene)
    screen.chapter("Your turn")
    screen.say("", "Drop images of your own (TIFF, PNG, JPEG), or some of the samples. Ctrl-C ends it.")
    print_point(screen.console, "inbox", str(stage.scene.inbox("alice")))
    print_point(screen.console, "samples", str(stage.scene.samples))
    if stage.page is not None:
        open_page(stage, stage.page)
    while True:
        stage.let_pass(1.0)
        for mail in stage.postbox.new():
            screen.say("mail", f"to {mail.to}: {mail.subject}")


def open_page(stage: Stage, page: PageProgram) -> None:
    """Say where the page is and how to come in. Last of all, so that it is what people have before their eyes."""
    screen, address = stage.screen, page.address()
    screen.chapter(f"The page is open: {address}")
    screen.say(
        "",
        "Each link below works once, within 15 minutes. Or sign in as alice, bob or carol: the name is the "
        "password. Links to OMERO.web lead nowhere, for there is none here.",
    )
    print_point(screen.console, "more links", f"{_command()} --config {stage.scene.config} web-link alice")
    if "SSH_CONNECTION" in os.environ:
        port = address.rpartition(":")[2]
        print_point(screen.console, "from afar", f"ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}")
    print_point(screen.console, "as alice", page.link("alice"))
    print_point(screen.console, "as admin", page.link("root", admin=True))


def _command() -> str:
    """How the reader can call dropwatch: as it was called just now."""
    called = Path(sys.argv[0])
    if called.stem != "dropwatch":
        return f"{Path(sys.executable).name} -m dropwatch"
    absolute = called.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else os.fspath(called)
