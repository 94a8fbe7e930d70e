"""Whatever a program sends that knows the API by its document alone: an answer as documented, and never a 5xx."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dropwatch.model import Place
from tests.asker import visitor
from tests.page import running_page
from tests.quiet import Quiet

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.mark.parametrize(
    "examples", [5, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_whatever_is_sent_the_answer_is_as_documented(tmp_path: Path, examples: int) -> None:
    (tmp_path / "disk" / "run7").mkdir(parents=True)
    settings = {
        "places": {"disk": {"path": str(tmp_path / "disk"), "users": ["*"]}},
        "mail": {
            "host": "localhost", "port": 1, "security": "none", "from": "d@example.org", "admins": ["a@example.org"],
        },
    }  # fmt: skip
    quiet = Quiet(tmp_path, settings)
    (quiet.place("alice", Place.INBOX) / "0").mkdir()  # a name that is tried
    (quiet.place("alice", Place.INBOX) / "0" / "a.fake").touch()
    with running_page(quiet.config, tmp_path / "web.log") as page:
        token = (
            visitor(page, "alice", admin=True).post("/api/tokens", {"name": "x", "admin": True}).json["token"]
        )
        asked = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")), "run", f"{page.address}/openapi.json",
                "-H", f"Authorization: Bearer {token}", "--checks", ",".join(_CHECKS), "--continue-on-failure",
                "--max-examples", str(examples), "--phases", "examples,coverage,fuzzing", "--seed", "1",
                "--request-timeout", "100",
            ],
            capture_output=True, text=True, timeout=1100, cwd=tmp_path, check=False,
        )  # fmt: skip

    assert asked.returncode == 0, asked.stdout[-10_000:] + asked.stderr
    assert "Traceback" not in (tmp_path / "web.log").read_text()
