"""A port that nobody listens at, for what takes no 0."""

from __future__ import annotations

import random
import socket

#: Below those that systems hand out by themselves: each test beside this one is given many of those.
_OURS = range(20_000, 30_000)


def free_port() -> int:
    while True:
        port = random.choice(_OURS)
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
