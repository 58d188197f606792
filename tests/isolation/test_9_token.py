"""Where tenants are set by signed tokens, SQL that an attacker runs as the app role reaches nobody else's rows."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import HOME, INVENTORY, pgstead, playbook, user_environment
from tenants import ENDPOINTS, SITES, Site, outcome, prepared, unbound

from ansible_collections.pgstead.platform.plugins.module_utils import token

pytest_plugins = ["tenants"]
pytestmark = pytest.mark.usefixtures("untouched")
SIGNED = [site for site in SITES if site.key]


@pytest.fixture(scope="module", params=SIGNED, ids=[site.name for site in SIGNED])
def site(request: pytest.FixtureRequest, node: Any, superuser: Any) -> Iterator[Site]:
    yield from prepared(request.param, node, superuser)


def changed(site: Site, part: int, to: Any) -> str:
    """A good token of tenant a with one of its three parts replaced."""
    parts = token.sign(site.key, site.a).rsplit(".", 2)
    parts[part] = str(to)
    return ".".join(parts)


INVALID, EXPIRED = "tenant token is not valid", "tenant token has expired"
# Tokens that must not be taken, with what is said of them.
BAD: dict[str, tuple[Callable[[Site], str], str]] = {
    "an id": (lambda site: str(site.b), INVALID),
    "nothing": (lambda site: "", INVALID),
    "garbage": (lambda site: "a.b.c", INVALID),
    "another tenant under one's own signature": (lambda site: changed(site, 0, site.b), INVALID),
    "a time put off": (lambda site: changed(site, 1, int(time.time()) + 10**6), INVALID),
    "no signature": (lambda site: changed(site, 2, ""), INVALID),
    "a signature of zeros": (lambda site: changed(site, 2, "0" * 64), INVALID),
    "another key": (lambda site: token.sign("guessed", site.b), INVALID),
    "an empty key": (lambda site: token.sign("", site.b), INVALID),
    "expired": (lambda site: token.sign(site.key, site.b, -2), EXPIRED),
    "a line more": (lambda site: token.sign(site.key, site.b) + "\n", INVALID),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_token_that_is_not_right_is_refused(site: Site, name: str, endpoint: str) -> None:
    make, said = BAD[name]
    with site.client(endpoint) as cursor:
        cursor.execute("BEGIN")
        state, message = outcome(cursor, site.set_by(make(site)))
        assert (state, said in message) == ("42501", True), message
        cursor.execute("ROLLBACK; BEGIN")
        unbound(cursor, "SELECT * FROM parents")
        cursor.execute("ROLLBACK")


# What injected SQL may try in tenant a's transaction, to see tenant b.
HOPS = {
    "the declared setting": "SELECT set_config('{setting}', '{b}', true)",
    "the setting it is kept in": "SELECT set_config('backtrace_functions', 'tenant_{hex}', true)",
    "SET LOCAL": "SET LOCAL backtrace_functions = 'tenant_{hex}'",
    "a call with an id": "SELECT {schema}.set_tenant('{b}')",
    "the key": "SELECT * FROM {schema}.token_keys",
    "the key by COPY": "COPY {schema}.token_keys TO STDOUT",
    "another function": "CREATE FUNCTION {schema}.tenant_id() RETURNS text LANGUAGE sql AS $$ SELECT '{b}' $$",
    "a token of its own": "INSERT INTO {schema}.token_keys VALUES ('', '')",
    "a role": "SET LOCAL ROLE {owner}",
    "what the next login has": "ALTER ROLE CURRENT_USER SET backtrace_functions = 'tenant_{hex}'",
    "a search path": "SET LOCAL search_path = pg_temp, public",
    "everything as it was": "RESET ALL",
    "the setting as it was": "RESET backtrace_functions",
}


@pytest.mark.parametrize("hop", HOPS.values(), ids=HOPS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_injected_sql_stays_with_the_tenant_whose_token_it_has(site: Site, hop: str, endpoint: str) -> None:
    values = {
        "setting": site.setting, "b": site.b, "hex": str(site.b).encode().hex(), "schema": site.schema,
        "owner": site.owner,
    }  # fmt: skip
    with site.client(endpoint) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(site.set_tenant(site.a))
        cursor.execute("SAVEPOINT s")
        state, _ = outcome(cursor, hop.format(**values))
        if state:
            assert state == "42501"
            cursor.execute("ROLLBACK TO s")
        state, rows = outcome(cursor, "SELECT id FROM parents ORDER BY id")
        assert rows == [(1,), (2,), (3,)] or (state == "42501" and "RESET" in hop)
        cursor.execute("ROLLBACK")


def test_one_injected_statement_cannot_hop(site: Site) -> None:
    with site.tenant(site.a) as cursor:
        hop = f"(SELECT set_config('{site.setting}', '{site.b}', true)) IS NOT NULL"
        cursor.execute(f"SELECT id FROM parents WHERE {hop} ORDER BY id")
        assert cursor.fetchall() == [(1,), (2,), (3,)]


def test_a_tenant_ends_with_its_transaction_and_returns_with_a_savepoint(site: Site) -> None:
    with site.client() as cursor:
        for statement in ("BEGIN", site.set_tenant(site.a), "SAVEPOINT s", site.set_tenant(site.b), "ROLLBACK TO s"):
            cursor.execute(statement)
        cursor.execute("SELECT count(*) FROM parents")
        assert cursor.fetchone()[0] == 3
        cursor.execute("COMMIT")
        unbound(cursor, "SELECT * FROM parents")


SIGNERS = {
    "node": ["node", str(HOME / "tests/clients/node/token.mjs")],
    "python": [sys.executable, str(HOME / "tests/clients/python/sign_token.py")],
}


@pytest.mark.parametrize("argv", SIGNERS.values(), ids=SIGNERS)
def test_the_examples_sign_with_the_key_that_pgstead_url_prints(site: Site, argv: list[str]) -> None:
    lines = pgstead("url", "-i", str(INVENTORY), "--database", site.name, "--show").stdout.splitlines()
    (key,) = [line.partition("=")[2].strip('"') for line in lines if line.startswith("TENANT_TOKEN_KEY=")]
    assert site.key not in pgstead("url", "-i", str(INVENTORY), "--database", site.name).stdout
    environment = user_environment(TENANT_TOKEN_KEY=key)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run([*argv, str(site.b)], env=environment, capture_output=True, text=True, check=True)
    with site.client() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(site.set_by(done.stdout.strip()))
        cursor.execute("SELECT count(*) FROM parents")
        assert cursor.fetchone()[0] == 5
        cursor.execute("COMMIT")


def test_the_cli_signs_for_a_migration(site: Site) -> None:
    done = pgstead("tenant", "token", str(site.a), "-i", str(INVENTORY), "--database", site.name, "--seconds", "60")
    with site.client("direct", site.migrator) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(site.set_by(done.stdout.strip()))
        cursor.execute("UPDATE parents SET label = label")
        assert cursor.rowcount == 3
        cursor.execute("COMMIT")
    other = next(one for one in SITES if not one.key)
    refused = pgstead("tenant", "token", "x", "-i", str(INVENTORY), "--database", other.name, check=False)
    assert refused.returncode != 0 and "takes a tenant's id, no token" in refused.stdout + refused.stderr


def test_a_new_key_is_taken_beside_the_one_before_until_that_one_is_taken_out(site: Site) -> None:
    name = site.tenancy["token"]

    def deploy(**more: str) -> dict[str, Any]:
        pairs = ", ".join(f"'{key}': '{value}'" for key, value in more.items())
        return playbook(
            "site", "--tags", "tenancy", "-e", f"tenancy_passwords={{{{ secrets | combine({{{pairs}}}) }}}}"
        )

    def taken(key: str) -> bool:
        with site.client() as cursor:
            return not outcome(cursor, site.set_by(token.sign(key, site.a)))[0]

    new = "a-new-key-of-32-characters-at-least"
    try:
        done = deploy(**{name: new, name + token.PREVIOUS: site.key})
        assert done["changed"] == 1 and new not in done["stdout"] and site.key not in done["stdout"]
        assert taken(new) and taken(site.key) and not taken("another")
        assert deploy(**{name: new})["changed"] == 1
        assert taken(new) and not taken(site.key)
    finally:
        assert playbook("site", "--tags", "tenancy")["changed"] == 1
    assert taken(site.key) and not taken(new)
    assert playbook("site", "--tags", "tenancy")["changed"] == 0


def test_without_its_key_a_database_takes_no_tenant_and_verify_says_so(
    site: Site, superuser: Any, tmp_path: Path
) -> None:
    add = ("tenant", "add", "-i", str(INVENTORY), "--database", site.name, "--key", "tried", "--set", "name=x")
    superuser(f"DELETE FROM {site.schema}.token_keys", site.name)
    try:
        done = playbook("../tests/isolation/verify", "-e", f"lines_file={tmp_path / 'lines'}")
        refused = pgstead(*add, check=False)
    finally:
        assert playbook("site", "--tags", "tenancy")["changed"] == 1
    assert done["rc"] == 0, done["stdout"]
    lines = json.loads((tmp_path / "lines").read_text())
    said = {line["title"]: line["found"] for line in lines if not line["ok"] and line["area"].endswith(site.name)}
    assert "signing keys of tenant tokens" in said.pop("has its functions and rights as deployed")
    assert said.keys() == {"shows nothing to a tenant that nobody is", "keeps a context from the next client"}
    assert (refused.returncode, "has no key of tenant tokens" in refused.stderr) == (3, True)
    assert pgstead(*add).stdout.strip() == "tried"  # signed by the key that the database has again
    superuser(f"DELETE FROM {site.tenancy['namespace']}.{site.tenancy['table']} WHERE name = 'x'", site.name)
