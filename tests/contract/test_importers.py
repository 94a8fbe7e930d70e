"""What every importer promises (importers/base.py), told once and tried on each image store there is.

folder      -- a tree of folders
omero       -- the native importer, on the sandbox
omero-cli   -- `omero import`, by a stand-in for the program
real        -- the native importer, on the server that DROPWATCH_TEST_OMERO names; skipped when it names none
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from orders import Batch, attach, make_batch, run
from stores import VARIABLE, FolderStore, Store, real_cli_store, real_store, sandbox_store, stand_in_store

from dropwatch.errors import (
    DropwatchError,
    Interrupted,
    PermanentError,
    TemporaryError,
)
from dropwatch.importers.base import Importer
from dropwatch.model import Answers, Attached, Fileset, Imported, Kind, Own, Progress, Skipped, Target, Tree
from dropwatch.spool.folders import claim_stamp

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and links are of POSIX")


STORES = [
    "folder",
    "omero",
    "omero-cli",
    *(["real"] if VARIABLE in os.environ else []),
    *(["real-cli"] if f"{VARIABLE}_CLIENTDIR" in os.environ else []),
]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each image store in turn."""
    if request.param == "folder":
        return FolderStore(tmp_path / "archive")
    pytest.importorskip("omero")
    if request.param == "omero":
        return sandbox_store(request.getfixturevalue("sandbox"))
    if request.param == "omero-cli":
        if os.name != "posix":
            pytest.skip("omero-cli works on Linux and macOS only")
        return stand_in_store(request.getfixturevalue("sandbox"), tmp_path / "program")
    return real_store() if request.param == "real" else real_cli_store(tmp_path)


Drop = Callable[..., Batch]


@pytest.fixture
def drop(store: Store, tmp_path: Path) -> Iterator[Drop]:
    """Makes batches for the store's owner, each with an id of its own, for one dataset that is new to the store."""
    rng = random.Random()
    dataset = Target(Kind.DATASET, name=f"dropwatch test {claim_stamp(time.time(), rng)}")
    made: list[Batch] = []

    def batch(**more: Any) -> Batch:
        stamp = claim_stamp(time.time(), rng)
        usual = {"owner": store.owner, "user": store.owner, "sender": store.owner, "group": store.group}
        told = {**usual, "target": dataset, "batch": stamp, "claim": stamp, **more}
        made.append(make_batch(tmp_path / stamp, **told))
        return made[-1]

    yield batch
    store.remove([each.order for each in made])


@pytest.fixture
def importer(store: Store) -> Iterator[Importer]:
    with closing(store.connect()) as made:
        yield made


def fails(kind: type[DropwatchError], call: Callable[[], object]) -> Any:
    """The error that *call* ends with: of that very type, in a sentence, and the same after a way through a pipe."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    again = pickle.loads(pickle.dumps(error))

    assert type(error) is type(again) is kind
    assert error.message.endswith(".") and str(again) == str(error)
    return error


class TestEveryImporter:
    # -- the way it goes when nothing goes wrong ---------------------------------------------------------

    def test_asking_before_anything_finds_nothing_and_makes_the_target(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        first = importer.ask(batch.order, [batch.image()])
        second = importer.ask(batch.order, [batch.image()])

        assert first.found == second.found == {}
        assert first.container.created and not second.container.created
        assert (first.container.id, first.container.kind) == (second.container.id, Kind.DATASET)
        assert store.targets(batch.order) == 1 and store.held(batch.order) == 0

    def test_one_file_is_imported_and_asking_finds_it(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        fileset = batch.image("run 1/a.ome.tif")
        told: list[Progress] = []
        answers = importer.ask(batch.order, [fileset])
        imported = run(importer, batch, fileset, answers, progress=told.append)
        found = importer.ask(batch.order, [fileset]).found[fileset.id]

        assert isinstance(found, Imported)
        assert (found.images, found.fileset) == (imported.images, imported.fileset)
        assert len(imported.images) == 1 and imported.images[0].id > 0
        assert imported.images[0].name.endswith("a.ome.tif") and imported.warning == ""
        assert Progress("upload", fileset.bytes, fileset.bytes) in told
        assert store.held(batch.order) == 1
        assert pickle.loads(pickle.dumps((imported, answers))) == (imported, answers)

    def test_fileset_of_several_files_is_one_import(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        batch.image("set/a.ome.tif")
        batch.text("set/a.log")
        batch.text("set/empty.txt", "")
        fileset = batch.fileset("set/a.ome.tif", "set/a.log", "set/empty.txt")
        imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

        assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)
        assert len(imported.images) == 1 and store.held(batch.order) == 1

    def test_another_importer_finds_what_the_first_one_made(self, store: Store, drop: Drop) -> None:
        batch = drop()
        one, two = batch.image("a.ome.tif"), batch.image("b.ome.tif", seed=1)
        with closing(store.connect()) as first:
            imported = run(first, batch, one, first.ask(batch.order, [one, two]))
        with closing(store.connect()) as second:
            answers = second.ask(batch.order, [one, two])
            for fileset in (one, two):
                if fileset.id not in answers.found:
                    run(second, batch, fileset, answers)

        assert list(answers.found) == [one.id]
        assert answers.found[one.id].fileset == imported.fileset  # type: ignore[union-attr]
        assert store.held(batch.order) == 2

    def test_what_the_manifest_says_beside_is_taken_along(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        mark = f"dropwatch test {time.time_ns()}"
        batch = drop(tags=(mark,), key_values=(("objective", "63x"),), description="free text")
        fileset = batch.image()
        run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

        assert store.held(batch.order) == 1

    # -- targets -----------------------------------------------------------------------------------------

    def test_two_batches_that_want_the_same_new_dataset_make_it_once(self, store: Store, drop: Drop) -> None:
        """Within one importer, as the threads of a process have it."""
        batches = [drop(), drop()]
        together = threading.Barrier(2)
        answers: list[Answers] = []
        with closing(store.connect()) as importer:

            def work(batch: Batch) -> None:
                together.wait(60)
                answers.append(importer.ask(batch.order, []))

            threads = [threading.Thread(target=work, args=(batch,)) for batch in batches]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)

        assert len({one.container.id for one in answers}) == 1 and len(answers) == 2
        assert sum(one.container.created for one in answers) == 1
        assert store.targets(batches[0].order) == 1

    def test_dataset_by_a_number_that_there_is_not_is_refused(self, importer: Importer, drop: Drop) -> None:
        batch = drop(target=Target(Kind.DATASET, id=2**40))
        error = fails(PermanentError, lambda: importer.ask(batch.order, []))

        assert str(2**40) in error.message and error.remedy

    def test_project_holds_no_images(self, importer: Importer, drop: Drop) -> None:
        batch = drop(target=Target(Kind.PROJECT, name="HeLa"))

        assert "Dataset:" in fails(PermanentError, lambda: importer.ask(batch.order, [])).remedy

    def test_batch_id_that_is_none_is_refused(self, importer: Importer, drop: Drop) -> None:
        batch = drop()
        for forged in ("20261124-14035_-k3f9", "../../etc", "%"):
            fails(PermanentError, lambda forged=forged: importer.ask(batch.but(batch=forged).order, []))

    # -- what is there already ---------------------------------------------------------------------------

    def test_file_that_is_there_already_is_skipped_unless_the_manifest_wants_it_again(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        first, again = drop(), drop()
        imported = [
            run(importer, first, one, importer.ask(first.order, [one]))
            for one in (first.image("a.ome.tif", seed=1), first.image("b.ome.tif", seed=2))
        ]
        same = again.copy(first, "a.ome.tif", "sub/a.ome.tif")
        other = again.image("b.ome.tif", seed=3)  # the same name and size, other pixels
        wanted = again.but(duplicates="import")

        assert importer.ask(again.order, [same, other]).found == {
            same.id: Skipped(imported[0].images, imported[0].fileset)
        }
        answers = importer.ask(wanted.order, [same, other])
        assert answers.found == {}
        run(importer, wanted, same, answers)
        assert (store.held(first.order), store.held(again.order)) == (2, 1)

    def test_part_of_a_fileset_is_no_duplicate_of_it(self, importer: Importer, drop: Drop) -> None:
        first, again = drop(), drop()
        first.image("a.ome.tif")
        first.text("a.log")
        both = first.fileset("a.ome.tif", "a.log")
        run(importer, first, both, importer.ask(first.order, [both]))
        again.text("a.log")
        alone = again.copy(first, "a.ome.tif", "a.ome.tif")
        whole = again.fileset("a.ome.tif", "a.log")

        assert list(importer.ask(again.order, [alone, whole]).found) == [whole.id]

    def test_copies_within_one_batch_are_all_imported(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        one = batch.image("left/a.ome.tif")
        two = batch.copy(batch, "left/a.ome.tif", "right/a.ome.tif")
        run(importer, batch, one, importer.ask(batch.order, [one, two]))
        answers = importer.ask(batch.order, [one, two])
        run(importer, batch, two, answers)

        assert list(answers.found) == [one.id]
        assert store.held(batch.order) == 2

    def test_attachment_is_attached_once(self, importer: Importer, drop: Drop) -> None:
        batch = drop()
        notes, image = batch.attachment(batch.text("notes.pdf", "notes " * 500)), batch.image()
        answers = importer.ask(batch.order, [image, notes])
        made = attach(importer, batch, notes, answers)
        twice = attach(importer, batch, notes, answers)
        found = importer.ask(batch.order, [image, notes]).found

        assert answers.found == {}
        assert isinstance(made, Attached) and made == twice
        assert found == {notes.id: made}

    def test_file_is_found_again_when_the_manifest_names_another_dataset_now(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        fileset = batch.image()
        imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
        elsewhere = Target(Kind.DATASET, name=f"{batch.order.target.name}, another")
        changed = drop(batch=batch.order.batch, target=elsewhere)
        found = importer.ask(changed.order, [fileset]).found

        assert found[fileset.id].fileset == imported.fileset  # type: ignore[union-attr]
        assert store.held(batch.order) == 1

    def test_replaced_file_is_another_fileset_and_leaves_nothing_of_the_old_one(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        old = batch.image(size=1500)
        told: list[Progress] = []
        answers = importer.ask(batch.order, [old])
        fails(
            Interrupted,
            lambda: run(importer, batch, old, answers, progress=told.append, stopped=lambda: bool(told)),
        )
        new = batch.image(seed=1)

        assert old.id != new.id
        assert importer.ask(batch.order, [new]).found == {} and store.held(batch.order) == 0

    def test_file_that_is_only_attached_is_no_image_that_is_there_already(
        self, importer: Importer, drop: Drop
    ) -> None:
        first, again = drop(), drop()
        first.image("a.ome.tif")
        attached = first.attachment("a.ome.tif")
        attach(importer, first, attached, importer.ask(first.order, [attached]))

        assert importer.ask(again.order, [again.copy(first, "a.ome.tif", "a.ome.tif")]).found == {}

    # -- what breaks off ---------------------------------------------------------------------------------

    def test_stop_in_the_middle_of_an_upload_leaves_nothing(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        fileset = batch.image(size=1500)
        told: list[Progress] = []
        answers = importer.ask(batch.order, [fileset])
        fails(
            Interrupted,
            lambda: run(importer, batch, fileset, answers, progress=told.append, stopped=lambda: bool(told)),
        )
        found = importer.ask(batch.order, [fileset]).found

        assert told[0].done < fileset.bytes
        assert found == {} and store.held(batch.order) == 0

    def test_stop_before_the_first_byte_leaves_nothing(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        fileset, notes = batch.image(), batch.attachment(batch.text("notes.pdf"))
        answers = importer.ask(batch.order, [fileset, notes])
        fails(Interrupted, lambda: run(importer, batch, fileset, answers, stopped=lambda: True))
        fails(Interrupted, lambda: attach(importer, batch, notes, answers, stopped=lambda: True))

        assert importer.ask(batch.order, [fileset, notes]).found == {}
        assert store.held(batch.order) == 0

    # -- files -------------------------------------------------------------------------------------------

    def test_file_changed_before_or_while_it_is_read_is_not_imported(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        path = batch.folder / "a.ome.tif"
        answers = importer.ask(batch.order, [])

        def touch() -> None:
            os.utime(path, ns=(1, 1))

        def append(progress: Progress) -> None:
            with path.open("ab") as file:
                file.write(b"more")

        for change in (touch, lambda: path.write_bytes(b"II*\0"), path.unlink):
            fileset = batch.image(size=1500)
            change()
            fails(TemporaryError, lambda fileset=fileset: run(importer, batch, fileset, answers))
        fileset = batch.image(size=1500)
        fails(TemporaryError, lambda: run(importer, batch, fileset, answers, progress=append))

        assert importer.ask(batch.order, [fileset]).found == {}
        assert store.held(batch.order) == 0

    def test_file_that_is_not_the_listed_one_is_refused(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        batch.image("good.ome.tif")
        batch.image("bad.ome.tif", seed=1)
        sha256 = hashlib.sha256((batch.folder / "good.ome.tif").read_bytes()).hexdigest()
        good = batch.fileset("good.ome.tif", listed={"good.ome.tif": sha256.upper()})
        bad = batch.fileset("bad.ome.tif", listed={"bad.ome.tif": "0" * 64})
        answers = importer.ask(batch.order, [good, bad])
        error = fails(PermanentError, lambda: run(importer, batch, bad, answers))
        run(importer, batch, good, answers)

        assert "bad.ome.tif is not the file that the manifest lists" in error.message
        assert list(importer.ask(batch.order, [good, bad]).found) == [good.id]
        assert store.held(batch.order) == 1

    @POSIX
    def test_nothing_but_regular_files_of_the_batch_is_read(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch, outside = drop(), drop()
        secret = outside.image("secret.ome.tif").files[0]
        (batch.folder / "link.ome.tif").symlink_to(outside.folder / "secret.ome.tif")
        (batch.folder / "below").symlink_to(outside.folder)
        os.mkfifo(batch.folder / "pipe.ome.tif")
        answers = importer.ask(batch.order, [])
        for path in (
            "link.ome.tif",
            "below/secret.ome.tif",
            f"../{outside.folder.name}/secret.ome.tif",
            str(outside.folder / "secret.ome.tif"),
            "pipe.ome.tif",
        ):
            fact = type(secret)(path, secret.size, secret.mtime_ns, secret.inode)
            fileset = Fileset("f1", (fact,))
            error = fails(PermanentError, lambda fileset=fileset: run(importer, batch, fileset, answers))

            assert path in error.message

        assert importer.ask(batch.order, []).found == {}
        assert store.held(batch.order) == 0

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
    def test_file_that_may_not_be_read_is_told_with_the_remedy(self, importer: Importer, drop: Drop) -> None:
        batch = drop()
        fileset = batch.image()
        (batch.folder / "a.ome.tif").chmod(0o000)
        answers = importer.ask(batch.order, [fileset])
        error = fails(PermanentError, lambda: run(importer, batch, fileset, answers))

        assert "may not read a.ome.tif" in error.message and "permission" in error.remedy

    # -- the rest of the contract ------------------------------------------------------------------------

    def test_discard_removes_what_was_made_and_no_more(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        keep, lose = batch.image("a.ome.tif"), batch.image("b.ome.tif", seed=1)
        answers = importer.ask(batch.order, [keep, lose])
        made = [run(importer, batch, one, answers) for one in (keep, lose)]
        importer.discard(batch.order, lose, made[1])
        left = importer.ask(batch.order, [keep, lose]).found
        importer.discard(batch.order, keep, made[0])

        assert list(left) == [keep.id]
        assert store.held(batch.order) == store.targets(batch.order) == 0

    def test_discard_keeps_a_dataset_that_was_there_before(self, store: Store, drop: Drop) -> None:
        batch = drop()
        fileset = batch.image()
        with closing(store.connect()) as first:
            first.ask(batch.order, [])
        with closing(store.connect()) as second:
            imported = run(second, batch, fileset, second.ask(batch.order, [fileset]))
            second.discard(batch.order, fileset, imported)

        assert (store.held(batch.order), store.targets(batch.order)) == (0, 1)

    def test_it_knows_its_owner(self, importer: Importer, store: Store) -> None:
        account = importer.account(store.owner)

        assert account.name == store.owner and account.active

    def test_it_lists_whom_it_knows_or_says_that_it_knows_nobody(
        self, importer: Importer, store: Store
    ) -> None:
        if isinstance(store, FolderStore):
            assert "user add" in fails(PermanentError, importer.accounts).remedy
            return
        names = [account.name for account in importer.accounts()]

        assert store.owner in names and names == sorted(names)
        assert not {"root", "guest"} & set(names)

    def test_it_knows_who_signs_in_and_refuses_whom_it_does_not_know(
        self, importer: Importer, store: Store
    ) -> None:
        if isinstance(store, FolderStore):
            assert "link" in fails(PermanentError, lambda: importer.sign_in(store.owner, "secret")).remedy
            return
        password = store.password()

        assert password is None or importer.sign_in(store.owner, password) == importer.account(store.owner)
        for name, wrong in ((store.owner, "not-the-right-password"), ("nobody-of-this-name", "secret")):
            assert importer.sign_in(name, wrong) is None
        for name, wrong in (("", ""), (store.owner, ""), (f"{store.owner}\0", "x"), ("\udcff", "\udcff")):
            assert importer.sign_in(name, wrong) is None

    def test_it_shows_what_the_owner_has_and_pictures_of_it(
        self, importer: Importer, store: Store, drop: Drop
    ) -> None:
        batch = drop()
        fileset = batch.image()
        answers = importer.ask(batch.order, [fileset])
        (image,) = run(importer, batch, fileset, answers).images
        tree = importer.containers(store.owner, store.group)
        pictures = importer.thumbnails(store.owner, [image.id, 2**40], 32)

        if isinstance(store, FolderStore):  # its datasets have no ids, and go by their names
            assert (tree, pictures) == (Tree("", ()), {})
            return
        assert Own(Kind.DATASET, answers.container.id, answers.container.name, 1) in tree.datasets
        assert tree.group == answers.group and tree.group in tree.groups and not tree.cut
        assert list(pictures) == [image.id] and pictures[image.id].startswith(b"\xff\xd8")
        fails(PermanentError, lambda: importer.containers(store.owner, "no such group"))

    def test_the_doctor_finds_a_good_store_well(self, importer: Importer, store: Store) -> None:
        found = [*importer.diagnose(None), *importer.diagnose(store.owner)]

        assert len(found) > 2 and all(one.ok and one.subject and one.text for one in found), found

    def test_closing_twice_is_quick_and_quiet(self, store: Store, drop: Drop) -> None:
        importer = store.connect()
        importer.ask(drop().order, [])
        before = time.monotonic()
        importer.close()
        importer.close()

        assert time.monotonic() - before < 30
