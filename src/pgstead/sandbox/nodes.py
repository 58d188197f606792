"""Makes, lists and removes nodes. One piece of code for the sandbox and for molecule.

A node is described by its inventory host: `ansible_host` (the container's name), `node_address`,
`sandbox_image`; its network by `sandbox_network` and `sandbox_subnet`.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from pgstead import mirror, paths
from pgstead.command import Steps, output_of, succeeds
from pgstead.errors import PgsteadError
from pgstead.sandbox import engine, image

LABEL = "pgstead.network"
PACKAGE_CACHE = "pgstead-packages"
_BOOT_DEADLINE = 60  # seconds until systemd must have booted

# What systemd needs to boot in a container that is not privileged; see docs/explanation/sandbox.md.
_SYSTEMD = (
    "--cap-add",
    "SYS_ADMIN",
    "--cap-add",
    "NET_ADMIN",
    "--security-opt",
    "seccomp=unconfined",
    "--cgroupns=host",
    "--stop-signal",
    "SIGRTMIN+3",
    "--tmpfs",
    "/run",
    "--tmpfs",
    "/run/lock",
    "--tmpfs",
    "/tmp",  # noqa: S108 - the mount point inside the node
    "--shm-size=1g",
)


@dataclass(frozen=True)
class Node:
    """One node to be.

    Args:
        name: container and host name.
        address: fixed IPv4 address inside `subnet`.
        image: release, a key of `image.RELEASES`.
        network: Docker network.
        subnet: its CIDR.
        ssh_key: public key that may log in as root and as `admin` (who may sudo).
        options: further `docker run` options.
    """

    name: str
    address: str
    image: str
    network: str
    subnet: str
    ssh_key: str = ""
    options: tuple[str, ...] = field(default=())


def up(nodes: list[Node], steps: Steps) -> None:
    """Makes what is missing of the nodes, and leaves with all of them booted.

    Raises:
        PgsteadError: no Docker Engine, no image, the subnet is taken, or a node does not boot.
    """
    engine.ensure(steps)
    for node in nodes:
        if ipaddress.ip_address(node.address) not in ipaddress.ip_network(node.subnet):
            raise PgsteadError(
                f"{node.name}: node_address {node.address} is not in sandbox_subnet {node.subnet}",
                "choose an address inside the subnet",
            )
    with paths.locked("images"):
        for release in sorted({node.image for node in nodes}):
            image.ensure(release, steps)
            ensure_mirror(release, steps)
    for network, subnet in sorted({(node.network, node.subnet) for node in nodes}):
        _ensure_network(network, subnet, steps)
    for node in nodes:
        if state_of(node.name) == "running":
            continue
        with steps.step(f"Starting node {node.name} ({node.image}, {node.address})"):
            _start(node, steps)
    for node in nodes:
        _wait_booted(node)


def ensure_mirror(release: str, steps: Steps) -> Path:
    """The package repository for nodes of this release, built where it is missing."""
    directory = mirror_dir(release)
    if not (directory / "manifest.json").exists():
        mirror.build(image.RELEASES[release], directory, steps)
    return directory


def mirror_dir(release: str) -> Path:
    """Where the repository for nodes of this release is kept; nodes see it at /srv/pgstead-mirror."""
    return paths.state("cache", "mirror", release)


def _ensure_network(name: str, subnet: str, steps: Steps) -> None:
    if succeeds("docker", "network", "inspect", name):
        found = json.loads(output_of("docker", "network", "inspect", name))[0]["IPAM"]["Config"][0]["Subnet"]
        if found != subnet:
            raise PgsteadError(
                f"the Docker network {name} exists with the subnet {found}, not {subnet}",
                f"remove it (docker network rm {name}), or set sandbox_subnet to {found}",
            )
        return
    steps.run(
        "docker",
        "network",
        "create",
        "--subnet",
        subnet,
        "--label",
        f"{LABEL}={name}",
        name,
        hint=f"does another network or route of this machine use {subnet}? choose another sandbox_subnet",
    )


def _start(node: Node, steps: Steps) -> None:
    if state_of(node.name):
        steps.run("docker", "start", node.name)
        return
    unified = Path("/sys/fs/cgroup/unified")  # the cgroup v2 tree of a v1 hybrid host
    cgroup = unified if unified.is_dir() else Path("/sys/fs/cgroup")
    release = image.RELEASES[node.image]
    steps.run(
        "docker",
        "run",
        "-d",
        "--name",
        node.name,
        "--hostname",
        node.name,
        "--network",
        node.network,
        "--ip",
        node.address,
        "--label",
        f"{LABEL}={node.network}",
        *_SYSTEMD,
        "-v",
        f"{cgroup}:/sys/fs/cgroup:rw",
        "-v",
        f"{PACKAGE_CACHE}:/var/cache/pgstead",
        "-v",
        f"{mirror_dir(node.image)}:/srv/pgstead-mirror:ro",
        *node.options,
        release.tag,
        "/sbin/init",
    )
    if node.ssh_key:
        script = (
            "useradd -m -s /bin/bash admin && echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin &&"
            " cat > /etc/key && for h in /root /home/admin; do install -d -m 700 $h/.ssh &&"
            " install -m 600 /etc/key $h/.ssh/authorized_keys; done && chown -R admin: /home/admin && rm /etc/key"
        )
        steps.run("docker", "exec", "-i", node.name, "sh", "-c", script, stdin=f"{node.ssh_key}\n".encode())


def _wait_booted(node: Node) -> None:
    """Waits until systemd says running; `degraded` is a fault of the image and named as such."""
    deadline = time.monotonic() + _BOOT_DEADLINE
    while True:
        state = boot_state(node.name)
        if state == "running":
            return
        if state == "degraded" or time.monotonic() > deadline:
            failed = output_of("docker", "exec", node.name, "systemctl", "--failed", "--no-legend", "--plain")
            raise PgsteadError(
                f"node {node.name} did not boot: systemd says {state or 'nothing'}; failed units: {failed.strip()}",
                f"look inside with: docker exec -it {node.name} journalctl -b",
            )
        time.sleep(0.2)


def boot_state(name: str) -> str:
    """What `systemctl is-system-running` says inside the node."""
    done = subprocess.run(
        ["docker", "exec", name, "systemctl", "is-system-running"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def state_of(name: str) -> str:
    """Docker's word for the container's state, "" where there is none."""
    listed = output_of("docker", "ps", "-a", "--filter", f"name=^/{name}$", "--format", "{{.State}}")
    return listed.strip()


def networks() -> list[str]:
    """Every Docker network of pgstead's."""
    return output_of("docker", "network", "ls", "--filter", f"label={LABEL}", "--format", "{{.Name}}").split()


def on_network(network: str) -> list[dict[str, str]]:
    """The nodes of a network: name, state, image."""
    listed = output_of(
        "docker",
        "ps",
        "-a",
        "--filter",
        f"label={LABEL}={network}",
        "--format",
        "{{.Names}}\t{{.State}}\t{{.Image}}",
    )
    return [dict(zip(("name", "state", "image"), line.split("\t"), strict=True)) for line in listed.splitlines()]


def down(network: str, steps: Steps) -> None:
    """Removes the nodes of a network and the network itself, nothing else."""
    for node in on_network(network):
        with steps.step(f"Removing node {node['name']}"):
            steps.run("docker", "rm", "-fv", node["name"])
    if succeeds("docker", "network", "inspect", network):
        steps.run("docker", "network", "rm", network)


def clean(steps: Steps) -> None:
    """Removes what nodes share once no node is left: the package cache, the images, the started engine."""
    if not networks():
        if succeeds("docker", "volume", "inspect", PACKAGE_CACHE):
            steps.run("docker", "volume", "rm", PACKAGE_CACHE)
        image.remove_all(steps)
        engine.stop(steps)
