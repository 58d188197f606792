"""A host on which the declaration cannot work: refused before anything is changed, and accepted once it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from wrong import DECLARED, INVENTORY, deployed, refused, refused_together, rows

Shell = Callable[[str], str]
# what is changed -> what is said
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "memory and disk": (
        {
            "preflight_min_memory_mb": 99_000_000,
            "preflight_min_disk_mb": 99_000_000,
            "postgresql_memory_mb": 88_000_000,
        },
        (
            "99000000 MB (preflight_min_memory_mb)", "free 99000000 MB (preflight_min_disk_mb)",
            "write at most that, or 0",
        ),
    ),
    "source": (
        {"postgresql_mirror_uri": "http://10.213.21.99:8099"},
        (
            "postgresql_source: mirror", "http://10.213.21.99:8099", "cannot be read",
            "choose another postgresql_source",
        ),
    ),
    "major": ({"postgresql_version": 18}, ("postgresql_source: mirror has 16; write one of these",)),
    "minor": ({"postgresql_minor": "16.1"}, ("the source has 16.",)),
    "minor of another major": ({"postgresql_minor": "15.4"}, ("write a minor version of 16",)),
    "userlist with an old PgBouncer": (
        {"pgbouncer_auth": "userlist"}, ("write auth_query, or install PgBouncer 1.26.1 or later",),
    ),
    "address": (
        {"node_address": "192.0.2.1"}, ("node_address", f"write an address of the node itself: {DECLARED.address}"),
    ),
}  # fmt: skip
PORTS = {6432: "pgbouncer_port", 5432: "postgresql_port"}


@pytest.fixture(scope="module")
def shell(node: Any) -> Shell:
    """Runs a script on the node as root; it must succeed."""

    def run(script: str) -> str:
        done = node.run("sh -exc %s", script)
        # What failed comes last there, and a summary of many tests has room for the first words only.
        last = "\n".join(done.stderr.splitlines()[-8:])
        assert done.rc == 0, (
            f"exit status {done.rc}: {last}\nof: {script}\nstdout: {done.stdout}\nstderr: {done.stderr}"
        )
        return str(done.stdout)

    return run


@contextmanager
def during(shell: Shell, begin: str, end: str) -> Iterator[None]:
    try:
        shell(begin)
        yield
    finally:
        shell(end)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What was said of each case: one deploy to as many hosts as there are cases, which changes nothing on the node."""
    return refused_together(
        tmp_path_factory.mktemp("hosts"), {case: (changes, {}) for case, (changes, _) in CASES.items()}
    )


def accepted() -> None:
    """Preflight alone; a whole deploy is what the tests of configuration begin with."""
    deployed(INVENTORY, "--check", "--tags", "always")


def refused_as_said(case: str, told: dict[str, str]) -> None:
    assert "nothing was changed" in told[case]
    for text in CASES[case][1]:
        assert text in told[case], told[case]


@pytest.fixture(scope="module")
def taken(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Some other program has both ports: what is said of the declaration, and of one that is wrong itself."""
    begin = "".join(
        f"""
        systemd-run -q --collect --unit taken-{port} python3 -m http.server {port}
        timeout 300 sh -c 'until ss -Hltn sport = :{port} | grep -q .; do
            systemctl is-active -q taken-{port} || {{ journalctl -q -n 20 -u taken-{port} >&2; exit 1; }}
            sleep 0.1
        done'
        """
        for port in PORTS
    )
    cases: dict[str, dict[str, Any]] = {
        "as declared": {},
        "wrong itself": {"databases.0.pool.size": 0, "postgresql_port": 5499},
    }
    with during(shell, begin, "systemctl stop 'taken-*'"):
        told = refused_together(
            tmp_path_factory.mktemp("ports"), {case: (changes, {}) for case, changes in cases.items()}
        )
    accepted()  # once they are free
    return told


@pytest.mark.parametrize(("port", "variable"), list(PORTS.items()))
def test_a_port_in_use_by_something_else(taken: dict[str, str], port: int, variable: str) -> None:
    said = taken["as declared"]
    expected = [variable, f"{port}, in use by python3", "stop python3, or write another port"]
    assert "2 problems found; nothing was changed" in said
    assert expected in rows(said), said


def test_a_declaration_and_a_host_that_are_both_wrong(taken: dict[str, str]) -> None:
    said = taken["wrong itself"]
    assert "2 problems found; nothing was changed" in said
    assert "databases[0].pool.size" in said
    assert "in use by python3" in said


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


def test_too_little_memory_and_disk(told: dict[str, str]) -> None:
    refused_as_said("memory and disk", told)


def test_a_source_that_cannot_be_reached(told: dict[str, str]) -> None:
    refused_as_said("source", told)


@pytest.mark.parametrize("case", ["major", "minor", "minor of another major", "userlist with an old PgBouncer"])
def test_what_the_source_does_not_have(case: str, told: dict[str, str]) -> None:
    refused_as_said(case, told)


def test_an_address_that_is_not_the_nodes(told: dict[str, str]) -> None:
    refused_as_said("address", told)


def test_an_instance_of_another_major_version(shell: Shell) -> None:
    # A server that was just started still writes by itself, some 15 s and a minute later: what is compared before and
    # after a deploy must not show that, however long it takes.
    apt = "apt-get -qy -o DPkg::Lock::Timeout=300 -o DPkg::Options::=--force-unsafe-io"
    begin = f"""
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q update
        {apt} install --no-install-recommends postgresql-15
        for setting in wal_level=minimal max_wal_senders=0 autovacuum=off checkpoint_timeout=1d; do
            pg_conftool 15 main set ${{setting%=*}} ${{setting#*=}}
        done
        systemctl restart postgresql@15-main
    """
    end = f"""
        export DEBIAN_FRONTEND=noninteractive
        {apt} purge --autoremove 'postgresql*'
        rm -rf /var/lib/postgresql /etc/postgresql /var/log/postgresql
    """
    with during(shell, begin, end):
        assert [line.split()[:4] for line in shell("pg_lsclusters -h").splitlines()] == [
            ["15", "main", "5432", "online"]
        ]
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
    accepted()
