"""Who gets in: every line is looked at by its fields."""

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.plugin_utils import hba, model

REPORTS = {"name": "rep", "kind": "readonly"}
DATABASES = [
    {
        "name": "shop",
        "roles": [{"name": "app"}, {"name": "mig", "kind": "migrator"}, {"name": "rep", "kind": "readonly"}],
    },
    {"name": "depot", "roles": [{"name": "all"}, {"name": "group", "login": False}]},
    {"name": "empty"},
]
CLUSTER = [{"name": "operator"}, {"name": "staff", "login": False}]
NETWORKS = ["10.0.0.0/24", "fd00::/8"]


def fields(lines: list[str]) -> list[tuple[str, set[str], set[str], str, str]]:
    """(type, databases, roles, address, method) of every line that is no comment."""
    found = []
    for line in lines:
        if line and not line.startswith("#"):
            kind, databases, roles, *address, method = line.replace("peer map", "peer_map").split()
            found.append((kind, set(databases.split(",")), set(roles.split(",")), "".join(address), method))
    return found


def server(networks: list[str], databases: Any = DATABASES, cluster: Any = CLUSTER) -> Any:
    return fields(hba.server_lines(model.expand(databases, cluster), networks, ["pgbouncer"]))


def pooler(networks: list[str], databases: Any = DATABASES, cluster: Any = CLUSTER) -> Any:
    return fields(hba.pooler_lines(model.expand(databases, cluster), networks, ["10.0.0.5", "127.0.0.1"], "stats"))


def reach(lines: Any, role: str, kind: str) -> dict[str, set[str]]:
    """Address -> databases that lines of this type admit the role from and to."""
    return {
        address: databases for found, databases, roles, address, _ in lines if found == kind and f'"{role}"' in roles
    }


def test_nobody_gets_in_without_a_proof_and_over_the_network_without_tls() -> None:
    lines = [*server(NETWORKS), *pooler(NETWORKS)]
    assert {(kind, method) for kind, _, _, _, method in lines} == {
        ("local", "peer"),
        ("local", "peer_map=pgstead_pooler"),
        ("local", "scram-sha-256"),
        ("hostssl", "scram-sha-256"),
    }


def test_the_superuser_comes_in_over_the_socket_alone() -> None:
    lines = server(NETWORKS)
    assert lines[0] == ("local", {"all"}, {'"postgres"'}, "", "peer")
    assert lines[1] == ("local", {"all"}, {'"pgbouncer"'}, "", "peer")
    for role in ("postgres", "pgbouncer"):
        assert reach(lines, role, "hostssl") == reach(pooler(NETWORKS), role, "hostssl") == {}


@pytest.mark.parametrize("role", ["shop_owner", "group", "staff", "nobody"])
def test_who_does_not_log_in_has_no_line(role: str) -> None:
    for lines in (server(NETWORKS), pooler(NETWORKS)):
        assert reach(lines, role, "local") == reach(lines, role, "hostssl") == {}


@pytest.mark.parametrize(
    ("role", "databases"),
    [("mig", {'"shop"'}), ("rep", {'"shop"'}), ("operator", {'"shop"', '"depot"', '"empty"', '"postgres"'})],
)
def test_direct_roles_reach_their_databases_from_the_node_and_every_network(role: str, databases: set[str]) -> None:
    assert reach(server(NETWORKS), role, "hostssl") == dict.fromkeys(["samehost", *NETWORKS], databases)
    assert reach(server([]), role, "hostssl") == {"samehost": databases}


@pytest.mark.parametrize("role", ["app", "all"])
def test_pooled_roles_reach_the_server_over_the_pooler_alone(role: str) -> None:
    assert reach(server(NETWORKS), role, "hostssl") == {}
    assert list(reach(server(NETWORKS), role, "local")) == [""]
    assert list(reach(pooler(NETWORKS), role, "hostssl")) == ["127.0.0.1/32", "10.0.0.5/32", *NETWORKS]


def test_pooled_roles_come_in_over_the_socket_as_who_has_no_need_of_their_password() -> None:
    expanded = model.expand(DATABASES, CLUSTER)
    ways = {role: method for kind, _, roles, _, method in server(NETWORKS) if kind == "local" for role in roles}
    peer, password = "peer_map=pgstead_pooler", "scram-sha-256"
    assert ways == {'"postgres"': "peer", '"pgbouncer"': "peer", '"app"': peer, '"rep"': peer, '"all"': peer,
                    '"mig"': password, '"operator"': password}  # fmt: skip
    mapped = {tuple(line.split()) for line in hba.ident_lines(expanded, "pooler")}
    users, roles = ("pooler", "postgres", "root"), ('"app"', '"rep"', '"all"')
    assert mapped == {("pgstead_pooler", user, role) for user in users for role in roles}


@pytest.mark.parametrize("role", ["mig", "operator"])
def test_direct_roles_do_not_come_in_through_the_pooler(role: str) -> None:
    assert reach(pooler(NETWORKS), role, "hostssl") == reach(pooler(NETWORKS), role, "local") == {}


def test_statistics_are_for_the_node_itself() -> None:
    lines = pooler(NETWORKS)
    console = {"127.0.0.1/32": {'"pgbouncer"'}, "10.0.0.5/32": {'"pgbouncer"'}}
    assert reach(lines, "stats", "hostssl") == console
    assert {role for _, databases, roles, _, _ in lines if '"pgbouncer"' in databases for role in roles} == {'"stats"'}


def test_a_name_like_a_keyword_is_a_name() -> None:
    words = [{"name": "replication", "roles": [{"name": "all"}, {"name": "samerole", "kind": "migrator"}]}]
    for _, databases, roles, address, _ in server(NETWORKS, words, []) + pooler(NETWORKS, words, []):
        assert databases <= {'"replication"', '"pgbouncer"'} or not address
        assert roles <= {'"all"', '"samerole"', '"stats"', '"postgres"', '"pgbouncer"'}


def test_an_empty_declaration_admits_the_node_s_own_services_alone() -> None:
    assert [kind for kind, *_ in server(NETWORKS, [], [])] == ["local", "local"]
    assert {databases.pop() for _, databases, _, _, _ in pooler(NETWORKS, [], [])} == {'"pgbouncer"'}


def test_the_node_reaches_its_own_pooler_by_addresses_of_both_families() -> None:
    lines = hba.pooler_lines(model.expand(DATABASES, []), [], ["fd00::5", "10.0.0.5"], "stats")
    assert {address for *_, address, _ in fields(lines) if address} == {"127.0.0.1/32", "10.0.0.5/32", "fd00::5/128"}


def test_lines_of_ones_own_stand_before_or_after_ours_and_never_before_the_superusers() -> None:
    ours = hba.server_lines(model.expand(DATABASES, []), [], ["pgbouncer"])
    own = ["host a", {"line": "host b", "place": "before"}, {"line": "host c"}, {"line": "host d", "place": "after"}]
    lines = hba.server_lines(model.expand(DATABASES, []), [], ["pgbouncer"], own)
    assert [line for line in lines if line not in ours] == [
        "# postgresql_hba, as asked for.", "host b", "# postgresql_hba, as asked for.", "host a", "host c", "host d",
    ]  # fmt: skip
    assert [line for line in lines if line in ours and line] == [line for line in ours if line]
    first = lines.index("host b")
    assert [line.split()[2] for line in lines[1 : first - 2]] == ['"postgres"', '"pgbouncer"']
    assert lines[-1] == "host d"


def test_lines_that_other_rooms_need_stand_around_those_of_the_declared_roles() -> None:
    ours = hba.server_lines(model.expand(DATABASES, []), [], ["pgbouncer"])
    lines = hba.server_lines(model.expand(DATABASES, []), [], ["pgbouncer"], [], ["host a"], ["host b"])
    assert [line for line in lines if line not in ours] == [
        "# What other roles of the play need.", "host a", "# What other roles of the play need.", "host b",
    ]  # fmt: skip
    assert lines.index("host a") < lines.index(next(line for line in ours if line.startswith("# database")))
