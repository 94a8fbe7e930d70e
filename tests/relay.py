"""The network between a client and a server: a TCP relay that is slow, cut, or gone on order.

As a program, for measuring: ``python relay.py PORT SECONDS`` prints its own port and delays each way by SECONDS.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from contextlib import suppress

CHUNK = 1 << 18
HELD = 4  #: chunks that are on their way, each way: who sends has to wait for who receives, as on a real line


class Relay:
    """Listens at ``port`` of the loopback and relays to *target* there. *delay* -- seconds, each way.

    ``up`` counts the bytes that clients sent, ``joined`` their connections.
    """

    def __init__(self, target: int, delay: float = 0.0) -> None:
        self.up = 0
        self.joined = 0
        self._target = target
        self._delay = delay
        self._cut_at = [0]
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.mend()

    def cut_after(self, *counts: int) -> None:
        """Cut all connections when so many bytes more went up; then, after the next count, again."""
        self._cut_at = [self.up + sum(counts[: at + 1]) for at in range(len(counts))]

    def cut(self) -> None:
        """Cut all connections that there are; new ones are welcome."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def shut(self) -> None:
        """Cut all, and let nobody in."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def mend(self) -> None:
        """Let connections in again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()  # nobody is there
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.joined += 1
                self._pairs.append((near, far))
            for source, sink, up in ((near, far, True), (far, near, False)):
                # A slow line holds what it delays.
                later: queue.Queue[tuple[float, bytes]] = queue.Queue(0 if self._delay else HELD)
                threading.Thread(target=self._read, args=(source, later, up), daemon=True).start()
                threading.Thread(target=self._write, args=(source, sink, later), daemon=True).start()

    def _read(self, source: socket.socket, later: queue.Queue[tuple[float, bytes]], up: bool) -> None:
        data = b"first"
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            later.put((time.monotonic() + self._delay, data))
            if up:
                self.up += len(data)
                if self._cut_at[0] and self.up >= self._cut_at[0]:
                    self._cut_at = self._cut_at[1:] or [0]
                    self.cut()

    def _write(
        self, source: socket.socket, sink: socket.socket, later: queue.Queue[tuple[float, bytes]]
    ) -> None:
        data, broken = b"first", False
        while data:
            due, data = later.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                elif not broken:
                    sink.sendall(data)
            except OSError:
                broken = True  # what was read meanwhile goes nowhere, and who sends it is to learn that
                with suppress(OSError):
                    source.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    print(Relay(int(sys.argv[1]), float(sys.argv[2])).port, flush=True)
    threading.Event().wait()
