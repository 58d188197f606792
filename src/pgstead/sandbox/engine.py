"""A running Docker Engine: found, or installed and started where the user is root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from pgstead import paths
from pgstead.command import Steps, output_of, succeeds
from pgstead.errors import PgsteadError

_START_DEADLINE = 60  # seconds until a starting daemon must answer


def running() -> bool:
    """Whether a Docker Engine answers this user."""
    return succeeds("docker", "info", timeout=20)


def ensure(steps: Steps) -> None:
    """Leaves with a Docker Engine that answers, or with an error that says what to do.

    Raises:
        PgsteadError: the user is not root and no engine answers, or this is not Debian or Ubuntu.
    """
    if running():
        return
    if os.geteuid() != 0:
        detail = (
            subprocess.run(["docker", "info"], capture_output=True, text=True, check=False).stderr
            if shutil.which("docker")
            else "docker is not installed"
        )
        raise PgsteadError(
            f"no Docker Engine answers: {detail.strip().splitlines()[-1]}",
            "install and start Docker Engine, and let your user reach it (group docker); or run this as root",
        )
    if not shutil.which("dockerd"):
        if not shutil.which("apt-get"):
            raise PgsteadError(
                "Docker Engine is missing and this is not Debian or Ubuntu",
                "install Docker Engine with your system's package manager, then run this again",
            )
        with steps.step("Installing Docker Engine (Debian's docker.io): it is missing and you are root"):
            apt_install(steps, "docker.io")
    with steps.step("Starting Docker Engine"):
        _start(steps)


def apt_install(steps: Steps, *packages: str) -> None:
    """Installs packages on this machine, without questions."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    steps.run("apt-get", "update", "-q", env=env)
    steps.run("apt-get", "install", "-qy", "--no-install-recommends", *packages, env=env)


def _start(steps: Steps) -> None:
    if Path("/run/systemd/system").is_dir():
        steps.run("systemctl", "start", "docker")
    else:
        log = paths.state("dockerd.log").open("ab")
        daemon = subprocess.Popen(["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        _pidfile().write_text(json.dumps({"pid": daemon.pid, "started": _start_time(daemon.pid)}))
    deadline = time.monotonic() + _START_DEADLINE
    while not running():
        if time.monotonic() > deadline:
            raise PgsteadError(
                f"Docker Engine did not answer within {_START_DEADLINE} s",
                f"read {paths.state('dockerd.log')}",
            )
        time.sleep(0.3)


def stop(steps: Steps) -> None:
    """Stops the daemon that `ensure` started, and no other: the process id and its start time must match."""
    pidfile = _pidfile()
    if not pidfile.exists():
        return
    ours = json.loads(pidfile.read_text())
    pid = ours["pid"]
    if _start_time(pid) == ours["started"]:
        if output_of("docker", "ps", "-q").strip():
            steps.say("Docker Engine keeps running: containers are using it")
            return
        with steps.step("Stopping the Docker Engine that pgstead started"):
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + _START_DEADLINE
            while _start_time(pid) == ours["started"] and time.monotonic() < deadline:
                time.sleep(0.2)
    pidfile.unlink()


def _pidfile() -> Path:
    return paths.state("dockerd.json")


def _start_time(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot (proc(5), field 22), None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return None
    return None if fields[0] == "Z" else fields[19]
