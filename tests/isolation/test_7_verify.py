"""pgstead verify says which protection is off: each one taken away by hand turns its own line red, and no other."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import playbook
from tenants import SITES, Site

pytest_plugins = ["tenants"]

# By hand, as superuser, with the guard asleep: (what is done, what undoes it, the line).
OFF = {
    "row-level security": (
        "ALTER TABLE loose DISABLE ROW LEVEL SECURITY", "ALTER TABLE loose ENABLE ROW LEVEL SECURITY",
        "has row-level security on for every tenant table",
    ),
    "force": (
        "ALTER TABLE loose NO FORCE ROW LEVEL SECURITY", "ALTER TABLE loose FORCE ROW LEVEL SECURITY",
        "binds owners to it, too",
    ),
    "the policy": (
        "ALTER POLICY {prefix}loose ON loose USING (true) WITH CHECK (true)", "(protect)",
        "has the tenant policy, unchanged, on every tenant table",
    ),
    "NOT NULL": (
        "ALTER TABLE loose ALTER {column} DROP NOT NULL", "ALTER TABLE loose ALTER {column} SET NOT NULL",
        "knows of every row whose it is",
    ),
    "the index": (
        "DROP INDEX loose_by_tenant", "CREATE INDEX loose_by_tenant ON loose ({column})",
        "finds a tenant's rows by an index in every table",
    ),
    "the key's tenant": (
        "ALTER TABLE parents ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES loose (id) NOT VALID",
        "ALTER TABLE parents DROP CONSTRAINT k", "has no foreign key from one tenant to another",
    ),
    "a reference": (
        "CREATE TABLE free (loose bigint REFERENCES loose (id))", "DROP TABLE free",
        "has no table without tenants that refers to tenants' rows",
    ),
    "its type": ("CREATE TABLE odd ({column} point)", "DROP TABLE odd", "has tenant columns of the declared type"),
    "a unique index": (
        "CREATE UNIQUE INDEX u ON loose (label)", "DROP INDEX u", "has no unique index that tells of other tenants",
    ),
    "one that carries the tenant outside of its key": (
        "CREATE UNIQUE INDEX u ON loose (label) INCLUDE ({column})", "DROP INDEX u",
        "has no unique index that tells of other tenants",
    ),
    "a view": ("CREATE VIEW v AS TABLE loose", "DROP VIEW v", "has views that see no more than who asks"),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW m AS TABLE loose", "DROP MATERIALIZED VIEW m",
        "has no materialized view of tenants' rows",
    ),
    "a foreign table": (
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        " CREATE FOREIGN TABLE f ({column} {type} NOT NULL) SERVER s",
        "DROP FOREIGN DATA WRAPPER w CASCADE", "has no foreign table with tenants' rows",
    ),
    "a right": (
        "GRANT TRUNCATE ON loose TO {app}", "REVOKE TRUNCATE ON loose FROM {app}",
        "grants no right that goes around policies",
    ),
    "a function": (
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.loose'",
        "DROP FUNCTION f()", "has no function that runs unbound by policies",
    ),
    "a role": (
        "CREATE ROLE sneaky_{app} LOGIN BYPASSRLS; GRANT CONNECT ON DATABASE {database} TO sneaky_{app}",
        "DROP OWNED BY sneaky_{app}; DROP ROLE sneaky_{app}", "has no undeclared role beyond policies",
    ),
    "a parent": (
        "CREATE TABLE bare (id bigint NOT NULL); ALTER TABLE loose INHERIT bare",
        "ALTER TABLE loose NO INHERIT bare; DROP TABLE bare",
        "has no tenant table that is read through one without tenants",
    ),
    "a column": (
        "ALTER TABLE loose RENAME {column} TO elsewhere", "ALTER TABLE loose RENAME elsewhere TO {column}",
        "still isolates what was isolated once",
    ),
    "a column's right": (
        "GRANT REFERENCES (id) ON loose TO {app}", "REVOKE REFERENCES (id) ON loose FROM {app}",
        "grants no right that goes around policies",
    ),
    "a policy that reads like it": (
        "CREATE SCHEMA forged;"
        " CREATE FUNCTION forged.tenant_id(int DEFAULT 0) RETURNS {type} LANGUAGE sql AS 'SELECT NULL::{type}';"
        " ALTER POLICY {prefix}loose ON loose"
        " USING ({column} = forged.tenant_id()) WITH CHECK ({column} = forged.tenant_id());"
        " ALTER FUNCTION forged.tenant_id SET SCHEMA {schema}; DROP SCHEMA forged",
        "DROP FUNCTION {schema}.tenant_id(int) CASCADE(protect)",
        "has the tenant policy, unchanged, on every tenant table",
    ),
    "a function in an extension": (
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.loose';"
        " ALTER FUNCTION f() OWNER TO pgstead_guard_{database}; ALTER EXTENSION plpgsql ADD FUNCTION f()",
        "ALTER EXTENSION plpgsql DROP FUNCTION f(); DROP FUNCTION f()", "has no function that runs unbound by policies",
    ),
    "the guard": (
        "ALTER EVENT TRIGGER pgstead_guard DISABLE", "ALTER EVENT TRIGGER pgstead_guard ENABLE",
        "has its DDL guard armed",
    ),
    "rights on functions": (
        "GRANT EXECUTE ON FUNCTION {schema}.protect(oid) TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION {schema}.protect(oid) FROM PUBLIC", "has its functions and rights as deployed",
    ),
    "who sees sessions": (
        "GRANT SELECT ON pg_stat_activity TO {app}", "REVOKE SELECT ON pg_stat_activity FROM {app}",
        "tells no tenant what others do",
    ),
    "the reader": (  # takes any value for a context: what the client who only sets one is refused by
        "CREATE OR REPLACE FUNCTION {schema}.tenant_id() RETURNS {type} LANGUAGE sql STABLE"
        " AS $$ SELECT current_setting('{setting}')::{type} $$", "(deploy)", "",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def loose(superuser: Any) -> Iterator[None]:
    """A table whose every protection can be taken away alone, in each database."""
    for site in SITES:
        with site.client("direct", site.migrator) as cursor:
            cursor.execute(f"""
                CREATE TABLE loose (id bigint PRIMARY KEY, {site.column} {site.type} NOT NULL, label text);
                CREATE INDEX loose_by_tenant ON loose ({site.column});
                CREATE TABLE parents ({site.column} {site.type} NOT NULL, id bigint, PRIMARY KEY ({site.column}, id));
            """)
    yield
    for site in SITES:
        with site.client("direct", site.migrator) as cursor:
            cursor.execute("DROP TABLE loose, parents")


def checklist(tmp_path: Path) -> list[dict[str, Any]]:
    """The checklist's lines about tenants."""
    file = tmp_path / "lines.json"
    done = playbook("../tests/isolation/verify", "-e", f"lines_file={file}")
    assert done["rc"] == 0, done["stdout"]
    lines: list[dict[str, Any]] = json.loads(file.read_text())
    assert len(lines) >= 20 * len(SITES)
    return lines


def red(tmp_path: Path) -> dict[str, list[str]]:
    """Titles of the lines that do not hold, and what they found, by database."""
    found: dict[str, list[str]] = {site.name: [] for site in SITES}
    for line in checklist(tmp_path):
        if not line["ok"]:
            found[line["area"].removeprefix("tenants of ")].append(f"{line['title']}: {line['found']}")
    return found


def by_hand(superuser: Any, site: Site, statement: str) -> None:
    values = {"prefix": site.tenancy["policy_prefix"], "column": site.column, "type": site.type, "app": site.app,
              "schema": site.schema, "setting": site.setting, "database": site.name}  # fmt: skip
    superuser("SET session_replication_role = replica; " + statement.format(**values), site.name)


def test_every_line_holds(tmp_path: Path) -> None:
    assert red(tmp_path) == {site.name: [] for site in SITES}


@pytest.mark.parametrize(("off", "on", "title"), OFF.values(), ids=OFF)
def test_what_is_off_turns_its_own_line_red(tmp_path: Path, superuser: Any, off: str, on: str, title: str) -> None:
    for site in SITES:
        by_hand(superuser, site, off)
    try:
        found = red(tmp_path)
    finally:
        for site in SITES:
            if on.endswith("(protect)"):
                by_hand(superuser, site, on.removesuffix("(protect)") or "SELECT")
                superuser(f"SELECT {site.schema}.protect('loose'::regclass)", site.name)
            elif on != "(deploy)":
                by_hand(superuser, site, on)
        if on == "(deploy)":
            assert playbook("site", "--tags", "tenancy")["rc"] == 0
    wanted = [title] if title else [  # of the reader, all that it is there for
        "refuses who set no tenant", *(f"refuses who only sets {site.setting}" for site in SITES), "has its functions",
    ]  # fmt: skip
    for titles in found.values():
        assert len(titles) == 1 if title else len(titles) >= 2, titles
        assert all(any(t.startswith(w) for w in wanted) or not title for t in titles), titles


def test_what_is_for_people_to_decide_is_named(tmp_path: Path, superuser: Any) -> None:
    """A table that tenants share and write, and a trigger that a foreign key fires past all policies."""
    past = "runs none of its triggers past all policies but these, by foreign keys"
    for site in SITES:
        with site.client("direct", site.migrator) as cursor:
            cursor.execute(f"""
                CREATE TABLE noticeboard (text text);
                GRANT INSERT, SELECT ON noticeboard TO {site.app};
                CREATE TABLE cascaded ({site.column} {site.type}, parent bigint,
                    FOREIGN KEY ({site.column}, parent) REFERENCES parents ON DELETE CASCADE);
                CREATE TRIGGER fires BEFORE DELETE ON cascaded EXECUTE FUNCTION suppress_redundant_updates_trigger();
                CREATE TRIGGER other BEFORE INSERT ON cascaded EXECUTE FUNCTION suppress_redundant_updates_trigger();
            """)
    try:
        lines = {(line["area"], line["title"]): line for line in checklist(tmp_path)}
        for site in SITES:
            shared = lines[f"tenants of {site.name}", "isolates all tables but these"]
            assert shared["ok"] and shared["look"] and shared["found"].startswith("public.noticeboard: ")
            assert "tenancy.shared" in shared["fix"]
            fired = lines[f"tenants of {site.name}", past]
            assert fired["ok"] and "fires of public.cascaded" in fired["found"] and "other" not in fired["found"]
    finally:
        for site in SITES:
            with site.client("direct", site.migrator) as cursor:
                cursor.execute("DROP TABLE cascaded, noticeboard")
