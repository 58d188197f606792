"""Hosts: each is refused for what cannot work on it, and its counterpart passes."""

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.plugin_utils import host, rooms

PORTS = [
    {"input": "postgresql_port", "unit": "postgresql@16-main.service", "user": "postgres"},
    {"input": "pgbouncer_port", "unit": "pgbouncer.service", "user": "pgbouncer"},
]


def told(values: dict[str, Any], seen: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in host.problems(values, seen, rooms.own(), PORTS)]


VALUES: dict[str, Any] = {
    "preflight_min_memory_mb": 512,
    "preflight_min_disk_mb": 1024,
    "postgresql_memory_mb": 0,
    "postgresql_max_connections": 0,
    "postgresql_extension_packages": ["postgresql-16-pgvector"],
    "client_networks": ["10.0.0.0/24"],
    "node_address": "10.0.0.5",
    "postgresql_version": 16,
    "postgresql_instance": "main",
    "postgresql_port": 5432,
    "pgbouncer_port": 6432,
    "postgresql_source": "pgdg",
    "postgresql_minor": "",
    "pgbouncer_auth": "auth_query",
}
SEEN: dict[str, Any] = {
    "release": {"id": "debian", "version": "13", "name": "Debian GNU/Linux 13 (trixie)"},
    "memory_mb": 2048,
    "free_mb": 20000,
    "addresses": ["127.0.0.1", "10.0.0.5", "::1", "fe80::1"],
    "node_address": ["10.0.0.5"],
    "listeners": {},
    "instances": [],
    "data_version": "",
    "data_directory": "/var/lib/postgresql/16/main",
    "packages": {},
    "pgbouncer_patched": False,
    "source": {
        "packages": {"postgresql-16": ["16.13-1.pgdg13+1", "16.14-1.pgdg13+1"], "postgresql-17": ["17.5-1"],
                     "postgresql-16-pgvector": ["0.8.0-1"], "pgbouncer": ["1.24.1-1"]},
        "error": "",
    },
}  # fmt: skip
NO_PACKAGES = {"packages": {"postgresql-17": ["17.5-1"], "postgresql-18": ["18.1-1"]}, "error": ""}


INSTALLED = {"postgresql-16": "16.14-1", "postgresql-16-pgvector": "0.8.0-1"}


def release(name: str, version: str) -> dict[str, Any]:
    return {"release": {"id": name, "version": version, "name": f"{name} {version}"}}


def listening(port: int, program: str = "", unit: str = "", user: str = "root") -> dict[str, Any]:
    return {"listeners": {str(port): {"program": program, "unit": unit, "user": user}}}


def instance(version: str, name: str, port: int = 5432, data: str = "") -> dict[str, Any]:
    return {
        "version": version,
        "name": name,
        "port": port,
        "data_directory": "/srv/pg",
        "data_version": data or version,
    }


def pooler(offered: list[str], installed: str = "", patched: bool = False) -> dict[str, Any]:
    packages = SEEN["source"]["packages"] | {"pgbouncer": offered}
    return {
        "source": {"packages": packages, "error": ""},
        "packages": {"pgbouncer": installed} if installed else {},
        "pgbouncer_patched": patched,
    }


LIMITS = {"pgbouncer_users": {"app": {"pool_size": 1}}}
USERLIST = {"pgbouncer_auth": "userlist"}

# (what is declared otherwise, what is seen otherwise, what is said; "" where the host will do)
HOSTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a bare host": ({}, {}, ""),
    "Debian 12": ({}, release("debian", "12"), ""),
    "Ubuntu 24.04": ({}, release("ubuntu", "24.04"), ""),
    "Debian 11": ({}, release("debian", "11"), "operating system: found debian 11; supported are debian 12 and 13"),
    "Ubuntu of a Debian's number": ({}, release("ubuntu", "13"), "operating system: found ubuntu 13"),
    "another distribution": ({}, release("rocky", "9"), "operating system: found rocky 9"),
    "the least memory": ({}, {"memory_mb": 512}, ""),
    "a MB less": ({}, {"memory_mb": 511}, "memory: found 511 MB; the node needs 512 MB"),
    "memory as planned": ({"postgresql_memory_mb": 2048}, {}, ""),
    "more connections than memory": (
        {"postgresql_max_connections": 20000}, {}, "max_connections: found 20000 with 2048 MB of memory; that is too"),
    "more connections than memory by a setting": (
        {"postgresql_settings": {"max_connections": 20000}}, {}, "max_connections: found 20000 with 2048 MB"),
    "as many connections with more memory": ({"postgresql_max_connections": 20000}, {"memory_mb": 32000}, ""),
    "an extension that is misspelt": (
        {"postgresql_extension_packages": ["postgresql-16-pgvectr"]}, {},
        "postgresql_extension_packages[0]: found 'postgresql-16-pgvectr'; postgresql_source: pgdg does not have"),
    "more planned than there is": ({"postgresql_memory_mb": 2049}, {}, "postgresql_memory_mb: found 2049; the node"),
    "the least disk": ({}, {"free_mb": 1024}, ""),
    "less disk": ({}, {"free_mb": 1023}, "disk: found 1023 MB free at /var/lib/postgresql"),
    "less disk with the data on it": ({}, {"free_mb": 1023, "instances": [instance("16", "main")]}, ""),
    "an address of another host": ({}, {"node_address": ["10.0.0.9"]}, "node_address: found '10.0.0.5' (10.0.0.9)"),
    "a name that is none": ({}, {"node_address": []}, "node_address: found '10.0.0.5' (a name that does not resolve"),
    "loopback as address": ({}, {"node_address": ["127.0.0.1"]}, "node_address: found '10.0.0.5' (127.0.0.1)"),
    "loopback without clients": ({"client_networks": []}, {"node_address": ["127.0.0.1"]}, ""),
    "a port in use": ({}, listening(5432, "nginx", "nginx.service"), "postgresql_port: found 5432, in use by nginx"),
    "a port in use without unit": ({}, listening(6432, user="www"), "pgbouncer_port: found 6432, in use by a prog"),
    "another instance on the port": (
        {}, listening(5432, "postgres", "postgresql@16-old.service"), "postgresql_port: found 5432, in use by"),
    "the port of the instance itself": ({}, listening(5432, "postgres", "postgresql@16-main.service"), ""),
    "the port of the pooler itself": ({}, listening(6432, "pgbouncer", "pgbouncer.service"), ""),
    "a service by its user": ({}, listening(5432, user="postgres"), ""),
    "a port of no interest": ({}, listening(80, "nginx", "nginx.service"), ""),
    "one port for both": ({"pgbouncer_port": 5432}, {}, "pgbouncer_port: found 5432; write another port"),
    "data of another major": (
        {}, {"data_version": "15"}, "postgresql_version: found 16, but /var/lib/postgresql/16/main holds data of"),
    "data of the same major": ({}, {"data_version": "16"}, ""),
    "an instance whose data is another major's": (
        {}, {"instances": [instance("16", "main", data="15")]}, "postgresql_version: found 16, but /srv/pg holds"),
    "the instance of another major": (
        {}, {"instances": [instance("15", "main", 5433)]}, "postgresql_version: found 16, but the node has"),
    "another instance on its own port": ({}, {"instances": [instance("15", "old", 5433)]}, ""),
    "another instance on our port": (
        {}, {"instances": [instance("15", "old")]}, "postgresql_port: found 5432, the port of the instance 15"),
    "a source out of reach": (
        {}, {"source": {"packages": {}, "error": "no route"}}, "postgresql_source: pgdg: found no route; check"),
    "a source nobody can ask": ({}, {"source": {"packages": {}, "error": "", "unknown": True}}, ""),
    "a version not offered": (
        {}, {"source": NO_PACKAGES}, "postgresql_version: found 16; postgresql_source: pgdg has 17, 18; write"),
    "no version offered": (
        {}, {"source": {"packages": {}, "error": ""}},
        "postgresql_version: found 16; postgresql_source: pgdg has no PostgreSQL"),
    "a version installed already": ({}, {"source": NO_PACKAGES, "packages": INSTALLED}, ""),
    "a minor that is offered": ({"postgresql_minor": "16.14"}, {}, ""),
    "a minor that is installed": ({"postgresql_minor": "16.9"}, {"packages": {"postgresql-16": "16.9-1"}}, ""),
    "a minor that is not offered": (
        {"postgresql_minor": "16.1"}, {}, "postgresql_minor: found '16.1'; the source has 16.13, 16.14; write"),
    "limits with a pooler that knows them": (LIMITS, pooler(["1.23.0-1"]), ""),
    "limits with an old pooler": (
        LIMITS, pooler(["1.22.1-1"]), "pgbouncer_users: found limits with PgBouncer 1.22.1-1; take them out, or",
    ),
    "userlist with an old pooler": (USERLIST, {}, "pgbouncer_auth: found 'userlist' with PgBouncer 1.24.1-1"),
    "userlist with one just before": (USERLIST, pooler(["1.26.0-9"]), "pgbouncer_auth: found 'userlist' with"),
    "userlist with the fixed one": (USERLIST, pooler(["1.26.1-1.pgdg13+1"]), ""),
    "userlist with a later one": (USERLIST, pooler(["1.30-1", "1.24.1-1"]), ""),
    "userlist with an epoch": (USERLIST, pooler(["1:1.27.0-1"]), ""),
    "userlist with an old one that stays": (USERLIST, pooler(["1.27.0-1"], "1.24.1-1"), "pgbouncer_auth: found"),
    "userlist with a patched one": (USERLIST, pooler(["1.24.1-1"], "1.24.1-1+deb13u1", True), ""),
    "userlist with none": (USERLIST, pooler([]), "pgbouncer_auth: found 'userlist' with PgBouncer (none)"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "seen", "said"), HOSTS.values(), ids=HOSTS)
def test_a_host_is_refused_for_what_cannot_work_and_for_nothing_else(
    values: dict[str, Any], seen: dict[str, Any], said: str
) -> None:
    found = told(VALUES | values, SEEN | seen)
    assert len(found) == bool(said), found
    assert "".join(found).startswith(said)


def test_every_refusal_of_a_host_comes_at_once() -> None:
    seen = SEEN | release("rocky", "9") | {"memory_mb": 100, "free_mb": 1, "data_version": "15", "node_address": []}
    found = {line.split(": ")[0] for line in told(VALUES | {"pgbouncer_port": 5432}, seen)}
    assert {"operating system", "memory", "disk", "node_address", "pgbouncer_port", "postgresql_version"} <= found
