"""Only the daemon that pgstead itself started is ever stopped."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgstead.command import Steps
from pgstead.errors import CommandError
from pgstead.sandbox import engine


@pytest.fixture
def daemon(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for dockerd, and its file as `ensure` leaves it."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        (home / ".pgstead").mkdir()
        (home / ".pgstead/dockerd.json").write_text(json.dumps({"pid": process.pid, "started": started}))
        yield process
        process.kill()


def pidfile(home: Path) -> Path:
    return home / ".pgstead/dockerd.json"


def test_the_daemon_we_started_is_stopped(home: Path, daemon: Any, program: Any) -> None:
    program("docker", "")
    engine.stop(Steps("test"))
    assert daemon.wait() == -15
    assert not pidfile(home).exists()


def test_a_process_that_got_its_number_later_is_left_alone(home: Path, daemon: Any, program: Any) -> None:
    program("docker", "")
    pidfile(home).write_text(json.dumps({"pid": daemon.pid, "started": "1"}))
    engine.stop(Steps("test"))
    assert daemon.poll() is None
    assert not pidfile(home).exists()


def test_a_daemon_that_is_in_use_keeps_running(home: Path, daemon: Any, program: Any) -> None:
    program("docker", "4f1d2c3b4a59\n")
    engine.stop(Steps("test"))
    assert daemon.poll() is None
    assert pidfile(home).exists()


def test_where_docker_cannot_say_what_runs_nothing_is_stopped(home: Path, daemon: Any, program: Any) -> None:
    program("docker", "", 1)
    with pytest.raises(CommandError):
        engine.stop(Steps("test"))
    assert daemon.poll() is None
    assert pidfile(home).exists()


def test_a_daemon_that_is_gone_is_forgotten(home: Path, daemon: Any, program: Any) -> None:
    daemon.communicate()
    engine.stop(Steps("test"))
    assert not pidfile(home).exists()


def test_a_daemon_of_somebody_else_s_is_never_asked(home: Path, program: Any) -> None:
    engine.stop(Steps("test"))
    assert not pidfile(home).exists()
