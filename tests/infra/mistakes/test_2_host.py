"""A host on which the declaration cannot work: refused before anything is changed, and accepted once it can."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from wrong import INVENTORY, deploy, inventory, refused

Shell = Callable[[str], str]


@pytest.fixture(scope="module")
def shell(node: Any) -> Shell:
    """Runs a script on the node as root; it must succeed."""

    def run(script: str) -> str:
        done = node.run("sh -ec %s", script)
        assert done.rc == 0, done.stdout + done.stderr
        return str(done.stdout)

    return run


@contextmanager
def during(shell: Shell, begin: str, end: str) -> Iterator[None]:
    shell(begin)
    try:
        yield
    finally:
        shell(end)


@contextmanager
def listening(shell: Shell, port: int) -> Iterator[None]:
    """Some other program has the port."""
    wait = f"timeout 10 sh -c 'until ss -Hltn sport = :{port} | grep -q .; do sleep 0.1; done'"
    with during(shell, f"systemd-run -q --unit taken python3 -m http.server {port}; {wait}", "systemctl stop taken"):
        yield


@pytest.mark.parametrize(("port", "variable"), [(6432, "pgbouncer_port"), (5432, "postgresql_port")])
def test_a_port_in_use_by_something_else(shell: Shell, port: int, variable: str) -> None:
    with listening(shell, port):
        refused(INVENTORY, variable, f"{port}, in use by python3", "stop python3, or write another port")
    assert deploy(INVENTORY, "--check").returncode == 0


def test_an_operating_system_that_is_not_supported(shell: Shell) -> None:
    begin = r"""
        cp --remove-destination /usr/lib/os-release /etc/os-release
        sed -i 's/^VERSION_ID=.*/VERSION_ID="11"/; s/Linux 12 (bookworm)/Linux 11 (bullseye)/' /etc/os-release
    """
    with during(shell, begin, "ln -sf ../usr/lib/os-release /etc/os-release"):
        refused(
            INVENTORY,
            "operating system",
            "Debian GNU/Linux 11",
            "supported are debian 12 and 13; ubuntu 22.04 and 24.04",
        )


def test_too_little_memory_and_disk(tmp_path: Path) -> None:
    changes = {
        "preflight_min_memory_mb": 99_000_000,
        "preflight_min_disk_mb": 99_000_000,
        "postgresql_memory_mb": 88_000_000,
    }
    refused(
        inventory(tmp_path, changes, {}),
        "99000000 MB (preflight_min_memory_mb)", "free 99000000 MB (preflight_min_disk_mb)", "write at most that, or 0",
    )  # fmt: skip


def test_a_source_that_cannot_be_reached(tmp_path: Path) -> None:
    where = inventory(tmp_path, {"postgresql_mirror_uri": "http://10.213.21.99:8099"}, {})
    refused(
        where,
        "postgresql_source: mirror",
        "http://10.213.21.99:8099",
        "cannot be read",
        "choose another postgresql_source",
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"postgresql_version": 18}, "postgresql_source: mirror has 16; write one of these"),
        ({"postgresql_minor": "16.1"}, "the source has 16."),
        ({"postgresql_minor": "15.4"}, "write a minor version of 16"),
        ({"pgbouncer_auth": "userlist"}, "write auth_query, or install PgBouncer 1.26.1 or later"),
    ],
    ids=["major", "minor", "minor of another major", "userlist with an old PgBouncer"],
)
def test_what_the_source_does_not_have(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    refused(inventory(tmp_path, changes, {}), said)


def test_an_address_that_is_not_the_nodes(tmp_path: Path) -> None:
    where = inventory(tmp_path, {"node_address": "192.0.2.1"}, {})
    hosts = where / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("node_address: 10.213.21.11", "node_address: 192.0.2.1"))
    refused(where, "node_address", "write an address of the node itself: 10.213.21.11")


def test_an_instance_of_another_major_version(shell: Shell) -> None:
    begin = """
        apt-get -q update
        DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends postgresql-15
    """
    end = """
        DEBIAN_FRONTEND=noninteractive apt-get -qy purge 'postgresql*'
        apt-get -qy autoremove --purge
        rm -rf /var/lib/postgresql /etc/postgresql /var/log/postgresql
    """
    with during(shell, begin, end):
        assert shell("pg_lsclusters -h").startswith("15 main")
        refused(
            INVENTORY, "16, but the node has the instance 15/main with its data", "write postgresql_version: 15",
            "pg_dropcluster --stop 15 main",
        )  # fmt: skip
        # A data directory of 15 where 16's would be.
        shell("""
            pg_dropcluster --stop 15 main
            install -d -o postgres -g postgres /var/lib/postgresql/16
            runuser -u postgres -- /usr/lib/postgresql/15/bin/initdb -D /var/lib/postgresql/16/main
        """)
        refused(
            INVENTORY, "16, but /var/lib/postgresql/16/main holds data of version 15",
            "moving to 16 is an upgrade, not a deploy",
        )  # fmt: skip
    assert deploy(INVENTORY, "--check").returncode == 0


def test_a_declaration_and_a_host_that_are_both_wrong(shell: Shell, tmp_path: Path) -> None:
    where = inventory(tmp_path, {"databases.0.pool.size": 0}, {})
    with listening(shell, 6432):
        refused(where, "2 problems found", "databases[0].pool.size", "in use by python3")
