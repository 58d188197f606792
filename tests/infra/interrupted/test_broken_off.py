"""A deploy that is broken off, runs out of disk, or meets another one: it says so, and a later run makes it whole.

All on the scenario's own node, which is fresh when the first test begins. Later tests take away from it again what the
deploy that they break off is to bring, and no more: most of what a fresh node lacks has nothing to do with them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from wrong import HOME, INVENTORY, NODE, PASSWORD_FILE, PGSTEAD, deployed, failed, holds, settled, user_environment

PATIENCE = 300  # seconds for what takes a few; a machine can be busy
LOCK = "/run/pgstead-deploy.json"
CREATED = "/etc/postgresql/16/main/conf.d/10-pgstead.conf"  # written while the instance is set up
# Scripts for the node; they leave a fresh one as it is.
WITHOUT_INSTANCE = """
systemctl stop 'pgbouncer*'
rm -f /etc/pgbouncer/*
if [ -e /etc/postgresql/16/main ]; then pg_dropcluster --stop 16 main; fi
rm -rf /etc/postgresql/16  # with the files that pgstead put there
"""
WITHOUT_SERVER = f"""{WITHOUT_INSTANCE}
dpkg-query -W -f '${{Package}}\\n' 'postgresql-16*' 'postgresql-client-16*' | xargs -r dpkg --purge
rm -rf /usr/lib/postgresql/* /var/lib/postgresql/16
"""
UNPACKING = "pgrep -f '^/usr/bin/dpkg .*--unpack'"  # preflight runs dpkg as well


@dataclass
class Run:
    """A deploy that goes on while the test does something to it.

    Args:
        log: receives what it says.
    """

    log: Path
    mark: str = field(default_factory=lambda: f"mark={uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        # In a process group of its own, as a shell starts it.
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [PGSTEAD, "deploy", "-i", INVENTORY, "--vault-password-file", PASSWORD_FILE, "-e", self.mark],
                stdout=log, stderr=log, cwd=HOME, env=user_environment(), start_new_session=True,
            )  # fmt: skip

    @property
    def seen(self) -> str:
        """How far it is, and what it said."""
        status = self.process.poll()
        state = "the deploy is still at work" if status is None else f"the deploy ended with exit status {status}"
        return f"{state}; it said:\n{self.log.read_text()}"

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for something that the deploy makes happen."""
        assert not condition(), f"{what} was seen before the deploy could begin"
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, f"{what} was not seen: {self.seen}"
            assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE} s: {self.seen}"
            time.sleep(0.1)

    def ended(self) -> int:
        """Waits for its end.

        Returns:
            Its exit status.
        """
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"no end within {PATIENCE} s: {self.seen}")

    def playbooks(self) -> dict[int, str]:
        """Its ansible-playbook and the workers of that: process id -> state and command line."""
        listed = subprocess.run(["ps", "-wweo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
        rows = (line.split(None, 1) for line in listed.splitlines())
        return {int(pid): rest for pid, rest in rows if "ansible-playbook" in rest and self.mark in rest}

    def signal(self, number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):  # a worker lives as long as its task
                os.kill(pid, number)

    def kill(self) -> None:
        """Everything of it on this machine at once, as when the power goes."""
        if self.process.poll() is None:
            self.process.kill()
        deadline = time.monotonic() + PATIENCE
        while found := self.playbooks():  # again, for a worker that was just being made
            self.signal(signal.SIGKILL, [*found])
            assert time.monotonic() < deadline, f"these do not die: {found}"
        self.process.wait(PATIENCE)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], Run]]:
    """Begins a deploy; nothing of it outlives the test."""
    runs: list[Run] = []

    def run() -> Run:
        runs.append(Run(tmp_path / f"deploy-{len(runs)}.log"))
        return runs[-1]

    yield run
    for begun in runs:
        begun.kill()


def inside(test: str) -> Callable[[], bool]:
    """Whether a shell test holds on the node."""
    return lambda: (
        subprocess.run(["docker", "exec", NODE, "sh", "-c", test], capture_output=True, check=False).returncode == 0
    )


held = inside(f"test -s {LOCK}")


def prepare(script: str) -> None:
    """Runs a script on the node, which must succeed."""
    done = subprocess.run(["docker", "exec", NODE, "sh", "-exc", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr[-300:]}\nof: {script}\nstdout: {done.stdout}\nstderr: {done.stderr}"


@pytest.mark.parametrize(
    ("before", "moment"),
    [("", UNPACKING), (WITHOUT_INSTANCE, f"test -e {CREATED}")],
    ids=["while dpkg runs", "while the instance is set up"],
)
def test_ctrl_c_stops_cleanly_and_the_next_run_converges(begin: Callable[[], Run], before: str, moment: str) -> None:
    prepare(before)
    run = begin()
    run.until(inside(moment), moment)
    os.killpg(run.process.pid, signal.SIGINT)
    status, left = run.ended(), run.playbooks()
    assert status == 130, run.seen
    assert "interrupted" in run.seen
    assert left == {}, run.seen
    settled()


@pytest.mark.parametrize("before", [WITHOUT_INSTANCE], ids=["while the instance is set up"])
def test_a_control_node_that_dies_leaves_no_lock_behind(begin: Callable[[], Run], before: str) -> None:
    prepare(before)
    run = begin()
    run.until(inside(f"test -e {CREATED}"), "the instance")
    run.kill()
    assert held(), f"somebody released the lock: {run.seen}"
    settled()


def test_a_full_disk_while_installing_is_named_and_a_later_run_repairs() -> None:
    prepare(f"{WITHOUT_SERVER} mkdir -p /usr/lib/postgresql; mount -t tmpfs -o size=4m tmpfs /usr/lib/postgresql")
    failed(INVENTORY, "the node's disk is full", "free space on the node, then run this again: it continues", code=1)
    prepare("mount -o remount,size=1g /usr/lib/postgresql")
    settled()


def test_a_second_deploy_at_the_same_time_says_so_and_stops(begin: Callable[[], Run]) -> None:
    first = begin()
    first.until(held, "the first deploy's lock")
    stopped = [*first.playbooks()]
    first.signal(signal.SIGSTOP, stopped)
    try:
        assert stopped, first.seen
        assert held(), first.seen
        failed(INVENTORY, "another deploy is at work on this node since", "Nothing was changed", code=5)
    finally:
        first.signal(signal.SIGCONT, stopped)
    assert first.ended() == 0, first.seen
    assert "changed=0" in first.seen  # so everything holds that did when the test before this one ended
    assert not held(), first.seen


def test_a_lock_whose_holder_is_on_another_machine_can_be_broken() -> None:
    lock: dict[str, Any] = {
        "id": "x", "machine": "elsewhere", "pid": 1, "started": "", "who": "kim@elsewhere", "since": time.time(),
    }  # fmt: skip
    subprocess.run(
        ["docker", "exec", "-i", NODE, "sh", "-c", f"cat > {LOCK}"], input=json.dumps(lock), text=True, check=True
    )
    failed(INVENTORY, "kim@elsewhere", code=5)
    deployed(INVENTORY, "-e", "pgstead_break_lock=true")
    assert not held()
    holds()
