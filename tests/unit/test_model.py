"""What the short form means: every kind, every default."""

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import pooler
from ansible_collections.pgstead.platform.plugins.plugin_utils import model, shape

SHOP = {
    "name": "shop",
    "roles": [
        {"name": "app"},
        {"name": "migrator", "kind": "migrator"},
        {"name": "reports", "kind": "readonly"},
        {"name": "audit", "kind": "custom"},
    ],
}


def expanded_role(entry: dict[str, Any], **database: Any) -> dict[str, Any]:
    roles = model.expand([{"name": "shop", "roles": [{"name": "app"} | entry], **database}], [])["roles"]
    return next(role for role in roles if role["name"] == "app")


def rights(tables: list[str], sequences: list[str], functions: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [{"schema": "public", "tables": tables, "sequences": sequences, "functions": list(functions)}]


@pytest.mark.parametrize(
    ("kind", "endpoints", "privileges", "settings"),
    [
        ("app", ["pooled"], rights(["SELECT", "INSERT", "UPDATE", "DELETE"], ["USAGE"], ("EXECUTE",)), {}),
        ("migrator", ["direct"], [], {"role": "shop_owner"}),
        ("readonly", ["pooled", "direct"], rights(["SELECT"], []), {"default_transaction_read_only": "on"}),
        ("custom", ["direct"], [], {}),
    ],
)
def test_a_kind_is_exactly_these_rights(
    kind: str, endpoints: list[str], privileges: list[dict[str, Any]], settings: dict[str, str]
) -> None:
    role = expanded_role({"kind": kind})
    assert (role["endpoints"], role["privileges"], role["settings"]) == (endpoints, privileges, settings)
    assert role["attributes"] == []
    assert role["login"] is True


def test_only_the_migrator_can_become_the_owner_and_has_no_right_of_its_own() -> None:
    roles = model.expand([SHOP], [])["roles"]
    assert {role["name"]: role["memberships"] for role in roles if role["memberships"]} == {
        "migrator": [{"role": "shop_owner", "inherit": False, "set": True, "admin": False}]
    }


def test_the_owner_role_never_logs_in_and_comes_before_the_roles_that_need_it() -> None:
    roles = model.expand([SHOP], [])["roles"]
    owner = roles[0]
    assert (owner["name"], owner["login"], owner["endpoints"], owner["privileges"]) == ("shop_owner", False, [], [])
    assert [role["name"] for role in roles] == ["shop_owner", "app", "migrator", "reports", "audit"]


def test_an_owner_of_two_databases_is_one_role() -> None:
    both = model.expand([{"name": "a", "owner": "o"}, {"name": "b", "owner": "o"}], [])
    assert [role["name"] for role in both["roles"]] == ["o"]


NO_POOL_OPTIONS = {"min_pool_size": None, "max_db_client_connections": None, "connect_query": ""}


def test_a_database_has_every_default_and_keeps_what_is_declared() -> None:
    declared = {
        "name": "b",
        "owner": "o",
        "extensions": ["vector", {"name": "pg_trgm", "schema": "ext"}],
        "schemas": ["s", {"name": "t", "owner": "u"}],
        "pool": {"size": 3, "min_pool_size": 2, "connect_query": None},
        "settings": {"jit": False},
    }
    bare, full = model.expand([{"name": "a"}, declared], [])["databases"]
    assert bare == {
        "name": "a", "owner": "a_owner", "encoding": "UTF8", "locale": "", "connection_limit": -1, "settings": {},
        "extensions": [], "schemas": [{"name": "public", "owner": ""}], "roles": [],
        "schema_project": "", "tenancy": None,
        "pool": {"mode": "transaction", "size": 25, "reserve": 5, **NO_POOL_OPTIONS},
    }  # fmt: skip
    assert full["extensions"] == [
        {"name": "vector", "schema": "", "version": ""},
        {"name": "pg_trgm", "schema": "ext", "version": ""},
    ]
    assert full["schemas"] == [{"name": "s", "owner": ""}, {"name": "t", "owner": "u"}]
    assert full["pool"] == {"mode": "transaction", "size": 3, "reserve": 5} | NO_POOL_OPTIONS | {"min_pool_size": 2}
    assert full["settings"] == {"jit": "off"}


def test_expanding_leaves_the_defaults_themselves_alone() -> None:
    model.expand(
        [{"name": "a", "pool": {"size": 1}, "roles": [{"name": "r", "kind": "readonly", "settings": {"x.y": 1}}]}], []
    )
    assert model.expand([{"name": "a"}], [])["databases"][0]["pool"]["size"] == 25
    assert "x.y" not in expanded_role({"kind": "readonly"})["settings"]


@pytest.mark.parametrize(
    ("entry", "key", "value"),
    [
        ({}, "secret", "app"),
        ({"secret": "shared"}, "secret", "shared"),
        ({"login": False}, "endpoints", []),
        ({"login": False, "endpoints": ["pooled"]}, "endpoints", []),
        ({"endpoints": ["direct"]}, "endpoints", ["direct"]),
        ({"kind": "custom", "attributes": ["createdb", "BYPASSRLS"]}, "attributes", ["BYPASSRLS", "CREATEDB"]),
        ({"valid_until": None}, "valid_until", ""),
        ({"member_of": ["g"]}, "memberships", [{"role": "g", "inherit": True, "set": True, "admin": False}]),
        ({"member_of": [{"role": "g", "set": False}]}, "memberships",
         [{"role": "g", "inherit": True, "set": False, "admin": False}]),
        ({"privileges": [{"tables": ["SELECT"]}]}, "privileges", rights(["SELECT"], [])),
        ({"privileges": []}, "privileges", []),
        ({"kind": "readonly", "settings": {"default_transaction_read_only": False}}, "settings",
         {"default_transaction_read_only": "off"}),
    ],
)  # fmt: skip
def test_what_is_declared_wins_over_the_kind(entry: dict[str, Any], key: str, value: Any) -> None:
    assert expanded_role(entry)[key] == value


def test_rights_of_a_kind_cover_every_declared_schema_and_no_other() -> None:
    role = expanded_role({}, schemas=["shop", {"name": "audit"}])
    assert [item["schema"] for item in role["privileges"]] == ["shop", "audit"]


def test_a_cluster_role_belongs_to_no_database_and_comes_in_directly() -> None:
    operator, staff = model.expand([], [{"name": "operator"}, {"name": "staff", "login": False}])["roles"]
    assert (operator["kind"], operator["database"], operator["endpoints"]) == ("cluster", "", ["direct"])
    assert staff["endpoints"] == []
    assert [role["name"] for role in model.login_roles({"roles": [operator, staff]})] == ["operator"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "on"), (False, "off"), (4, "4"), (1.1, "1.1"), (["a", "b"], "a, b"), ([], ""), ("64MB", "64MB"), (0, "0")],
)
def test_settings_are_written_as_postgresql_writes_them(value: Any, text: str) -> None:
    assert model.setting_text(value) == text


DIRECT = {"name": "depot", "roles": [{"name": "d", "kind": "custom"}], "pool": {"size": 7}}
CLUSTER_POOLED = [{"name": "operator", "endpoints": ["pooled"]}]


@pytest.mark.parametrize(
    ("databases", "cluster_roles", "pooled", "demand"),
    [
        ([SHOP], [], ["shop"], 30),
        ([SHOP, DIRECT], [], ["shop"], 30),
        ([SHOP | {"pool": {"size": 10, "reserve": 0}}], [], ["shop"], 10),
        ([DIRECT], [], [], 0),
        ([DIRECT], CLUSTER_POOLED, ["depot"], 12),
        ([SHOP, DIRECT], CLUSTER_POOLED, ["shop", "depot"], 42),
        ([], CLUSTER_POOLED, [], 0),
    ],
)
def test_the_pooler_serves_and_demands_connections_for_databases_that_somebody_reaches_through_it(
    databases: list[dict[str, Any]], cluster_roles: list[dict[str, Any]], pooled: list[str], demand: int
) -> None:
    expanded = model.expand(databases, cluster_roles)
    assert [database["name"] for database in pooler.pooled_databases(expanded)] == pooled
    assert pooler.backend_demand(expanded) == demand


@pytest.mark.parametrize(
    ("spelling", "plain"),
    [
        ({"pool": {"size": "7"}}, {"pool": {"size": 7}}),
        ({"pool": {"size": None, "mode": None}}, {}),
        ({"connection_limit": "5"}, {"connection_limit": 5}),
        ({"connection_limit": None}, {}),
        ({"roles": [{"name": "app", "connection_limit": "5"}]}, {"roles": [{"name": "app", "connection_limit": 5}]}),
        ({"roles": [{"name": "app", "login": "no"}]}, {"roles": [{"name": "app", "login": False}]}),
        ({"roles": [{"name": "app", "login": None, "kind": None, "connection_limit": None}]}, {}),
    ],
    ids=["size", "no size", "limit", "no limit", "limit of a role", "login", "nothing of a role"],
)
def test_every_spelling_that_the_schema_lets_through_means_the_same(
    options: dict[str, Any], spelling: dict[str, Any], plain: dict[str, Any]
) -> None:
    databases = [{"name": "shop", "roles": [{"name": "app"}]} | spelling]
    if shape.check({"databases": databases, "secrets": {}}, options):
        return  # refused: nothing to understand
    expected = model.expand([{"name": "shop", "roles": [{"name": "app"}]} | plain], [])
    found = model.expand(databases, [])
    assert pooler.backend_demand(found) == pooler.backend_demand(expected)
    for got, wanted in zip(found["databases"] + found["roles"], expected["databases"] + expected["roles"], strict=True):
        assert {**got, "roles": []} == {**wanted, "roles": []}
