"""A large file, and many small ones over a slow link, uploaded into OMERO, against a bare loop of writes.

The peer sends the same bytes to the same server in the same run, each in a process of its own: importFileset, then for
each file getUploader, write block by block, close; it hashes nothing and waits for each answer. Ours is the whole
import: reading, hashing, sending, verifying, until the images are there. The server is the sandbox, and hashes too.
Run: make bench, or: python tests/bench/bench_upload.py [MiB of the large file] [number of small files]
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__)
LARGE, SMALL = 1024, 400  # MiB; files
RUNS = 3
LINK = 0.0025  # seconds each way
STAMP = "20261124-140355-{:04}"


def main() -> int:
    large, small = (*map(int, sys.argv[1:]), *(LARGE, SMALL)[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with started([sys.executable, "-m", "dropwatch.sandbox", "--dir", str(root / "sandbox")]) as server:
            port = server.split("omero=127.0.0.1:")[1].split()[0]
            measured(
                "ours", port, small_files(root / "warm", 1)
            )  # the server starts what it reads images with
            one_large_file(port, root, large)
            with started([sys.executable, str(HERE.parents[1] / "relay.py"), port, str(LINK)]) as relay:
                many_small_files(relay.strip(), small_files(root / "small", small))
    return 0


def one_large_file(port: str, root: Path, size: int) -> None:
    folder, eighth = large_file(root / "large", size), large_file(root / "eighth", size // 8)
    pairs = [(measured("ours", port, folder), measured("bare", port, folder)) for _ in range(RUNS)]
    other = measured("ours", port, eighth)
    mine, bare = (statistics.median(one["seconds"] for one in side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(bare["seconds"] / ours["seconds"] for ours, bare in pairs)
    cpu = statistics.median(ours["cpu"] - bare["cpu"] for ours, bare in pairs)
    peak = max(ours["peak"] for ours, _ in pairs)
    print(f"one file of {size} MiB, {RUNS} pairs of runs, medians")
    print(f"  bare loop             {size / bare:7.0f} MiB/s")
    print(f"  dropwatch             {size / mine:7.0f} MiB/s")
    print(f"  ratio, pair by pair   {ratio:7.2f}")
    print(f"  more processor time   {cpu:7.2f} s; SHA-1 alone {size / sha1_rate():.2f} s")
    print(f"  peak memory           {peak:7.0f} MiB; of a file of an eighth {other['peak']:.0f} MiB")


def many_small_files(port: str, folder: Path) -> None:
    count = len(list(folder.iterdir()))
    bare, mine = measured("bare", port, folder), measured("ours", port, folder)
    print(f"one fileset of {count} small files over a link of {LINK * 2000:.0f} ms")
    print(f"  bare loop             {count / bare['seconds']:7.0f} files/s")
    print(f"  dropwatch             {count / mine['seconds']:7.0f} files/s")
    print(f"  ratio                 {bare['seconds'] / mine['seconds']:7.2f}")


# -- what is measured, each in a process of its own ----------------------------------------------------


def ours(port: int, folder: Path) -> None:
    from dropwatch.importers.omero import OmeroImporter
    from dropwatch.model import FileFact, Fileset, Kind, Order, Target

    facts = []
    for path in sorted(folder.iterdir()):
        found = path.stat()
        facts.append(FileFact(path.name, found.st_size, found.st_mtime_ns, found.st_ino))
    fileset = Fileset("bench", tuple(facts))
    batch = STAMP.format(os.getpid() % 10_000)
    target = Target(Kind.DATASET, name="bench")
    order = Order(
        batch, batch, "alice", "alice", None, str(folder), target, "alice", "bench", duplicates="import"
    )
    importer = OmeroImporter("127.0.0.1", port, False, "dropwatch", lambda: "dropwatch")
    answers = importer.ask(order, [fileset])
    with told():
        importer.import_(order, fileset, answers, progress=lambda told: None, stopped=lambda: False)
    importer.close()


def bare(port: int, folder: Path) -> None:
    import omero.clients
    import omero.grid
    import omero.model
    from omero.rtypes import rstring

    client = omero.client(
        host="127.0.0.1", pmap={"Ice.Default.Router": f"OMERO.Glacier2/router:tcp -p {port} -h 127.0.0.1"}
    )
    client.createSession("alice", "alice")
    repository = client.getManagedRepository()
    paths = sorted(folder.iterdir())
    fileset, settings = omero.model.FilesetI(), omero.grid.ImportSettings()
    for path in paths:
        entry = omero.model.FilesetEntryI()
        entry.clientPath = rstring(f"bare/{path.name}")
        fileset.addFilesetEntry(entry)
    fileset.linkJob(omero.model.UploadJobI())
    settings.checksumAlgorithm = omero.model.ChecksumAlgorithmI()
    settings.checksumAlgorithm.value = rstring("SHA1-160")
    with told():
        process = repository.importFileset(fileset, settings)
        for index, path in enumerate(paths):
            store, offset = process.getUploader(index), 0
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    store.write(block, offset, len(block))
                    offset += len(block)
            store.close()
    process.close()
    client.closeSession()


@contextmanager
def told() -> Iterator[None]:
    """Print how long the block takes, what of the processor, and the most memory that the process ever had."""
    begun, used = time.monotonic(), time.process_time()
    yield
    took, used = time.monotonic() - begun, time.process_time() - used
    status = Path("/proc/self/status")
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    print(json.dumps({"seconds": took, "cpu": used, "peak": int(peak[1]) / 1024 if peak else 0}))


# -- the setting ---------------------------------------------------------------------------------------


class started:
    """A program that runs meanwhile; its first line."""

    def __init__(self, command: list[str]) -> None:
        self._program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> str:
        assert self._program.stdout is not None
        return self._program.stdout.readline()

    def __exit__(self, *_: object) -> None:
        self._program.terminate()
        self._program.wait(30)


def measured(what: str, port: str, folder: Path) -> dict[str, Any]:
    if hasattr(os, "sync"):
        os.sync()  # or the disk would still be writing what came before
    command = [sys.executable, "-W", "ignore", str(HERE), what, port, str(folder)]
    told: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )
    return told


def large_file(folder: Path, size: int) -> Path:
    """A folder with one OME-TIFF of *size* MiB: readers do not mind what follows an image."""
    from dropwatch.sandbox.samples import ome_tiff

    folder.mkdir()
    ome_tiff(folder / "large.ome.tif")
    noise = os.urandom(1 << 20)
    with (folder / "large.ome.tif").open("ab") as file:
        for _ in range(size):
            file.write(noise)
    return folder


def small_files(folder: Path, count: int) -> Path:
    from dropwatch.sandbox.samples import ome_tiff

    folder.mkdir()
    ome_tiff(folder / "0.ome.tif")
    for number in range(1, count):
        (folder / f"{number:05}.bin").write_bytes(os.urandom(10_000))
    return folder


def sha1_rate() -> float:
    block, digest = bytes(1 << 20), hashlib.sha1(usedforsecurity=False)
    begun = time.monotonic()
    for _ in range(256):
        digest.update(block)
    return 256 / (time.monotonic() - begun)


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["bare"]):
        {"ours": ours, "bare": bare}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main())
