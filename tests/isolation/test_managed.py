"""A server whose admin is no superuser and makes no event triggers: all else applies, what is missing is said."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import DECLARED, ask, connect, playbook, refused

pytest_plugins = ["tenants"]
NAME, APP, MIGRATOR, ADMIN = "hosted", "hosted_app", "hosted_migrator", "hosted_admin"


@pytest.fixture(scope="module", autouse=True)
def filled(superuser: Any) -> Iterator[None]:
    """Two shops with their goods, and an admin as providers make them; afterwards nothing of it is left."""
    superuser(f"GRANT hosted_owner TO {ADMIN} WITH INHERIT TRUE")
    with closing(connect(MIGRATOR, "direct", NAME)) as connection, connection.cursor() as cursor:
        cursor.execute("""
            CREATE TABLE shops (id bigint PRIMARY KEY, name text);
            CREATE TABLE goods (shop bigint REFERENCES shops, id bigint, PRIMARY KEY (shop, id));
            INSERT INTO shops VALUES (1, 'a'), (2, 'b');
            INSERT INTO goods SELECT 1 + i % 2, i FROM generate_series(1, 10) AS i;
        """)
    yield
    superuser("DROP TABLE IF EXISTS later, goods, shops; DROP SCHEMA app CASCADE", NAME)
    superuser(f"REVOKE hosted_owner FROM {ADMIN}")


def isolate(tmp_path: Path, *arguments: str, **more: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The run, and what the lines that do not hold say, by title."""
    file = tmp_path / "lines.json"
    done = playbook("../tests/isolation/managed", "-e", json.dumps({"lines_file": str(file), "more": more}), *arguments)
    lines = json.loads(file.read_text()) if file.exists() else []
    assert DECLARED.secrets[ADMIN] not in done["stdout"] + json.dumps(lines)
    return done, {line["title"]: line["found"] for line in lines if not line["ok"]}


def tenants_rows(table: str, tenant: int) -> list[tuple[Any, ...]]:
    return ask(APP, "direct", NAME, f"SELECT app.set_tenant({tenant}); SELECT DISTINCT shop FROM {table}")


def test_the_admin_is_no_superuser(superuser: Any) -> None:
    assert superuser(f"SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = '{ADMIN}'") == "f"
    assert refused(ADMIN, "direct", NAME, "CREATE EVENT TRIGGER t ON sql_drop EXECUTE FUNCTION f()") == "42501"


def test_tokens_are_refused_where_nobody_could_keep_the_tenant_safe(tmp_path: Path, superuser: Any) -> None:
    done, _ = isolate(tmp_path, token=True)
    assert done["rc"] != 0 and done["changed"] == 0
    assert f"databases[{NAME}].tenancy.token: found true, but {ADMIN} is no superuser here" in done["stdout"]
    assert superuser("SELECT to_regnamespace('app') IS NULL", NAME) == "t"


def test_all_but_the_guard_applies_and_the_guard_is_reported_as_absent(tmp_path: Path) -> None:
    done, red = isolate(tmp_path)
    assert done["rc"] == 0 and done["changed"] == 1, done["stdout"]
    assert f"there is no DDL guard, because {ADMIN}" in done["stdout"]
    assert list(red) == ["has its DDL guard armed", "tells no tenant what others do"]
    assert f"{ADMIN} may not create event triggers here" in red["has its DDL guard armed"]
    assert tenants_rows("goods", 1) == [(1,)] and tenants_rows("goods", 2) == [(2,)]
    for role in (APP, MIGRATOR):
        assert refused(role, "direct", NAME, "SELECT * FROM goods") == "42501"
    assert refused(APP, "direct", NAME, "SELECT app.set_tenant(1); INSERT INTO goods VALUES (2, 99)") == "42501"
    assert isolate(tmp_path)[0]["changed"] == 0


def test_a_table_that_arrives_is_named_by_verify_and_isolated_by_the_next_deploy(tmp_path: Path) -> None:
    ask(MIGRATOR, "direct", NAME, "CREATE TABLE later (shop bigint NOT NULL, id int, PRIMARY KEY (shop, id))")
    _, red = isolate(tmp_path, "--skip-tags", "isolate")
    assert red["has row-level security on for every tenant table"].startswith("public.later: ")
    _, red = isolate(tmp_path)
    assert list(red) == ["has its DDL guard armed", "tells no tenant what others do"]
    assert refused(APP, "direct", NAME, "SELECT * FROM later") == "42501"
    assert tenants_rows("later", 1) == []
