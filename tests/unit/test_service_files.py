"""The files in service/ are true: each is read by the program it is for, or by the nearest thing that is here."""

from __future__ import annotations

import configparser
import importlib.util
import plistlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from dropwatch import config
from facility import Facility

SERVICE = Path(__file__).parents[2] / "service"
UNIT = SERVICE / "systemd/dropwatch.service"
UNITS = (UNIT, SERVICE / "systemd/dropwatch-web.service")
FOLDERS = ("systemd", "launchd", "windows", "samba", "proxy")


# -- systemd -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_finds_nothing_to_say_about_the_unit(path: Path, tmp_path: Path) -> None:
    program = tmp_path / "dropwatch"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / path.name
    text = path.read_text()
    unit.write_text(text.replace("/opt/dropwatch/bin/dropwatch", str(program)))

    said = run("systemd-analyze", "verify", "--man=no", str(unit))

    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_the_unit_may_change_the_spool_and_gives_a_stop_its_time() -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(SERVICE / "systemd/dropwatch.service")
    service = unit["Service"]

    assert service["ExecStart"] == "/opt/dropwatch/bin/dropwatch --config /etc/dropwatch/dropwatch.yaml run"
    assert service["ProtectSystem"] == "full"  # strict would make the spool read-only
    assert service["UMask"] == "0002"  # users have to be able to move an envelope back
    assert (service["KillMode"], service["TimeoutStopSec"]) == ("mixed", "2min")
    assert service["RestartPreventExitStatus"] == "2"
    assert service["StateDirectoryMode"] == "0700"  # letters
    assert "MemoryDenyWriteExecute" not in service  # Java compiles
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == "CAP_LEASE"
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictSUIDSGID"):
        assert service[name] == "yes", name
    assert service["LimitCORE"] == "0"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_calls_the_service_little_exposed(path: Path) -> None:
    said = run("systemd-analyze", "security", "--offline=true", "--threshold=22", str(path))

    assert said.returncode == 0, said.stdout[
        -200:
    ]  # 1.9 with systemd 252; other versions weigh a little differently


def test_the_unit_of_the_page_is_that_of_the_daemon_without_its_privilege() -> None:
    daemon, page = (_service(path) for path in UNITS)
    differ = {key for key in {*daemon, *page} if daemon.get(key) != page.get(key)}

    assert page["ExecStart"] == "/opt/dropwatch/bin/dropwatch --config /etc/dropwatch/dropwatch.yaml web"
    assert differ == {"ExecStart", "AmbientCapabilities", "CapabilityBoundingSet", "TimeoutStopSec"}
    assert (page["CapabilityBoundingSet"], page.get("AmbientCapabilities")) == ("", None)


def _service(path: Path) -> dict[str, str]:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return dict(unit["Service"])


@pytest.mark.long
@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or shutil.which("strace") is None,
    reason="needs systemd and strace",
)
def test_the_unit_allows_what_a_daemon_and_its_workers_ask_the_kernel_for(tmp_path: Path) -> None:
    site, told = Facility(tmp_path), tmp_path / "calls"
    try:
        site.config()
        site.drop("alice", "run", "a.ome.tif", manifest="attachments: [notes.txt]\n")
        (site.spool / "alice/inbox/run/notes.txt").write_text("notes")
        daemon = [
            sys.executable,
            "-m",
            "dropwatch",
            "--config",
            str(tmp_path / "dropwatch.yaml"),
            "run",
            "--once",
        ]
        done = subprocess.run(["strace", "-f", "-o", str(told), *daemon], timeout=300, check=False)
        assert done.returncode == 0
        assert site.imported() == ["a.ome.tif"]
    finally:
        site.close()
    calls = re.findall(r"^\d+ +(\w+)\((.*)", told.read_text("utf-8", "replace"), re.MULTILINE)
    setuid = [
        one for one in calls if one[0].startswith(("open", "mkdir", "chmod", "fchmod", "mknod", "creat"))
    ]

    assert len(calls) > 10_000
    assert {name for name, _ in calls} <= {*allowed("@system-service"), "mincore"}
    assert not [one for one in setuid if re.search(r", 0[2467][0-7]{3}\b", one[1])]


def allowed(group: str) -> set[str]:
    """The system calls of *group*, with those of the groups in it."""
    lines = run("systemd-analyze", "syscall-filter", group).stdout.splitlines()[2:]
    names = {line.strip() for line in lines if line.strip()}
    return {call for name in names for call in (allowed(name) if name.startswith("@") else {name})}


# -- launchd -----------------------------------------------------------------------------------------------


def test_launchd_runs_the_page_beside_the_daemon_as_the_same_account() -> None:
    daemon, page = (
        plistlib.loads((SERVICE / f"launchd/{name}.plist").read_bytes())
        for name in ("org.dropwatch", "org.dropwatch.web")
    )

    assert page["ProgramArguments"] == [*daemon["ProgramArguments"][:-1], "web"]
    assert page["Label"] != daemon["Label"]
    assert page["StandardErrorPath"] != daemon["StandardErrorPath"]
    assert all(page[key] == daemon[key] for key in ("UserName", "GroupName", "Umask", "KeepAlive"))


def test_launchd_starts_the_same_command_with_the_same_modes() -> None:
    job = plistlib.loads((SERVICE / "launchd/org.dropwatch.plist").read_bytes())

    assert job["Label"] == "org.dropwatch"
    assert job["ProgramArguments"][1::2] == ["--config", "run"]
    assert job["KeepAlive"] is True
    assert (job["Umask"], job["ExitTimeOut"]) == (0o002, 120)


# -- Samba -------------------------------------------------------------------------------------------------


def test_the_share_keeps_the_permissions_that_user_add_gave() -> None:
    share = samba_share()

    assert share["read only"] == "no"
    assert share["inherit acls"] == share["inherit permissions"] == "yes"
    # Seen with Samba 4.17: with its own masks the ACL of a new folder says rwx and grants r-x.
    assert (share["create mask"], share["directory mask"]) == ("0664", "0775")
    assert "veto files" not in share  # the hidden folder of an envelope has to move along


@pytest.mark.skipif(shutil.which("testparm") is None, reason="no Samba here")
def test_samba_reads_the_share_as_it_is_meant(tmp_path: Path) -> None:
    whole = tmp_path / "smb.conf"
    whole.write_text(f"[global]\ninclude = {SERVICE / 'samba/dropwatch.conf'}\n")

    said = run("testparm", "-s", str(whole))

    assert said.returncode == 0, said.stderr
    assert "[dropwatch]" in said.stdout
    assert not any(word in said.stderr for word in ("Unknown", "Invalid", "WARNING")), said.stderr


def samba_share() -> configparser.SectionProxy:
    conf = configparser.ConfigParser(strict=True, interpolation=None)
    conf.read(SERVICE / "samba/dropwatch.conf")
    return conf["dropwatch"]


# -- proxies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile", "apache.conf"])
def test_a_proxy_names_the_port_and_the_settings_of_the_page(name: str) -> None:
    text = (SERVICE / "proxy" / name).read_text()
    web = config.Config.model_fields["web"].default

    assert f"{web.host}:{web.port}" in text
    assert 'web: {url: "https://import.example.org", proxies: [127.0.0.1]}' in text
    assert "$request_uri" not in text.replace("return 301 https://import.example.org$request_uri", "")


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx here")
def test_nginx_reads_its_file(tmp_path: Path) -> None:
    certificate(tmp_path)
    text = (SERVICE / "proxy/nginx.conf").read_text()
    for path in ("/etc/ssl/certs/import.example.org.pem", "/etc/ssl/private/import.example.org.key"):
        text = text.replace(path, str(tmp_path / Path(path).name))
    text = text.replace("/var/log/nginx", str(tmp_path))
    (tmp_path / "whole.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\nhttp {{\n{text}\n}}\n"
    )

    said = run("nginx", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "whole.conf"))

    assert said.returncode == 0, said.stderr
    assert "warn" not in said.stderr


def certificate(folder: Path) -> None:
    name = "import.example.org"
    made = run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem"),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


# -- Windows -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows may well have pywin32")
def test_the_windows_service_says_what_to_do_where_it_cannot_run() -> None:
    said = run(sys.executable, str(SERVICE / "windows/service.py"), "install")

    assert said.returncode == 2
    assert "pip install pywin32" in said.stderr
    assert "service/systemd" in said.stderr


def test_a_daemon_that_dies_is_started_again_and_its_words_are_kept(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    dies_twice = f"""
import pathlib, sys, time
starts = pathlib.Path({str(starts)!r})
number = len(starts.read_text()) if starts.exists() else 0
starts.write_text("x" * (number + 1))
print(f"start number={{number}}", file=sys.stderr, flush=True)
sys.exit(3) if number < 2 else time.sleep(60)
"""
    lines: list[str] = []
    keeper = windows_service().Keeper([sys.executable, "-c", dies_twice], lines.append, pause=0.01)

    code = kept_until(keeper, lambda: "start number=2" in lines)

    assert code == 0
    assert [line for line in lines if line.startswith("start")] == [f"start number={n}" for n in range(3)]
    assert lines.count("ended exit=3") == 2


def test_a_stop_is_a_request_first() -> None:
    stops_well = """
import signal, sys, time
signal.signal(signal.SIGBREAK if sys.platform == "win32" else signal.SIGTERM, lambda *_: sys.exit("goodbye"))
print("ready", file=sys.stderr, flush=True)
time.sleep(60)
"""
    lines: list[str] = []
    keeper = windows_service().Keeper([sys.executable, "-c", stops_well], lines.append)

    code = kept_until(keeper, lambda: "ready" in lines)

    assert code == 0
    assert "goodbye" in lines


def test_a_daemon_that_does_not_listen_is_killed() -> None:
    deaf = """
import signal, sys, time
signal.signal(signal.SIGBREAK if sys.platform == "win32" else signal.SIGTERM, signal.SIG_IGN)
print("ready", file=sys.stderr, flush=True)
time.sleep(60)
"""
    lines: list[str] = []
    keeper = windows_service().Keeper([sys.executable, "-c", deaf], lines.append, patience=0.2)

    kept_until(keeper, lambda: "ready" in lines)

    assert any(line.startswith("kill ") for line in lines)


def test_a_refused_configuration_is_not_tried_for_ever() -> None:
    lines: list[str] = []

    code = windows_service().Keeper([sys.executable, "-c", "raise SystemExit(2)"], lines.append).run()

    assert code == 2
    assert lines == ["ended exit=2"]


def kept_until(keeper: object, enough: Callable[[], bool]) -> int:
    """Run *keeper* until *enough*, stop it, return what run() returned."""
    codes: list[int] = []
    running = threading.Thread(target=lambda: codes.append(keeper.run()))  # type: ignore[attr-defined]
    running.start()
    deadline = time.monotonic() + 90
    while not enough() and time.monotonic() < deadline:
        running.join(0.01)
    keeper.stop()  # type: ignore[attr-defined]
    running.join(60)
    return codes[0]


def windows_service() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dropwatch_service", SERVICE / "windows/service.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_way_to_run_says_how_to_begin_and_how_to_end(folder: str) -> None:
    text = (SERVICE / folder / "README.md").read_text()

    headings = [line for line in text.splitlines() if line.startswith("## ")]

    assert headings == ["## Install", "## Start, stop, look", "## Uninstall"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
