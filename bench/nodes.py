"""Disposable nodes of the benchmarks: reached over SSH like hosts of a user's own, removed whatever happens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.figures import require
from pgstead import inventory, paths, runner, secrets
from pgstead.command import Steps, succeeds
from pgstead.sandbox import engine, nodes

HERE = Path(__file__).resolve().parent
INVENTORY = HERE / "inventory"
BIN = "/usr/lib/postgresql/16/bin"  # on the node; the wrappers in /usr/bin take 0.1 s of CPU each
SOCKET = "/var/run/postgresql"  # on the node


class Node:
    """One node of the inventory.

    Args:
        name: in the inventory.
        container: its container.
        address: its address.
        steps: takes the output of what runs in it.
    """

    def __init__(self, name: str, container: str, address: str, steps: Steps) -> None:
        self.name, self.container, self.address, self.steps = name, container, address, steps

    def argv(self, *argv: str, user: str = "root", env: Mapping[str, str] | None = None) -> list[str]:
        """The command that runs `argv` in the node; values of `env` are taken from the caller's environment."""
        names = [part for name in env or {} for part in ("-e", name)]
        return ["docker", "exec", "-i", "-u", user, *names, self.container, *argv]

    def run(
        self, *argv: str, user: str = "root", env: Mapping[str, str] | None = None, stdin: bytes | None = None
    ) -> str:
        """Output of a command in the node."""
        return self.steps.run(*self.argv(*argv, user=user, env=env), stdin=stdin, env=os.environ | dict(env or {}))

    def sql(self, script: str, database: str = "postgres") -> str:
        """Output of SQL run by the superuser: unaligned, without headers."""
        psql = (f"{BIN}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", SOCKET, "-d", database)
        return self.run(*psql, user="postgres", stdin=script.encode()).strip()

    def pause(self) -> None:
        """Stops its processes where they are; tried again where the freezer loses a race against new ones."""
        for _ in range(9):
            if succeeds("docker", "pause", self.container):
                return
            time.sleep(0.2)
        self.steps.run("docker", "pause", self.container)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A paused node works for the length of the block."""
        self.steps.run("docker", "unpause", self.container)
        try:
            yield
        finally:
            self.pause()


class Site:
    """The nodes of a benchmark, and Ansible as a user runs it against them.

    Args:
        names: of the nodes, as in the inventory.
        steps: shows progress, keeps the log.
        scratch: a directory that goes with the benchmark.
    """

    def __init__(self, names: list[str], steps: Steps, scratch: Path) -> None:
        self.steps, self.scratch, self.names = steps, scratch, names
        self.key, self.known_hosts = scratch / "key", scratch / "known_hosts"
        self.declared = inventory.hosts(INVENTORY)
        self.nodes = {
            name: Node(name, self.declared[name]["sandbox_container"], self.declared[name]["node_address"], steps)
            for name in names
        }
        steps.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))

    def start(self, *names: str) -> None:
        """Fresh nodes of these names; existing ones are removed first."""
        self._remove(*names)
        public = self.key.with_suffix(".pub").read_text().strip()
        fresh = []
        for name in names:
            declared = self.declared[name]
            network, subnet = declared["sandbox_network"], declared["sandbox_subnet"]
            node = self.nodes[name]
            fresh.append(
                nodes.Node(node.container, node.address, declared["sandbox_image"], network, subnet, ssh_key=public)
            )
        nodes.up(fresh, self.steps)
        keys = [f"{n.address} {n.run('cat', '/etc/ssh/ssh_host_ed25519_key.pub')}" for n in self.nodes.values()]
        self.known_hosts.write_text("".join(keys))

    def _remove(self, *names: str) -> None:
        for name in names:
            container = self.nodes[name].container
            succeeds("docker", "unpause", container)
            # Its directory in the package cache that nodes share; where the node is going already, it stays.
            succeeds("docker", "exec", container, "rm", "-rf", f"/var/cache/pgstead/node-{container}")
            if nodes.state_of(container):
                self.steps.run("docker", "rm", "-fv", container)

    def remove(self) -> None:
        """Removes the nodes, their network and their secrets."""
        if engine.running():
            self._remove(*self.names)
            nodes.down(next(iter(self.declared.values()))["sandbox_network"], self.steps)
        secrets.forget(INVENTORY)

    def deploy(self, *arguments: str) -> tuple[float, int]:
        """`pgstead deploy`: seconds it took, and how many tasks changed something."""
        seconds, output = self._pgstead("deploy", *arguments)
        return seconds, _changed(output)

    def play(self, name: str, *arguments: str) -> tuple[float, int]:
        """bench/files/`name`.yml by ansible-playbook: seconds it took, and how many tasks changed something."""
        vault = runner.vault_arguments(INVENTORY, None)
        playbook = str(HERE / "files" / f"{name}.yml")
        program = inventory.ansible("ansible-playbook")
        seconds, output = self._timed(program, "-i", str(INVENTORY), *vault, playbook, *arguments)
        return seconds, _changed(output)

    def urls(self, role: str) -> dict[int, str]:
        """The URLs that `pgstead url` prints for a role, by port."""
        _, output = self._pgstead("url", "--role", role, "--show")
        return {
            int(url.rpartition(":")[2].partition("/")[0]): url for url in re.findall(r'="(postgresql://.*)"', output)
        }

    def ssh(self, name: str, *argv: str, stdin: bytes) -> float:
        """Seconds that a command takes over SSH."""
        node = self.nodes[name]
        options = ("-i", str(self.key), "-o", f"UserKnownHostsFile={self.known_hosts}")
        return self._timed("ssh", *options, f"admin@{node.address}", *argv, stdin=stdin)[0]

    def _pgstead(self, verb: str, *arguments: str) -> tuple[float, str]:
        program = str(Path(sys.executable).with_name("pgstead"))
        return self._timed(program, verb, "-i", str(INVENTORY), *arguments)

    def _timed(self, *argv: str, stdin: bytes | None = None) -> tuple[float, str]:
        """Seconds and output of a command, with SSH connections of its own: none is left over from an earlier run."""
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="") as sockets:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")} | {
                "ANSIBLE_CONFIG": str(paths.settings()),
                "ANSIBLE_PRIVATE_KEY_FILE": str(self.key),
                "ANSIBLE_SSH_COMMON_ARGS": f"-o UserKnownHostsFile={self.known_hosts}",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
                "NO_COLOR": "1",
                "COLUMNS": "200",
            }
            begin = time.monotonic()
            try:
                output = self.steps.run(*argv, stdin=stdin, env=environment)
                seconds = time.monotonic() - begin
            finally:
                for socket in Path(sockets).iterdir():
                    subprocess.run(
                        ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "node"], capture_output=True, check=False
                    )
        return seconds, output


def _changed(output: str) -> int:
    """Changed tasks by the recap of ansible-playbook, or by the last line of pgstead."""
    counts = re.findall(r"\bchanged=(\d+)", output)
    require(bool(counts), f"the run did not say how much it changed:\n{output[-500:]}")
    return sum(map(int, counts))


@contextmanager
def site(names: list[str], steps: Steps) -> Iterator[Site]:
    """Fresh nodes for the time of the block, and nothing of them afterwards."""
    with tempfile.TemporaryDirectory(prefix="pgstead-bench-") as scratch:
        made = Site(names, steps, Path(scratch))
        try:
            with steps.step("Removing what an earlier run may have left"):
                made.remove()
            secrets.ensure(INVENTORY, steps)
            made.start(*names)
            yield made
        finally:
            previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it
            made.remove()
            signal.signal(signal.SIGINT, previous)
