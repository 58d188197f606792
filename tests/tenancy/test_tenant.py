"""`pgstead tenant` adds, lists and shows rows of the tenant table, and refuses what cannot be before it changes one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import SITES, Site, key, node, playbook, superuser, verb

REFUSED = 3


@pytest.fixture(scope="module", params=SITES, ids=[site.name for site in SITES])
def site(request: pytest.FixtureRequest, superuser: Any) -> Iterator[Site]:
    """A database, with a table in which tenants have rows."""
    one: Site = request.param
    with one.client("direct", one.migrator) as cursor:
        cursor.execute(f"CREATE TABLE kept ({one.column} {one.type}, id int, PRIMARY KEY ({one.column}, id))")
    yield one
    with one.client("direct", one.migrator) as cursor:
        cursor.execute("DROP TABLE kept")
    superuser(f"DELETE FROM {table(one)} WHERE name LIKE 'made by a test%'", one.name)


def table(site: Site) -> str:
    return f"{site.tenancy['namespace']}.{site.tenancy['table']}"


def another(site: Site, superuser: Any) -> str:
    """Key of a tenant that was not made by pgstead."""
    made = superuser(f"INSERT INTO {table(site)} (name) VALUES ('made by a test') RETURNING {key(site)}", site.name)
    return str(made)


def everything(site: Site, superuser: Any) -> str:
    """All tenants, and the sequences that make their keys."""
    rows = superuser(f"SELECT * FROM {table(site)} ORDER BY {key(site)}", site.name)
    return str(rows + superuser("SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 2", site.name))


def test_a_new_tenant_is_there_and_can_work(site: Site, superuser: Any) -> None:
    name = """made by a test: {{ 7 * 7 }} 'x' "y" %s \\ 😀"""
    new = verb("tenant", "add", "--database", site.name, "--set", f"name={name}").stdout.strip()
    assert superuser(f"SELECT name FROM {table(site)} WHERE {key(site)} = '{new}'", site.name) == name
    listed = json.loads(verb("tenant", "list", "--database", site.name, "--json").stdout)["hosts"]["db1"]
    (row,) = [row for row in listed["tenants"] if str(row[key(site)]) == new]
    assert row["name"] == name
    with site.tenant(new) as cursor:
        cursor.execute(f"INSERT INTO kept VALUES ('{new}', 1), ('{new}', 2)")
    for tenant, rows in ((new, 2), (another(site, superuser), 0)):
        shown = json.loads(verb("tenant", "show", tenant, "--database", site.name, "--json").stdout)["hosts"]["db1"]
        assert shown["rows"]["public.kept"] == rows
        assert str(shown["tenant"][key(site)]) == tenant
        assert table(site) not in shown["rows"]


def test_people_read_a_table(site: Site, superuser: Any) -> None:
    new = verb("tenant", "add", "--database", site.name, "--set", "name=made by a test, to be read").stdout.strip()
    listed = verb("tenant", "list", "--database", site.name)
    assert listed.stdout == ""
    for text in (new, "made by a test, to be read", f"{table(site)} of {site.name} on db1"):
        assert text in listed.stderr
    assert "public.kept" in verb("tenant", "show", new, "--database", site.name).stderr


def test_what_sounds_like_a_secret_stays_on_the_node(site: Site, superuser: Any) -> None:
    with site.client("direct", site.migrator) as cursor:
        cursor.execute(f"ALTER TABLE {table(site)} ADD api_token text DEFAULT 'hush'")
        new = verb("tenant", "add", "--database", site.name, "--set", "name=made by a test", "--set", "api_token=hush")
        for arguments in (["show", new.stdout.strip()], ["list"]):
            done = verb("tenant", *arguments, "--database", site.name, "--json")
            assert "hush" not in new.stdout + new.stderr + done.stdout + done.stderr
            assert '"api_token": "***"' in done.stdout or arguments == ["list"]
        cursor.execute(f"ALTER TABLE {table(site)} DROP api_token")


def test_a_check_says_what_would_be_and_changes_nothing(site: Site, superuser: Any) -> None:
    before = everything(site, superuser)
    done = verb("tenant", "add", "--database", site.name, "--set", "name=made by a test", "--check")
    assert done.stdout == ""
    assert f"would be added: {table(site)} of {site.name}" in done.stderr and "made by a test" in done.stderr
    assert everything(site, superuser) == before


def test_plain_ansible_does_the_same(site: Site, superuser: Any) -> None:
    wanted = {
        "tenant_action": "add",
        "tenant_database": site.name,
        "tenant_values": {"name": "made by a test, plainly"},
    }
    done = playbook("tenant", "-e", json.dumps(wanted))
    assert (done["rc"], done["changed"]) == (0, 1), done["stdout"]
    assert superuser(f"SELECT count(*) FROM {table(site)} WHERE name = 'made by a test, plainly'", site.name) == "1"
    done = playbook("tenant", "-e", f"tenant_database={site.name}")
    assert (done["rc"], done["changed"]) == (0, 0), done["stdout"]
    assert "made by a test, plainly" in done["stdout"]


@pytest.mark.parametrize("check", [(), ("--check",)], ids=["add", "check"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "nmae=x"], "has no column nmae\nnext: did you mean name? known columns:"),
        ([], "a new tenant needs a value for name"),
        (["--set", "name=x", "--key", "no key; DROP TABLE kept"], "invalid input syntax for type"),
    ],
    ids=["wrong column", "nothing said", "wrong key"],
)
def test_what_cannot_be_is_refused_before_anything_is_changed(
    site: Site, superuser: Any, arguments: list[str], said: str, check: tuple[str, ...]
) -> None:
    before = everything(site, superuser)
    done = verb("tenant", "add", "--database", site.name, *arguments, *check, check=False)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert said in done.stderr
    assert everything(site, superuser) == before


def test_a_key_that_is_taken_is_refused(site: Site, superuser: Any) -> None:
    taken = another(site, superuser)
    before = superuser(f"SELECT * FROM {table(site)} ORDER BY {key(site)}", site.name)
    done = verb("tenant", "add", "--database", site.name, "--set", "name=x", "--key", taken, check=False)
    assert done.returncode == REFUSED
    assert "duplicate key value" in done.stderr
    assert superuser(f"SELECT * FROM {table(site)} ORDER BY {key(site)}", site.name) == before


def test_a_tenant_that_is_not_there_is_not_shown(site: Site) -> None:
    done = verb("tenant", "show", str(site.new_tenant()), "--database", site.name, check=False)
    assert done.returncode == REFUSED
    assert "has no tenant" in done.stderr and "pgstead tenant list" in done.stderr


@pytest.mark.parametrize("database", ["nowhere", ""])
def test_which_database_is_meant_must_be_clear(database: str) -> None:
    arguments = ["--database", database] if database else []
    done = verb("tenant", "list", *arguments, check=False)
    assert done.returncode == REFUSED
    assert all(site.name in done.stderr for site in SITES)
