"""Uploading to the page against a bare socket that writes to a file: MiB/s, the best of some rounds, and what it
costs the page: memory, and seconds of a processor.

python tests/bench/bench_page_upload.py [MIB] [ROUNDS]
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.browser.test_uploads import Client, memory
from tests.page import Page, running_page
from tests.world import SandboxProcess, World

BLOCK = os.urandom(2**20)


def bare(folder: Path, mib: int) -> float:
    """Seconds to send so much through a socket into a file, synced at the end."""
    listening = socket.create_server(("127.0.0.1", 0))

    def receive() -> None:
        line, _ = listening.accept()
        with (folder / "bare").open("wb", buffering=0) as file:
            while data := line.recv(2**18):
                file.write(data)
            os.fsync(file.fileno())

    receiving = threading.Thread(target=receive)
    receiving.start()
    began = time.perf_counter()
    with socket.create_connection(listening.getsockname()) as line:
        for _ in range(mib):
            line.sendall(BLOCK)
    receiving.join()
    listening.close()
    return time.perf_counter() - began


def blocks(mib: int) -> Iterator[bytes]:
    for _ in range(mib):
        yield BLOCK


def uploaded(page: Page, alice: Client, mib: int) -> float:
    """Seconds to upload so much, until the answer says that it is on the disk."""
    draft = alice.begin()
    address = alice.create(draft, "x.fake", mib * 2**20)[1]["location"]
    began = time.perf_counter()
    asked = http.client.HTTPConnection(page.address.removeprefix("http://"), timeout=600)
    headers = {
        "Origin": page.address,
        "Cookie": alice.cookie,
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(mib * 2**20),
    }
    asked.request("PATCH", address, blocks(mib), headers)
    status = asked.getresponse().status
    took = time.perf_counter() - began
    asked.close()
    assert status == 204, status
    alice.ask("DELETE", f"/api/uploads/{draft}")
    return took


def busy(pid: int) -> float:
    """Seconds of a processor that the process used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(mib: int, rounds: int) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        nowhere = SandboxProcess(root / "sandbox")
        nowhere.omero_port, nowhere.smtp_port = 1, 2
        world = World(root, nowhere)
        with running_page(world.config, root / "web.log") as page:
            alice = Client(page, "alice")
            before, idle = memory(page.pid, "VmRSS"), busy(page.pid)
            # In turns: a machine that does other things too is as unfair to one as to the other.
            times = [(bare(root, mib), uploaded(page, alice, mib)) for _ in range(rounds)]
            spent, peak = busy(page.pid) - idle, memory(page.pid, "VmHWM")
        plain, took = (min(one[which] for one in times) for which in (0, 1))
        print(f"{mib} MiB, bare socket to file: {mib / plain:.0f} MiB/s")
        print(f"{mib} MiB, page (tus, SHA-256, synced): {mib / took:.0f} MiB/s")
        print(f"the page's processor: {spent * 1024 / mib / rounds:.1f} s for each GiB")
        print(
            f"ratio {took / plain:.2f}; memory of the page {before:.0f} MiB before, {peak:.0f} MiB at its peak"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
