"""Uploading to the page against a bare socket that writes to a file: MB/s, and the page's memory.

python tests/bench/bench_page_upload.py [MIB]
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
from tests.page import running_page
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


def main(mib: int) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        nowhere = SandboxProcess(root / "sandbox")
        nowhere.omero_port, nowhere.smtp_port = 1, 2
        world = World(root, nowhere)
        plain = bare(root, mib)
        with running_page(world.config, root / "web.log") as page:
            alice = Client(page, "alice")
            address = alice.create(alice.begin(), "x.fake", mib * 2**20)[1]["location"]
            before = memory(page.pid, "VmRSS")
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
            peak = memory(page.pid, "VmHWM")
        print(f"{mib} MiB, bare socket to file: {mib / plain:.0f} MiB/s")
        print(f"{mib} MiB, page (tus, SHA-256, synced): {mib / took:.0f} MiB/s ({status})")
        print(
            f"ratio {took / plain:.2f}; memory of the page {before:.0f} MiB before, {peak:.0f} MiB at its peak"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
