"""The planner, on plain data: nothing to do where everything is as declared, and one step for one difference."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import reconcile
from ansible_collections.pgstead.platform.plugins.plugin_utils import model

State = dict[str, Any]
VERIFIER = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy"
OTHER = "SCRAM-SHA-256$8192:b3RoZXI=$a2V5:a2V5"

DATABASES = [
    {
        "name": "shop",
        "extensions": ["vector", {"name": "pg_trgm", "version": 1.6}],
        "schemas": ["public", {"name": "audit"}],
        "settings": {"statement_timeout": "30s", "TimeZone": "UTC"},
        "roles": [
            {"name": "app", "settings": {"search_path": ["public", "audit"]}},
            {"name": "mig", "kind": "migrator"},
            {"name": "rep", "kind": "readonly", "valid_until": "2027-01-31", "member_of": ["staff"]},
        ],
    }
]
CLUSTER = [{"name": "staff", "login": False}, {"name": "operator", "attributes": ["CREATEDB"]}]


def declared(databases: list[State] | None = None, cluster: list[State] | None = None) -> State:
    """The expanded declaration, with a verifier for everyone who comes in directly, as the action plugin adds it."""
    databases, cluster = DATABASES if databases is None else databases, CLUSTER if cluster is None else cluster
    expanded = model.expand(copy.deepcopy(databases), copy.deepcopy(cluster))
    for role in expanded["roles"]:
        role["verifier"] = VERIFIER if "direct" in role["endpoints"] else ""
    return expanded


def bootstrap(version: int = 16) -> State:
    """What a fresh instance holds."""
    empty = ("memberships", "settings", "database_grants", "parameter_grants", "dependencies", "valid_until")
    found: State = {name: [] for name in empty}
    postgres = {"name": "postgres", "login": True, "attributes": ["SUPERUSER"], "inherit": True, "connection_limit": -1,
                "valid_until": "", "verifier": None, "comment": "", "is_bootstrap": True}  # fmt: skip
    return found | {"version": version, "roles": [postgres], "databases": [{"name": "postgres", "owner": "postgres"}]}


PUBLIC_USES_PUBLIC = {"schema": "public", "grantee": "", "privilege": "USAGE"}
PLPGSQL = {"name": "plpgsql", "version": "1.0", "schema": "pg_catalog"}


def applied(desired: State, version: int = 16) -> State:
    """What the server reports once everything declared is there."""
    found = bootstrap(version)
    found["valid_until"] = [{"declared": "2027-01-31", "meant": "2027-01-31 00:00:00+00"}]
    meant = {"2027-01-31": "2027-01-31 00:00:00+00"}
    for role in desired["roles"]:
        inherits = version >= 16 or all(item["inherit"] for item in role["memberships"])
        found["roles"].append({
            "name": role["name"], "login": role["login"], "attributes": role["attributes"], "inherit": inherits,
            "connection_limit": role["connection_limit"], "valid_until": meant.get(role["valid_until"], ""),
            "verifier": role["verifier"] or None, "comment": "", "is_bootstrap": False,
        })  # fmt: skip
        before_16 = {"inherit": True, "set": True} if version < 16 else {}
        found["memberships"] += [
            item | before_16 | {"member": role["name"], "grantor": "postgres"} for item in role["memberships"]
        ]
        found["settings"] += [
            {"role": role["name"], "database": role["database"], "name": name, "value": value}
            for name, value in role["settings"].items()
        ]
    found["inside"] = {}
    for database in desired["databases"]:
        name, owner = database["name"], database["owner"]
        found["databases"].append({key: database[key] for key in ("name", "owner", "encoding", "connection_limit")}
                                  | {"locale": "C.UTF-8"})  # fmt: skip
        found["settings"] += [
            {"role": "", "database": name, "name": key, "value": value} for key, value in database["settings"].items()
        ]
        # As in roles/postgresql/files/sql/observe-*.sql, an owner's rights on what it owns are not listed.
        found["database_grants"] += [
            {"database": name, "grantee": role["name"], "privilege": "CONNECT"}
            for role in desired["roles"]
            if role["login"] and role["database"] in ("", name) and role["name"] != owner
        ]
        public = {"public": "pg_database_owner"}
        owners = {item["name"]: item["owner"] or owner for item in database["schemas"]} | public
        rights = [
            (role["name"], item) for role in desired["roles"] if role["database"] == name for item in role["privileges"]
        ]
        found["inside"][name] = {
            "schemas": [{"name": schema, "owner": whose} for schema, whose in owners.items()],
            "extensions": [PLPGSQL] + [
                {"name": item["name"], "version": str(item["version"] or "0.8.0"), "schema": "public"}
                for item in database["extensions"]],
            "schema_grants": [PUBLIC_USES_PUBLIC] + [
                {"schema": item["schema"], "grantee": role, "privilege": "USAGE"}
                for role, item in rights if owners[item["schema"]] != role],
            "object_grants": [],
            "default_grants": [
                {"schema": item["schema"], "kind": kind, "creator": owner, "grantee": role, "privilege": privilege}
                for role, item in rights
                for kind, key in (("TABLE", "tables"), ("SEQUENCE", "sequences"), ("ROUTINE", "functions"))
                for privilege in item[key]],
        }  # fmt: skip
    return found


def plan(desired: State, observed: State, decisions: dict[str, str] | None = None) -> list[reconcile.Step]:
    """Every step, in the order in which the module runs them."""
    steps = reconcile.cluster(desired, observed, decisions or {})
    for database in desired["databases"]:
        fresh = reconcile.fresh_database(desired, database, observed["version"])
        steps += reconcile.database(desired, database, observed.get("inside", {}).get(database["name"], fresh))
    return steps + reconcile.stale_roles(desired, observed)


def row(rows: list[State], **keys: Any) -> State:
    """The one row with these values."""
    (found,) = [item for item in rows if keys.items() <= item.items()]
    return found


def without(rows: list[State], **keys: Any) -> None:
    rows.remove(row(rows, **keys))


@pytest.mark.parametrize("version", [15, 16, 17, 18])
def test_where_everything_is_as_declared_nothing_is_to_do(version: int) -> None:
    assert plan(declared(), applied(declared(), version)) == []


def test_an_empty_instance_gets_everything_in_an_order_that_works() -> None:
    shop = [{"name": "shop", "extensions": ["vector"], "roles": [{"name": "app"}, {"name": "mig", "kind": "migrator"}]}]
    steps = plan(declared(shop, []), bootstrap())
    plain = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT CONNECTION LIMIT -1"
    role = f"{plain} VALID UNTIL 'infinity'"
    writers = ", ".join(reconcile.writers(16))
    defaults = 'ALTER DEFAULT PRIVILEGES FOR ROLE "shop_owner" IN SCHEMA "public" GRANT'
    assert [(step.database, step.sql) for step in steps] == [
        ("", f'CREATE ROLE "shop_owner" NOLOGIN {role}'),
        ("", f'CREATE ROLE "app" LOGIN {role}'),
        ("", f"CREATE ROLE \"mig\" LOGIN {role} PASSWORD '{VERIFIER}'"),
        ("", 'GRANT "shop_owner" TO "mig" WITH ADMIN FALSE, INHERIT FALSE, SET TRUE'),
        ("", 'CREATE DATABASE "shop" OWNER "shop_owner" TEMPLATE template0 ENCODING \'UTF8\' CONNECTION LIMIT -1'),
        ("", 'GRANT CONNECT ON DATABASE "shop" TO "app"'),
        ("", 'GRANT CONNECT ON DATABASE "shop" TO "mig"'),
        ("", 'REVOKE CONNECT ON DATABASE "shop" FROM PUBLIC'),
        ("", 'REVOKE TEMPORARY ON DATABASE "shop" FROM PUBLIC'),
        ("", 'ALTER ROLE "mig" IN DATABASE "shop" SET role TO \'shop_owner\''),
        ("shop", f'SET LOCAL search_path = public; CREATE EXTENSION "vector"; {reconcile.PATH}'),
        ("shop", 'GRANT USAGE ON SCHEMA "public" TO "app"'),
        ("shop", f'GRANT EXECUTE ON ROUTINE {writers} TO "shop_owner"'),
        ("shop", f'GRANT EXECUTE ON ROUTINE {writers} TO "app"'),
        ("shop", f"REVOKE EXECUTE ON ROUTINE {writers} FROM PUBLIC"),
        ("shop", f'{defaults} EXECUTE ON FUNCTIONS TO "app"'),
        ("shop", f'{defaults} USAGE ON SEQUENCES TO "app"'),
        ("shop", f'{defaults} DELETE, INSERT, SELECT, UPDATE ON TABLES TO "app"'),
        ("shop", 'ALTER DEFAULT PRIVILEGES FOR ROLE "shop_owner" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC'),
    ]
    assert [step.sql.split()[1] for step in steps if step.alone] == ["DATABASE"]
    assert not any(step.prune for step in steps)
    assert not any(VERIFIER in step.before + step.after + step.object for step in steps)


def test_everything_declared_and_nothing_there_needs_no_pruning() -> None:
    assert not [step for step in plan(declared(), bootstrap()) if step.prune or not step.sql]


# What is found otherwise than declared -> the one step, and whether it only runs where pruning is asked for.
# A step without statement is only reported.
DIFFERENCES: dict[str, tuple[Callable[[State], Any], str, bool]] = {
    "a role is missing": (
        lambda s: without(s["roles"], name="staff"),
        'CREATE ROLE "staff" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT'
        " CONNECTION LIMIT -1 VALID UNTIL 'infinity'", False),
    "a role cannot log in": (
        lambda s: row(s["roles"], name="app").update(login=False), 'ALTER ROLE "app" LOGIN', False),
    "a group logs in": (
        lambda s: row(s["roles"], name="staff").update(login=True), 'ALTER ROLE "staff" NOLOGIN', False),
    "a role is superuser": (
        lambda s: row(s["roles"], name="app").update(attributes=["SUPERUSER"]), 'ALTER ROLE "app" NOSUPERUSER', False),
    "an attribute is missing": (
        lambda s: row(s["roles"], name="operator").update(attributes=[]), 'ALTER ROLE "operator" CREATEDB', False),
    "two things about a role": (
        lambda s: row(s["roles"], name="app").update(connection_limit=3, inherit=False),
        'ALTER ROLE "app" INHERIT CONNECTION LIMIT -1', False),
    "an expiry that is not declared": (
        lambda s: row(s["roles"], name="app").update(valid_until="2026-01-01 00:00:00+00"),
        "ALTER ROLE \"app\" VALID UNTIL 'infinity'", False),
    "no expiry where one is declared": (
        lambda s: row(s["roles"], name="rep").update(valid_until=""),
        "ALTER ROLE \"rep\" VALID UNTIL '2027-01-31 00:00:00+00'", False),
    "a role without password": (
        lambda s: row(s["roles"], name="mig").update(verifier=None),
        f"ALTER ROLE \"mig\" PASSWORD '{VERIFIER}'", False),
    "another password": (
        lambda s: row(s["roles"], name="rep").update(verifier=OTHER),
        f"ALTER ROLE \"rep\" PASSWORD '{VERIFIER}'", False),
    "an md5 password": (
        lambda s: row(s["roles"], name="mig").update(verifier="md5" + "0" * 32),
        f"ALTER ROLE \"mig\" PASSWORD '{VERIFIER}'", False),
    "a password of who comes through the pooler alone": (
        lambda s: row(s["roles"], name="app").update(verifier=OTHER), 'ALTER ROLE "app" PASSWORD NULL', False),
    "a password of a group": (
        lambda s: row(s["roles"], name="staff").update(verifier=OTHER), 'ALTER ROLE "staff" PASSWORD NULL', False),
    "an undeclared role": (
        lambda s: s["roles"].append(row(s["roles"], name="app") | {"name": "gone"}), 'DROP ROLE "gone"', True),
    "a membership is missing": (
        lambda s: without(s["memberships"], member="rep"),
        'GRANT "staff" TO "rep" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE', False),
    "a membership has more rights": (
        lambda s: row(s["memberships"], member="mig").update(inherit=True),
        'GRANT "shop_owner" TO "mig" WITH ADMIN FALSE, INHERIT FALSE, SET TRUE', False),
    "a membership has more rights by another's grant": (
        lambda s: s["memberships"].append(row(s["memberships"], member="mig") | {"inherit": True, "grantor": "x"}),
        'REVOKE INHERIT OPTION FOR "shop_owner" FROM "mig" GRANTED BY "x" CASCADE', False),
    "a membership that somebody else granted alone": (
        lambda s: row(s["memberships"], member="rep").update(grantor="operator"),
        'GRANT "staff" TO "rep" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE', False),
    "a membership has fewer rights": (
        lambda s: row(s["memberships"], member="rep").update(set=False),
        'GRANT "staff" TO "rep" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE', False),
    "an undeclared membership": (
        lambda s: s["memberships"].append(row(s["memberships"], member="rep") | {"member": "app", "grantor": "x"}),
        'REVOKE "staff" FROM "app" GRANTED BY "x" CASCADE', True),
    "an undeclared membership in PostgreSQL's own group": (
        lambda s: s["memberships"].append(row(s["memberships"], member="rep") | {"role": "pg_read_all_data"}),
        'REVOKE "pg_read_all_data" FROM "rep" GRANTED BY "postgres" CASCADE', True),
    "another owner": (
        lambda s: row(s["databases"], name="shop").update(owner="app"),
        'ALTER DATABASE "shop" OWNER TO "shop_owner"', False),
    "another limit": (
        lambda s: row(s["databases"], name="shop").update(connection_limit=5),
        'ALTER DATABASE "shop" CONNECTION LIMIT -1', False),
    "another encoding": (lambda s: row(s["databases"], name="shop").update(encoding="LATIN1"), "", False),
    "an undeclared database": (
        lambda s: s["databases"].append(row(s["databases"], name="shop") | {"name": "old"}), "", True),
    "a right to connect is missing": (
        lambda s: without(s["database_grants"], grantee="rep"), 'GRANT CONNECT ON DATABASE "shop" TO "rep"', False),
    "everybody connects": (
        lambda s: s["database_grants"].append({"database": "shop", "grantee": "", "privilege": "CONNECT"}),
        'REVOKE CONNECT ON DATABASE "shop" FROM PUBLIC', False),
    "an undeclared right on a database": (
        lambda s: s["database_grants"].append({"database": "shop", "grantee": "app", "privilege": "TEMPORARY"}),
        'REVOKE TEMPORARY ON DATABASE "shop" FROM "app"', True),
    "a role's setting is missing": (
        lambda s: without(s["settings"], role="app"),
        "ALTER ROLE \"app\" IN DATABASE \"shop\" SET search_path TO 'public', 'audit'", False),
    "a database's setting differs": (
        lambda s: row(s["settings"], name="statement_timeout").update(value="1min"),
        "ALTER DATABASE \"shop\" SET statement_timeout TO '30s'", False),
    "an undeclared setting": (
        lambda s: s["settings"].append({"role": "app", "database": "", "name": "jit", "value": "off"}),
        'ALTER ROLE "app" RESET "jit"', False),
    "an undeclared setting in one database": (
        lambda s: s["settings"].append({"role": "app", "database": "postgres", "name": "a.Select", "value": "x"}),
        'ALTER ROLE "app" IN DATABASE "postgres" RESET "a"."Select"', False),
    "an undeclared setting of a database": (
        lambda s: s["settings"].append({"role": "", "database": "shop", "name": "jit", "value": "off"}),
        'ALTER DATABASE "shop" RESET "jit"', True),
    "a right on a setting of the server": (
        lambda s: s["parameter_grants"].append({"parameter": "app.x", "grantee": "app", "privilege": "SET"}),
        'REVOKE SET ON PARAMETER "app"."x" FROM "app"', True),
    "a schema is missing": (
        lambda s: without(s["inside"]["shop"]["schemas"], name="audit"),
        'CREATE SCHEMA "audit" AUTHORIZATION "shop_owner"', False),
    "a schema is another's": (
        lambda s: row(s["inside"]["shop"]["schemas"], name="audit").update(owner="app"),
        'ALTER SCHEMA "audit" OWNER TO "shop_owner"', False),
    "an extension is missing": (
        lambda s: without(s["inside"]["shop"]["extensions"], name="vector"),
        f'SET LOCAL search_path = public; CREATE EXTENSION "vector"; {reconcile.PATH}', False),
    "an extension is older": (
        lambda s: row(s["inside"]["shop"]["extensions"], name="pg_trgm").update(version="1.5"),
        "ALTER EXTENSION \"pg_trgm\" UPDATE TO '1.6'", False),
    "an undeclared extension": (
        lambda s: s["inside"]["shop"]["extensions"].append({"name": "hstore", "version": "1", "schema": "public"}),
        "", True),
    "a right on a schema is missing": (
        lambda s: without(s["inside"]["shop"]["schema_grants"], schema="audit", grantee="app"),
        'GRANT USAGE ON SCHEMA "audit" TO "app"', False),
    "everybody creates in a schema": (
        lambda s: s["inside"]["shop"]["schema_grants"].append(
            {"schema": "public", "grantee": "", "privilege": "CREATE"}),
        'REVOKE CREATE ON SCHEMA "public" FROM PUBLIC', False),
    "an undeclared right on a schema": (
        lambda s: s["inside"]["shop"]["schema_grants"].append(
            {"schema": "public", "grantee": "app", "privilege": "CREATE"}),
        'REVOKE CREATE ON SCHEMA "public" FROM "app"', True),
    "rights on tables are missing": (
        lambda s: s["inside"]["shop"]["object_grants"].append(
            {"what": "missing", "kind": "TABLE", "schema": "public", "grantee": "app", "privilege": "SELECT",
             "objects": ["public.a", 'public."B"']}),
        'GRANT SELECT ON TABLE public.a, public."B" TO "app"', False),
    "undeclared rights on a routine": (
        lambda s: s["inside"]["shop"]["object_grants"].append(
            {"what": "extra", "kind": "ROUTINE", "schema": "public", "grantee": "app", "privilege": "EXECUTE",
             "objects": ["public.f(integer)"]}),
        'REVOKE EXECUTE ON ROUTINE public.f(integer) FROM "app"', True),
    "everybody executes a routine": (
        lambda s: s["inside"]["shop"]["object_grants"].append(
            {"what": "extra", "kind": "ROUTINE", "schema": "public", "grantee": "", "privilege": "EXECUTE",
             "objects": ["public.f(integer)"]}),
        'REVOKE EXECUTE ON ROUTINE public.f(integer) FROM PUBLIC', False),
    "everybody reads a table": (
        lambda s: s["inside"]["shop"]["object_grants"].append(
            {"what": "extra", "kind": "TABLE", "schema": "public", "grantee": "", "privilege": "SELECT",
             "objects": ["public.a"]}),
        'REVOKE SELECT ON TABLE public.a FROM PUBLIC', True),
    "everybody will execute routines": (
        lambda s: s["inside"]["shop"]["default_grants"].append(
            {"schema": "", "kind": "ROUTINE", "creator": "shop_owner", "grantee": "", "privilege": "EXECUTE"}),
        'ALTER DEFAULT PRIVILEGES FOR ROLE "shop_owner" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC', False),
    "a right on future tables is missing": (
        lambda s: without(s["inside"]["shop"]["default_grants"], schema="audit", grantee="app", privilege="INSERT"),
        'ALTER DEFAULT PRIVILEGES FOR ROLE "shop_owner" IN SCHEMA "audit" GRANT INSERT ON TABLES TO "app"', False),
    "an undeclared right on future tables": (
        lambda s: s["inside"]["shop"]["default_grants"].append(
            {"schema": "public", "kind": "TABLE", "creator": "shop_owner", "grantee": "rep", "privilege": "DELETE"}),
        'ALTER DEFAULT PRIVILEGES FOR ROLE "shop_owner" IN SCHEMA "public" REVOKE DELETE ON TABLES FROM "rep"', True),
}  # fmt: skip


@pytest.mark.parametrize(("differ", "sql", "prune"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_one_difference_is_one_step(differ: Callable[[State], Any], sql: str, prune: bool) -> None:
    observed = applied(declared())
    differ(observed)
    (step,) = plan(declared(), observed)
    assert (step.sql, step.prune) == (sql, prune)
    assert step.object
    assert step.before or step.after


def test_a_second_spelling_of_a_declared_setting_is_undone() -> None:
    observed = applied(declared())
    observed["settings"].append(row(observed["settings"], name="search_path") | {"name": "Search_Path", "value": "x"})
    where = 'ALTER ROLE "app" IN DATABASE "shop"'
    assert [(step.sql, step.prune) for step in plan(declared(), observed)] == [
        (f'{where} RESET "search_path"', False),
        (f'{where} RESET "Search_Path"', False),
        (f"{where} SET search_path TO 'public', 'audit'", False),
    ]


HARMLESS: dict[str, Callable[[State], Any]] = {
    "a service's own role": lambda s: s["roles"].append(
        row(s["roles"], name="app") | {"name": "pgbouncer", "comment": "pgstead: looks up verifiers"}),
    "rights of a service": lambda s: (
        s["roles"].append(row(s["roles"], name="app") | {"name": "pgbouncer", "comment": "pgstead: x"}),
        s["database_grants"].append({"database": "shop", "grantee": "pgbouncer", "privilege": "CONNECT"})),
    "a service's membership": lambda s: (
        s["roles"].append(row(s["roles"], name="app") | {"name": "guard", "comment": "pgstead: x"}),
        s["memberships"].append({"role": "shop_owner", "member": "guard", "grantor": "postgres", "admin": False,
                                 "inherit": True, "set": True})),
    "a membership of two strangers": lambda s: s["memberships"].append(
        {"role": "pg_monitor", "member": "x", "grantor": "y", "admin": False, "inherit": True, "set": True}),
    "a membership granted twice": lambda s: s["memberships"].append(
        row(s["memberships"], member="rep") | {"grantor": "operator", "set": False}),
    "a setting of everybody": lambda s: s["settings"].append(
        {"role": "", "database": "", "name": "jit", "value": "off"}),
    "a list spelled with quotes": lambda s: row(s["settings"], role="app").update(value='"public",audit'),
    "a setting's name in another case": lambda s: row(s["settings"], name="TimeZone").update(name="timezone"),
    "an undeclared schema": lambda s: s["inside"]["shop"]["schemas"].append({"name": "x", "owner": "y"}),
    "an extension of any version": lambda s: row(s["inside"]["shop"]["extensions"], name="vector").update(version="9"),
    "a service's rights on a schema": lambda s: s["inside"]["shop"]["schema_grants"].append(
        {"schema": "hidden", "grantee": "pgbouncer", "privilege": "USAGE"}),
    "a service's rights on a setting": lambda s: s["parameter_grants"].append(
        {"parameter": "a.b", "grantee": "pgbouncer", "privilege": "SET"}),
    "rights in an undeclared database": lambda s: s["database_grants"].append(
        {"database": "postgres", "grantee": "app", "privilege": "CONNECT"}),
}  # fmt: skip


@pytest.mark.parametrize("differ", HARMLESS.values(), ids=HARMLESS)
def test_what_is_nobody_s_business_is_left_alone(differ: Callable[[State], Any]) -> None:
    observed = applied(declared())
    differ(observed)
    assert plan(declared(), observed) == []


def test_inside_a_database_every_step_names_it() -> None:
    desired, database = declared(), declared()["databases"][0]
    steps = reconcile.database(desired, database, reconcile.fresh_database(desired, database, 16))
    assert {step.database for step in steps} == {"shop"}


# ---- passwords ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("decision", "steps"), [("keep", 0), ("set", 1), (None, 1)])
def test_another_verifier_of_the_same_password_is_kept(decision: str | None, steps: int) -> None:
    observed = applied(declared())
    row(observed["roles"], name="mig").update(verifier=OTHER)
    assert reconcile.undecided_passwords(declared(), observed) == {"mig": OTHER}
    assert len(plan(declared(), observed, {"mig": decision} if decision else {})) == steps


@pytest.mark.parametrize("stored", [VERIFIER, "md5" + "0" * 32, None])
def test_there_is_nothing_to_decide_about_a_verifier_that_is_the_same_or_no_scram(stored: str | None) -> None:
    observed = applied(declared())
    row(observed["roles"], name="mig").update(verifier=stored)
    assert reconcile.undecided_passwords(declared(), observed) == {}


def test_a_proof_tells_salt_and_iterations_and_nothing_of_the_keys() -> None:
    proof = reconcile.proof(OTHER, "nonce")
    assert (proof["salt"], proof["iterations"]) == ("b3RoZXI=", 8192)
    assert "a2V5" not in json.dumps(proof)
    assert proof == reconcile.proof(OTHER, "nonce")
    assert proof["mac"] not in (reconcile.proof(OTHER, "other")["mac"], reconcile.proof(VERIFIER, "nonce")["mac"])


# ---- PostgreSQL 15, where inheritance belongs to the member ------------------------------------------------


def plan_15(differ: Callable[[State], Any], cluster: list[State] | None = None) -> list[str]:
    desired = declared(cluster=cluster)
    observed = applied(desired, 15)
    differ(observed)
    return [step.sql for step in plan(desired, observed)]


def test_before_16_a_migrator_inherits_nothing_by_an_attribute_of_its_own() -> None:
    assert plan_15(lambda s: row(s["roles"], name="mig").update(inherit=True)) == ['ALTER ROLE "mig" NOINHERIT']
    assert plan_15(lambda s: without(s["memberships"], member="mig")) == ['GRANT "shop_owner" TO "mig"']


def test_before_16_a_membership_is_taken_away_without_naming_a_grantor() -> None:
    stray = {"role": "staff", "member": "app", "grantor": "x", "admin": False, "inherit": True, "set": True}
    assert plan_15(lambda s: s["memberships"].append(stray)) == ['REVOKE "staff" FROM "app"']


def test_before_16_the_right_to_admit_others_is_given_and_taken_away() -> None:
    admin = [{"name": "staff", "login": False}, {"name": "boss", "member_of": [{"role": "staff", "admin": True}]}]
    missing = plan_15(lambda s: row(s["memberships"], member="boss").update(admin=False), admin)
    assert missing == ['GRANT "staff" TO "boss" WITH ADMIN OPTION']
    # A plain GRANT would leave the option where it is, and be planned again on every run.
    extra = plan_15(lambda s: row(s["memberships"], member="rep").update(admin=True))
    assert [sql.removesuffix(" CASCADE") for sql in extra] == ['REVOKE ADMIN OPTION FOR "staff" FROM "rep"']


# ---- what owns something --------------------------------------------------------------------------------


def stale(*rows: tuple[str, int, int, int]) -> list[reconcile.Step]:
    """Steps for an undeclared role that holds (database, owned objects, policies, rights)."""
    observed = applied(declared())
    observed["roles"].append(row(observed["roles"], name="app") | {"name": "gone"})
    keys = ("database", "owned", "policies", "rights")
    observed["dependencies"] = [{"role": "gone"} | dict(zip(keys, values, strict=True)) for values in rows]
    observed["dependencies"].append({"role": "app", "database": "shop", "owned": 9, "policies": 9, "rights": 9})
    return plan(declared(), observed)


@pytest.mark.parametrize(
    "rows", [[("shop", 1, 0, 0)], [("shop", 0, 1, 0)], [("", 1, 0, 0)], [("a", 0, 0, 1), ("b", 1, 0, 0)]]
)
def test_a_stale_role_that_owns_anything_is_only_reported(rows: list[tuple[str, int, int, int]]) -> None:
    (step,) = stale(*rows)
    assert (step.sql, step.prune) == ("", True)
    assert "owns objects" in step.before


def test_a_stale_role_loses_its_rights_in_every_database_before_it_goes() -> None:
    steps = stale(("shop", 0, 0, 2), ("depot", 0, 0, 1), ("", 0, 0, 1))
    assert [(step.database, step.sql) for step in steps] == [
        ("shop", 'DROP OWNED BY "gone"'),
        ("depot", 'DROP OWNED BY "gone"'),
        ("", 'DROP OWNED BY "gone"'),
        ("", 'DROP ROLE "gone"'),
    ]
    assert all(step.prune for step in steps)


@pytest.mark.parametrize(
    ("databases", "cluster"),
    [
        ([{"name": "shop", "owner": "boss", "roles": [{"name": "app"}]}], [{"name": "boss"}]),
        ([{"name": "shop", "schemas": [{"name": "own", "owner": "app"}], "roles": [{"name": "app"}]}], []),
    ],
    ids=["of a database", "of a schema"],
)
def test_an_owner_that_logs_in_needs_no_right_on_what_it_owns(databases: list[State], cluster: list[State]) -> None:
    desired = declared(databases, cluster)
    assert [step.sql for step in plan(desired, applied(desired))] == []


# ---- quoting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a", '"a"'), ("A b", '"A b"'), ('a"b', '"a""b"'), ('"; DROP x; --', '"""; DROP x; --"'), ("é'\\", '"é\'\\"')],
)  # fmt: skip
def test_identifiers_cannot_end_their_quotes(name: str, quoted: str) -> None:
    assert reconcile.ident(name) == quoted


@pytest.mark.parametrize(
    ("text", "quoted"), [("a", "'a'"), ("a'b", "'a''b'"), ("\\'", "'\\'''"), ('"', "'\"'"), ("", "''")]
)
def test_constants_cannot_end_their_quotes(text: str, quoted: str) -> None:
    assert reconcile.literal(text) == quoted


def test_hostile_names_and_values_stay_inside_their_quotes_in_every_statement() -> None:
    evil = 'x"; DROP ROLE y; --'
    value = "v'; DROP ROLE y; --"
    shop = {"name": evil, "owner": evil + "o", "locale": value, "settings": {"app.x": value}, "roles": [
        {"name": evil + "r", "kind": "migrator", "valid_until": value, "settings": {"search_path": value}},
        {"name": evil + "a", "member_of": [evil + "g"]}],
        "extensions": [{"name": evil, "schema": evil, "version": value}],
        "schemas": [{"name": evil, "owner": evil}]}  # fmt: skip
    for step in plan(declared([shop], []), bootstrap()):
        left = step.sql.replace('""', "").replace("''", "")
        quotes = iter(left)
        outside = ""
        for letter in quotes:  # reads as PostgreSQL does: from a quote to the next of its kind
            if letter in "\"'":
                while next(quotes) != letter:
                    pass
            else:
                outside += letter
        assert "DROP" not in outside, step.sql
        assert ";" not in outside, step.sql


@pytest.mark.parametrize(
    ("stored", "elements"),
    [
        ("public, audit", ["public", "audit"]),
        ('"$user",public', ["$user", "public"]),
        ("", [""]),
        ('"A b"', ["A b"]),
        ('"public, audit"', ["public, audit"]),
        ('a, "b""c"', ["a", 'b"c']),
    ],
)
def test_a_list_setting_is_read_element_by_element(stored: str, elements: list[str]) -> None:
    assert reconcile.setting_list(stored) == elements
