"""Contradictions: each is refused with its place and the way out, and its counterpart passes."""

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.plugin_utils import declaration, rooms, shape

PASSWORD = "correct horse battery"
SECRETS = dict.fromkeys(("shop_app", "shop_migrator", "pgbouncer_stats", "scram_salt_key"), PASSWORD)
SHOP = {"name": "shop", "roles": [{"name": "shop_app"}, {"name": "shop_migrator", "kind": "migrator"}]}


TENANCY = {"table": "shops", "column": "shop_id"}


SIGNED = {"secrets": SECRETS | {"shop_tenant_token": PASSWORD.replace(" ", "-")}}


def tenants(*roles: dict[str, Any], **other: Any) -> dict[str, Any]:
    """The same with tenancy."""
    values = declared(*roles)
    return values | {"databases": [values["databases"][0] | {"tenancy": TENANCY} | other]}


def declared(*roles: dict[str, Any], secrets: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
    """A right declaration, with what a test adds to it: roles of the database shop, secrets, variables."""
    shop = SHOP | {"roles": [*SHOP["roles"], *roles]}
    return {"databases": [shop], "secrets": SECRETS | {r["name"]: PASSWORD for r in roles} | (secrets or {}), **other}


def told(problems: Any) -> list[str]:
    return [str(problem) for problem in problems]


CONSISTENT = {
    "one database": declared(),
    "nothing but what the pooler needs": {"secrets": SECRETS},
    "rights of a custom role": declared({"name": "auditor", "kind": "custom", "attributes": ["BYPASSRLS"]}),
    "a group without password": declared({"name": "staff", "login": False}, secrets={"staff": None}),
    "rights on a declared schema": {
        "databases": [SHOP | {"schemas": ["public", {"name": "audit"}], "roles": [
            {"name": "shop_app", "privileges": [{"schema": "audit", "tables": ["SELECT"]}]}]}],
        "secrets": SECRETS,
    },
    "two databases of one owner": {
        "databases": [SHOP, {"name": "depot", "owner": "shop_owner"}], "secrets": SECRETS},
    "an owner's name that just fits": {"databases": [SHOP | {"name": "s" * 57}], "secrets": SECRETS},
    "a long name with an owner": {"databases": [SHOP | {"name": "s" * 63, "owner": "boss"}], "secrets": SECRETS},
    "an owner that is a group": declared(cluster_roles=[{"name": "shop_owner", "login": "no"}]),
    "a secret of twelve characters": declared(secrets={"shop_app": "abcdefghijkl"}),
    "just enough connections": declared(postgresql_max_connections=53),
    "connections by a setting": declared(postgresql_settings={"max_connections": "53"}, postgresql_max_connections=10),
    "connections as PostgreSQL will read them": declared(postgresql_settings={"max_connections": "53kB"}),
    "a mirror with address and key": declared(
        postgresql_source="mirror", postgresql_mirror_uri="http://m", postgresql_mirror_key="m.asc"),
    "a project, and who deploys it": {
        "databases": [SHOP | {"schema_project": "schemas/autolytiq"}], "secrets": SECRETS},
    "tenants, and whose rows a reader sees": tenants({"name": "r", "kind": "readonly", "reach": "tenant"}),
    "a group that nothing is wrong with": tenants({"name": "clerk", "kind": "app", "member_of": ["authenticated"]}),
    "a role for everybody's rows, kept out of the pool": tenants(
        {"name": "dumper", "kind": "custom", "attributes": ["BYPASSRLS"]}),
    "tenants by tokens, with a key": tenants(tenancy=TENANCY | {"token": True}) | {
        "secrets": SECRETS | {"shop_tenant_token": "abcDEF123+/=_-"}},
    "tenants by tokens, fully isolated": tenants(tenancy=TENANCY | {"token": True}) | SIGNED | {
        "pgbouncer_isolation": "full", "pgbouncer_settings": {"log_connections": 1}},
    "tenants, the least": tenants() | {"pgbouncer_isolation": "cursors"},
    "tenants, and a reset of one's own": tenants() | {"pgbouncer_settings": {"server_reset_query": "DISCARD ALL"}},
    "nothing cleared, without tenants": {"databases": [SHOP | {"pool": {"mode": "session"}}], "secrets": SECRETS} | {
        "pgbouncer_isolation": "none"},
    "tokens that do not come through the pool": tenants() | SIGNED | {"pgbouncer_isolation": "none", "databases": [
        {"name": "shop", "tenancy": TENANCY | {"token": True}, "roles": [SHOP["roles"][1]]}]},
    "a minor of the version": declared(postgresql_version=17, postgresql_minor="17.5"),
}  # fmt: skip


@pytest.mark.parametrize("values", CONSISTENT.values(), ids=CONSISTENT)
def test_a_consistent_declaration_passes(values: dict[str, Any]) -> None:
    assert told(declaration.problems(values, rooms.own())) == []


CONTRADICTORY = {
    "an owner whose name PostgreSQL would cut": (
        {"databases": [SHOP | {"name": "s" * 58}], "secrets": SECRETS},
        f"databases[0].owner: found '{'s' * 58}_owner', 64 bytes, made of the database's name; "
        "write owner: explicitly, at most 63 bytes",
    ),
    "an owner that is a cluster role and logs in": (
        declared(cluster_roles=[{"name": "shop_owner"}], secrets={"shop_owner": PASSWORD}),
        "databases[0].owner: found 'shop_owner'; it is a cluster role that logs in, an owner never does: "
        "write login: false there",
    ),
    "tokens without a key": (
        tenants(tenancy=TENANCY | {"token": True}),
        "secrets.shop_tenant_token: found nothing; it is the key that tenant tokens of database shop are signed with; "
        "set it with: ansible-vault edit <inventory>/group_vars/all/vault.yml",
    ),
    "a key that a .env file would change": (
        tenants(tenancy=TENANCY | {"token": True}) | {"secrets": SECRETS | {"shop_tenant_token": "a key with $PATH"}},
        "secrets.shop_tenant_token: found characters that a .env file takes otherwise; write letters, digits, +/=_-; "
        "set it with: ansible-vault edit <inventory>/group_vars/all/vault.yml",
    ),
    "a project that nobody deploys": (
        {
            "databases": [SHOP | {"schema_project": "schemas/autolytiq", "roles": [{"name": "shop_app"}]}],
            "secrets": SECRETS,
        },
        "databases[0].roles: found no role of kind migrator; a project is deployed by the migrator; add one:",
    ),
    "tokens, and prepared statements left behind": (
        tenants(tenancy=TENANCY | {"token": True}) | SIGNED | {"pgbouncer_isolation": "session"},
        "pgbouncer_isolation: found 'session' with tenancy.token in 'shop'; write full, or take it out: ",
    ),
    "tokens, and a reset of one's own": (
        tenants(tenancy=TENANCY | {"token": True}) | SIGNED | {"pgbouncer_settings": {"server_reset_query_always": 0}},
        "pgbouncer_settings.server_reset_query_always: found 0 with tenancy.token in 'shop'; take it out; ",
    ),
    "tenants, and nothing cleared": (
        tenants() | {"pgbouncer_isolation": "none"},
        "pgbouncer_isolation: found 'none' with tenancy in 'shop'; write session, or at least cursors: ",
    ),
    "sessions that begin with what others left": (
        {"databases": [SHOP | {"pool": {"mode": "session"}}], "secrets": SECRETS, "pgbouncer_isolation": "session"},
        "pgbouncer_isolation: found 'session' with pool.mode session in 'shop'; write full: ",
    ),
    "a reader whose reach is not said": (
        tenants({"name": "r", "kind": "readonly"}),
        "databases[0].roles[2].reach: found nothing; write reach: tenant",
    ),
    "a reach without tenants": (
        declared({"name": "r", "kind": "readonly", "reach": "tenant"}),
        "databases[0].roles[2].reach: found 'tenant'; only a kind: readonly role of a database with tenancy has one",
    ),
    "the app's reach": (
        tenants({"name": "r", "reach": "all_tenants"}),
        "databases[0].roles[2].reach: found 'all_tenants'; only a kind: readonly role",
    ),
    "everybody's rows through the pool": (
        tenants({"name": "r", "kind": "custom", "attributes": ["BYPASSRLS"], "endpoints": ["pooled"]}),
        "databases[0].roles[2].endpoints: found pooled; it sees every tenant's rows",
    ),
    "an app that acts as the owner": (
        tenants({"name": "r", "member_of": ["shop_owner"]}),
        "databases[0].roles[2].member_of[0]: found 'shop_owner'; it owns the tables, so no policy would bind this role",
    ),
    "an app that may become a role beyond policies": (
        tenants(
            {"name": "d", "kind": "custom", "attributes": ["BYPASSRLS"]}, {"name": "r", "member_of": [{"role": "d"}]}
        ),
        "databases[0].roles[3].member_of[0]: found 'd'; it has BYPASSRLS",
    ),
    "the schema of the functions among one's own": (
        tenants(schemas=["public", "app"]),
        "databases[0].schemas: found 'app'; take it out of schemas",
    ),
    "a database twice": (
        {"databases": [SHOP, {"name": "shop"}], "secrets": SECRETS},
        "databases: found 'shop' 2 times",
    ),
    "a role twice": (
        declared({"name": "shop_app"}),
        "databases[0].roles[2].name: found 'shop_app'; already declared at databases[0].roles[0]",
    ),
    "a cluster role twice": (
        declared(cluster_roles=[{"name": "shop_app"}]),
        "cluster_roles[0].name: found 'shop_app'; already declared at databases[0].roles[0]",
    ),
    "an owner that logs in": (
        declared({"name": "shop_owner"}),
        "databases[0].roles[2].name: found 'shop_owner'; it is the owner of databases[0]",
    ),
    "attributes of an app role": (
        declared({"name": "auditor", "attributes": ["BYPASSRLS"]}),
        "databases[0].roles[2].attributes: found ['BYPASSRLS']; kind app has none beyond LOGIN; write kind: custom",
    ),
    "rights on an undeclared schema": (
        declared({"name": "auditor", "privileges": [{"schema": "audit"}]}),
        "databases[0].roles[2].privileges[0].schema: found 'audit'; write one of the database's schemas: public",
    ),
    "a missing secret": (
        declared(secrets={"shop_app": None}),
        "secrets.shop_app: found nothing; it is the password of role shop_app; set it with: ansible-vault edit",
    ),
    "a missing secret of another name": (
        declared({"name": "auditor", "secret": "shared"}),
        "secrets.shared: found nothing; it is the password of role auditor",
    ),
    "a missing salt key": (declared(secrets={"scram_salt_key": ""}), "secrets.scram_salt_key: found nothing"),
    "a missing statistics password": (
        declared(secrets={"pgbouncer_stats": ""}),
        "secrets.pgbouncer_stats: found nothing",
    ),
    "a short secret": (declared(secrets={"shop_app": "abcdefghijk"}), "secrets.shop_app: found 11 characters"),
    "a secret without quotes": (declared(secrets={"shop_app": 123456789012}), "secrets.shop_app: found "),
    "a placeholder": (declared(secrets={"shop_app": "Replace_Me "}), "secrets.shop_app: found a placeholder"),
    "a long placeholder": (declared(secrets={"shop_app": "secure_password"}), "secrets.shop_app: found a placeholder"),
    "one connection short": (
        declared(postgresql_max_connections=52),
        "postgresql_max_connections: found 52; write at least 53 (30 for the pools with their reserves + 20 direct",
    ),
    "one connection short by a setting": (
        declared(postgresql_settings={"max_connections": 52}, postgresql_max_connections=1000),
        "postgresql_settings.max_connections: found 52; write at least 53",
    ),
    "a mirror without address": (
        declared(postgresql_source="mirror", postgresql_mirror_key="m.asc"),
        "postgresql_mirror_uri: found nothing; postgresql_source: mirror needs it",
    ),
    "a mirror without key": (
        declared(postgresql_source="mirror", postgresql_mirror_uri="http://m"),
        "postgresql_mirror_key: found nothing; postgresql_source: mirror needs it",
    ),
    "limits of a role that the pooler does not serve": (
        declared(pgbouncer_users={"shop_app": {}, "shop_migrator": {}}),
        "pgbouncer_users.shop_migrator: found no role of the pooler's; write a role that has the endpoint pooled",
    ),
    "a minor of another version": (
        declared(postgresql_version=16, postgresql_minor="17.5"),
        "postgresql_minor: found '17.5'; write a minor version of 16",
    ),
}


@pytest.mark.parametrize(("values", "said"), CONTRADICTORY.values(), ids=CONTRADICTORY)
def test_a_contradiction_is_told_alone_and_with_its_way_out(values: dict[str, Any], said: str) -> None:
    (problem,) = told(declaration.problems(values, rooms.own()))
    assert problem.startswith(said)


# ---- where something is wrong already --------------------------------------------------------------------


def kept(options: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What is left to check of a declaration that the schema finds fault with."""
    defaults = {"databases": [], "cluster_roles": [], "postgresql_port": 5432}
    return declaration.sound(values, shape.check(values, options), defaults)


def test_what_is_right_is_checked_on_beside_what_is_wrong(options: dict[str, Any]) -> None:
    bad = {"name": "bad", "pool": {"size": 0}}
    values = {"databases": [SHOP, bad], "secrets": SECRETS, "postgresql_port": 0, "postgresql_source": "mirror"}
    left = kept(options, values)
    assert left["postgresql_port"] == 5432
    assert left["databases"][0] == SHOP
    assert "pool" not in left["databases"][1]
    assert [p.path for p in declaration.problems(left, rooms.own())] == [
        "postgresql_mirror_uri",
        "postgresql_mirror_key",
    ]


def test_an_unknown_key_takes_nothing_else_with_it(options: dict[str, Any]) -> None:
    values = {"databases": [SHOP | {"pol": {}}], "secrets": SECRETS}
    assert kept(options, values)["databases"] == values["databases"]


def test_secrets_of_the_wrong_form_are_no_missing_secrets(options: dict[str, Any]) -> None:
    left = kept(options, {"databases": [SHOP], "secrets": "none"})
    assert told(declaration.problems(left, rooms.own())) == []


def test_a_problem_keeps_its_place_beside_what_is_wrong_before_it(options: dict[str, Any]) -> None:
    bad = {"name": "bad", "pool": {"size": 0}}
    auditor = {"name": "shop_app", "attributes": ["BYPASSRLS"]}
    left = kept(options, {"databases": [bad, SHOP | {"roles": [auditor]}], "secrets": SECRETS})
    assert [problem.path for problem in declaration.problems(left, rooms.own())] == ["databases[1].roles[0].attributes"]


def test_every_contradiction_is_told_at_once_and_no_secret_with_it() -> None:
    values = declared({"name": "shop_app"}, secrets={"shop_app": "hunter2", "shop_migrator": ""})
    found = told(declaration.problems(values | {"postgresql_source": "mirror"}, rooms.own()))
    assert len(found) == 5
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    ("name", "platform", "said"),
    [
        ("databses", True, "did you mean databases?"),
        ("databses", False, "did you mean databases? If it is your own, add it to preflight_ignore"),
        ("zebra", True, "no role has this input"),
        ("postgresql_prot", False, "did you mean postgresql_port?"),
        ("postgresql_qqqqqqqqqqqqqqq", False, "no role has this input"),
    ],
)
def test_a_misspelt_variable_is_found(options: dict[str, Any], name: str, platform: bool, said: str) -> None:
    names = {"names": [name], "platform_names": [name] if platform else []}
    found = declaration.unknown_variables(
        **names, known=list(options), prefixes=["postgresql_", "pgbouncer_"], ignore=[]
    )
    assert told(found) == [f"{name}: found an unknown variable; {said}"]


@pytest.mark.parametrize("name", ["databases", "zebra", "my_databases", "databases_of_mine", "app_secrets"])
def test_a_variable_of_ones_own_is_left_alone(options: dict[str, Any], name: str) -> None:
    found = declaration.unknown_variables([name], [], list(options), ["postgresql_"], [])
    assert told(found) == []


def test_a_variable_that_is_vouched_for_is_left_alone(options: dict[str, Any]) -> None:
    assert told(declaration.unknown_variables(["databses"], ["databses"], list(options), [], ["databses"])) == []
