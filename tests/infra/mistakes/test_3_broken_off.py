"""A deploy that is broken off, runs out of disk, or meets another one: it says so, and a later run makes it whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import testinfra

sys.path.insert(0, str(Path(__file__).resolve().parent))
from wrong import HOME, INVENTORY, NODE, PASSWORD_FILE, deploy, user_environment

PGSTEAD = str(Path(sys.executable).with_name("pgstead"))
OTHERS = {"pgstead-mistakes-2": "10.213.21.22", "pgstead-mistakes-3": "10.213.21.23"}


def settled(*arguments: str) -> None:
    """The deploy comes to its end, another one finds nothing to do, and everything holds."""
    done = deploy(INVENTORY, *arguments)
    assert done.returncode == 0, done.stderr
    again = deploy(INVENTORY, *arguments)
    assert "changed=0" in again.stderr, again.stderr
    verified = subprocess.run(
        [PGSTEAD, "verify", "-i", INVENTORY, "--vault-password-file", PASSWORD_FILE, *arguments],
        capture_output=True, text=True, check=False, cwd=HOME, env=user_environment(),
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)


def inside(name: str, test: str) -> Callable[[], bool]:
    """Whether a shell test holds on a node."""
    return lambda: (
        subprocess.run(["docker", "exec", name, "sh", "-c", test], capture_output=True, check=False).returncode == 0
    )


def begin(*arguments: str) -> subprocess.Popen[str]:
    """A deploy in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        [PGSTEAD, "deploy", "-i", INVENTORY, "--vault-password-file", PASSWORD_FILE, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HOME, env=user_environment(),
        start_new_session=True,
    )  # fmt: skip


def playbooks(mark: str) -> list[int]:
    """Process ids of the ansible-playbook runs that have `mark` among their arguments."""
    listed = subprocess.run(["ps", "-wweo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 1) for line in listed.splitlines())
    return [int(pid) for pid, args in rows if "ansible-playbook" in args and mark in args]


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> Iterator[tuple[str, ...]]:
    """Arguments that deploy to a fresh node instead of the scenario's."""
    name = request.param
    subprocess.run(
        [PGSTEAD, "sandbox", "up", "-i", INVENTORY, "--image", "debian-12", "--node", f"{name}={OTHERS[name]}"],
        check=True, cwd=HOME, env=user_environment(),
    )  # fmt: skip
    yield ("-e", f"ansible_host={name}", "-e", f"node_address={OTHERS[name]}")
    subprocess.run(["docker", "rm", "-fv", name], check=True, capture_output=True)


def test_a_full_disk_while_installing_is_named_and_a_later_run_repairs() -> None:
    node = testinfra.get_host(f"docker://{NODE}")
    assert node.run("mkdir -p /usr/lib/postgresql && mount -t tmpfs -o size=4m tmpfs /usr/lib/postgresql").rc == 0
    full = deploy(INVENTORY)
    assert full.returncode == 1
    assert "the node's disk is full" in full.stderr
    assert "free space on the node, then run this again" in full.stderr
    assert node.run("mount -o remount,size=1g /usr/lib/postgresql").rc == 0
    settled()


@pytest.mark.parametrize(
    ("fresh", "moment"),
    [
        ("pgstead-mistakes-2", "pgrep -x dpkg"),
        ("pgstead-mistakes-3", "test -e /etc/postgresql/16/main/conf.d/10-pgstead.conf"),
    ],
    indirect=["fresh"],
    ids=["while dpkg runs", "while the instance is set up"],
)
def test_ctrl_c_stops_cleanly_and_the_next_run_converges(fresh: tuple[str, ...], moment: str) -> None:
    run = begin(*fresh)
    until(inside(fresh[1].partition("=")[2], moment), moment)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert "interrupted" in said
    assert playbooks(fresh[1]) == []
    settled(*fresh)


@pytest.mark.parametrize("fresh", ["pgstead-mistakes-2"], indirect=True, ids=["while the instance is set up"])
def test_a_control_node_that_dies_leaves_no_lock_behind(fresh: tuple[str, ...]) -> None:
    run = begin(*fresh)
    name = fresh[1].partition("=")[2]
    until(inside(name, "test -e /etc/postgresql/16/main/conf.d/10-pgstead.conf"), "the instance")
    for pid in [run.pid, *playbooks(fresh[1])]:
        os.kill(pid, signal.SIGKILL)
    run.communicate(timeout=30)
    assert inside(name, "test -s /run/pgstead-deploy.json")()  # nobody released it
    settled(*fresh)


def test_a_second_deploy_at_the_same_time_says_so_and_stops() -> None:
    first = begin("-e", "mark=first")
    held = inside(NODE, "test -s /run/pgstead-deploy.json")
    until(held, "the first deploy's lock")
    stopped = playbooks("mark=first")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert stopped
        assert held()
        second = deploy(INVENTORY)
        assert second.returncode == 5, second.stderr
        assert "another deploy is at work on this node since" in second.stderr
        assert "Nothing was changed" in second.stderr
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 0, said
    assert not held()
    settled()


def test_a_lock_whose_holder_is_on_another_machine_can_be_broken() -> None:
    lock = json.dumps(
        {"id": "x", "machine": "elsewhere", "pid": 1, "started": "", "who": "kim@elsewhere", "since": time.time()}
    )
    subprocess.run(
        ["docker", "exec", "-i", NODE, "sh", "-c", "cat > /run/pgstead-deploy.json"], input=lock, text=True, check=True
    )
    refused = deploy(INVENTORY)
    assert refused.returncode == 5
    assert "kim@elsewhere" in refused.stderr
    assert deploy(INVENTORY, "-e", "pgstead_break_lock=true").returncode == 0
    settled()
