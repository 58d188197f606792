"""A mirror built from PGDG serves a host that reaches nothing else: the way of air-gapped sites.

The sandbox's own repository, served over HTTP, stands for PGDG, which tests must not need.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from conftest import DECLARED, HOME, INVENTORY, deploy, pgstead

SERVED = HOME / ".pgstead" / "cache" / "mirror" / "debian-13"
NODE, ADDRESS = "pgstead-airgap", "10.213.17.31"


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    """The repository over HTTP, on this machine's address in the scenario's network: containers reach it."""
    # Docker gives itself the first host of a subnet that it is told, and does not always say so.
    gateway = str(next(ipaddress.ip_network(DECLARED.variables["sandbox_subnet"]).hosts()))
    with socket.socket() as probe:
        probe.bind((gateway, 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", "-b", gateway, str(port), "-d", SERVED],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield f"http://{gateway}:{port}"
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def built(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("mirror") / "repo"
    said = pgstead(
        "mirror", "build", str(output), "--release", "debian-13", "--from", "pgdg",
        "--pgdg-uri", uri, "--pgdg-key", f"{SERVED}/pgstead-mirror.asc",
    ).stdout  # fmt: skip
    assert f"postgresql_mirror_uri: file://{output}" in said
    return output


def test_it_holds_the_server_and_every_dependency_that_a_bare_node_lacks(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    assert manifest["source"] == "pgdg"
    names = {package.partition("_")[0] for package in manifest["packages"]}
    assert {"postgresql-16", "postgresql-16-pgvector", "postgresql-common", "pgbouncer", "libpq5", "ssl-cert"} <= names


def test_another_key_than_the_sources_is_refused_and_nothing_is_left(uri: str, tmp_path: Path) -> None:
    done = pgstead("mirror", "build", str(tmp_path / "repo"), "--from", "pgdg", "--pgdg-uri", uri, check=False)
    assert done.returncode == 1
    assert "NO_PUBKEY" in done.stderr or "not signed" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_reaches_nothing_else_is_deployed_from_it(built: Path) -> None:
    pgstead("sandbox", "up", "-i", str(INVENTORY), "--node", f"{NODE}={ADDRESS}")
    host: Any = testinfra.get_host(f"docker://{NODE}")
    try:
        subprocess.run(["docker", "cp", "-q", built, f"{NODE}:/opt/repo"], check=True)
        alone = (
            "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/* /var/cache/apt/archives/*.deb"
        )
        assert host.run(alone).rc == 0
        target = (
            "-e", f"ansible_host={NODE}", "-e", f"node_address={ADDRESS}",
            "-e", "postgresql_mirror_uri=file:///opt/repo", "-e", f"postgresql_mirror_key={built}/pgstead-mirror.asc",
        )  # fmt: skip
        deploy(*target, "--check")
        deploy(*target)
        assert "changed=0" in deploy(*target).stderr
        origin = host.check_output("apt-cache policy postgresql-16 pgbouncer libpq5")
        assert origin.count("file:/opt/repo") >= 3
    finally:
        subprocess.run(["docker", "rm", "-fv", NODE], check=True, capture_output=True)
