"""The examples are true: their manifests are read by the daemon's own reader, their script is run."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dropwatch import manifest
from dropwatch.model import Kind, ListedFile, Target

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
BATCHES = sorted(folder for folder in (EXAMPLES / "batches").iterdir() if folder.is_dir())
SCRIPT = EXAMPLES / "acquisition_software.py"


def read(path: Path) -> manifest.Manifest:
    return manifest.parse(path.read_bytes(), source=str(path))


@pytest.mark.parametrize("batch", BATCHES, ids=lambda folder: folder.name)
def test_each_example_batch_is_complete(batch: Path) -> None:
    listed = read(batch / "batch.yaml").files

    assert [file.path for file in listed if not matches(batch, file)] == []
    assert any(batch.rglob("*.tif"))


def matches(batch: Path, file: ListedFile) -> bool:
    data = (batch / file.path).read_bytes()
    return (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_examples_say_what_their_comments_promise() -> None:
    smallest = read(EXAMPLES / "batches/target-only/batch.yaml")
    instrument = read(EXAMPLES / "batches/instrument/batch.yaml")
    listing = (EXAMPLES / "batches/listed-files/batch.yaml").read_bytes()

    assert smallest.target == Target(Kind.DATASET, name="day 3", project="HeLa")
    assert (instrument.user, instrument.key_values["objective"]) == ("alice", "63x oil")
    assert manifest.whole(listing)
    assert not manifest.whole(listing.rstrip(b".\n"))


def test_defaults_give_way_to_a_manifest() -> None:
    both = manifest.merge(read(EXAMPLES / "defaults.yaml"), read(EXAMPLES / "batches/target-only/batch.yaml"))

    assert both.tags == ("dropwatch",)
    assert str(both.target) == "Project:HeLa/Dataset:day 3"


def test_acquisition_software_hands_a_batch_over_whole(tmp_path: Path) -> None:
    inbox = tmp_path / "spool/alice/inbox"
    inbox.mkdir(parents=True)
    images = sorted((EXAMPLES / "batches/target-only").glob("*.tif"))

    said = hand_over(inbox, *map(str, images), "--name", "run 7", "--target", "Dataset:day 3")

    batch = inbox / "run 7"
    text = (batch / "batch.yaml").read_bytes()
    assert (said.returncode, said.stdout.strip()) == (0, str(batch)), said.stderr
    assert manifest.whole(text)
    assert [file.path for file in read(batch / "batch.yaml").files] == [image.name for image in images]
    assert all(matches(batch, file) for file in read(batch / "batch.yaml").files)
    assert sorted(path.name for path in batch.iterdir()) == ["HeLa 1.ome.tif", "HeLa 2.ome.tif", "batch.yaml"]


def test_acquisition_software_that_fails_leaves_no_manifest(tmp_path: Path) -> None:
    image = EXAMPLES / "batches/target-only/HeLa 1.ome.tif"

    said = hand_over(tmp_path, str(image), str(tmp_path / "gone.tif"), "--name", "run 7")

    assert said.returncode == 1
    assert "gone.tif" in said.stderr
    assert not (tmp_path / "run 7/batch.yaml").exists()


def test_acquisition_software_never_writes_into_another_batch(tmp_path: Path) -> None:
    (tmp_path / "run 7").mkdir()
    image = EXAMPLES / "batches/target-only/HeLa 1.ome.tif"

    said = hand_over(tmp_path, str(image), "--name", "run 7")

    assert said.returncode == 1
    assert list((tmp_path / "run 7").iterdir()) == []


def hand_over(inbox: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -I -S: neither dropwatch nor anything else that is installed here.
    command = [sys.executable, "-I", "-S", str(SCRIPT), "--inbox", str(inbox), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_every_test_that_the_page_on_faults_names_is_there() -> None:
    named = re.findall(r"`((?:unit|contract|crash|faults)/\w+\.py)`", (ROOT / "docs/faults.md").read_text())

    assert len(named) > 15
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
