"""What a node says of itself, as its programs and files would print it."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import node

LISTENING = """\
LISTEN 0 244 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=9,fd=7)) uid:104 ino:1 sk:1 \
cgroup:/system.slice/system-postgresql.slice/postgresql@16-main.service <->
LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=3,fd=4),("systemd",pid=1,fd=9)) ino:2 sk:2 cgroup:/system.slice/ssh.service v6only:1
LISTEN 0 511 *:8080 *:* uid:4294967 ino:3 sk:3 cgroup:unreachable:1 v6only:0 <->
LISTEN 0 64 0.0.0.0:2049 0.0.0.0:* ino:4 sk:4 <->
"""  # noqa: E501
ADDRESSES = [
    {"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}, {"local": "::1"}]},
    {"ifname": "eth0", "addr_info": [{"local": "10.0.0.5"}, {"family": "inet"}]},
    {"ifname": "down0"},
]


def test_a_listener_is_known_by_program_unit_and_user(program: Any) -> None:
    program("ss", LISTENING)
    found = node.listeners()
    assert found[5432]["program"] == "postgres"
    assert found[5432]["unit"] == "postgresql@16-main.service"
    assert found[22] == {"program": "sshd", "unit": "ssh.service", "user": "root"}
    assert found[8080] == {"program": "", "unit": "", "user": "4294967"}
    assert found[2049] == {"program": "", "unit": "", "user": "root"}
    assert set(found) == {5432, 22, 8080, 2049}


def test_addresses_are_those_of_every_interface(program: Any) -> None:
    program("ip", json.dumps(ADDRESSES))
    assert node.addresses() == ["127.0.0.1", "::1", "10.0.0.5"]


@pytest.mark.parametrize("status", [None, 1], ids=["missing", "failing"])
def test_a_program_that_does_not_answer_tells_nothing(program: Any, status: int | None) -> None:
    if status:
        for name in ("ss", "ip", "pg_lsclusters"):
            program(name, "garbage that must not be parsed", status)
    assert (node.listeners(), node.addresses(), node.instances()) == ({}, [], [])


def test_instances_are_read_with_the_version_of_their_data(program: Any, tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("15\n")
    program("pg_lsclusters", f"16 main 5432 online postgres {tmp_path} /log\n17 b 5433 down <unknown> /none /log\n")
    first, second = node.instances()
    assert first == {"version": "16", "name": "main", "port": 5432, "status": "online",
                     "data_directory": str(tmp_path), "data_version": "15"}  # fmt: skip
    assert (second["name"], second["port"], second["data_version"]) == ("b", 5433, "")


def test_only_configured_packages_are_installed(program: Any) -> None:
    program(
        "dpkg-query",
        "postgresql-16:amd64 ii  16.14-1\npgbouncer ii  1.24.1-1\nold rc  1.0\nhalf iF  2.0\nnone un \n",
        1,
    )
    assert node.packages(["any"]) == {"postgresql-16": "16.14-1", "pgbouncer": "1.24.1-1"}
    assert node.packages([]) == {}


@pytest.mark.parametrize(("audit", "interrupted"), [("half-installed: x\n", True), ("", False)])
def test_an_interrupted_dpkg_is_seen(root: Path, program: Any, audit: str, interrupted: bool) -> None:
    program("dpkg", audit)
    assert node.dpkg_interrupted() is interrupted
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/updates/0001").touch()
    assert node.dpkg_interrupted() is True


def test_addresses_resolve_to_themselves_and_names_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"db1": [(0, 0, 0, "", ("10.0.0.5", 0)), (0, 0, 0, "", ("10.0.0.5", 0))]}

    def ask(name: str, _: None) -> Any:
        if name not in answers:
            raise socket.gaierror("Name or service not known")
        return answers[name]

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    assert node.resolve("10.0.0.9") == ["10.0.0.9"]
    assert node.resolve("FD00::0001") == ["fd00::1"]
    assert node.resolve("db1") == ["10.0.0.5"]
    assert node.resolve("db2") == []


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system of its own for paths that are fixed."""
    monkeypatch.setattr(node, "Path", lambda path: tmp_path / "root" / str(path).lstrip("/"))
    for name, text in {
        "etc/os-release": 'PRETTY_NAME="Debian 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n',
        "proc/meminfo": "MemTotal:        4194304 kB\nMemFree: 1 kB\n",
    }.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path / "root"


def test_the_release_is_read_without_its_quotes(root: Path) -> None:
    expected = {"id": "debian", "version": "13", "codename": "trixie", "name": "Debian 13 (trixie)"}
    assert node.release() == expected
    (root / "etc/os-release").write_text("ID=arch\n")
    assert node.release() == {"id": "arch", "version": "", "codename": "", "name": ""}


@pytest.mark.parametrize(
    ("limit", "memory"), [(None, 4096), ("max", 4096), (str(512 * 1024**2), 512), (str(9000 * 1024**2), 4096)]
)
def test_memory_is_the_machine_s_or_what_a_control_group_leaves(root: Path, limit: str | None, memory: int) -> None:
    if limit:
        (root / "sys/fs/cgroup").mkdir(parents=True)
        (root / "sys/fs/cgroup/memory.max").write_text(f"{limit}\n")
    assert node.memory_mb() == memory


@pytest.mark.parametrize(
    ("says", "marked", "kind"),
    [("lxc", False, "lxc"), ("none", False, ""), ("none", True, "docker"), ("", True, "docker")],
)
def test_a_container_is_told_from_a_machine(root: Path, program: Any, says: str, marked: bool, kind: str) -> None:
    program("systemd-detect-virt", says, 0 if says else 1)
    if marked:
        (root / ".dockerenv").touch()
    assert node.container() == kind


def test_a_path_that_is_not_yet_is_judged_by_what_will_hold_it(tmp_path: Path) -> None:
    assert node.existing_parent(str(tmp_path / "a" / "b")) == tmp_path
    assert node.disk_mb(str(tmp_path / "a")) >= node.free_mb(str(tmp_path / "a"))


def test_only_users_that_exist_are_found(me: dict[str, str]) -> None:
    assert node.users([me["owner"], "nobody-has-this-name"]) == [me["owner"]]
