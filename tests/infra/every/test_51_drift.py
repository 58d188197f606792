"""What drifted is seen by verify, repaired by a deploy, and then everything holds again, small pools included."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, ask, connect, playbook, verify_lines

APP, READONLY, MIGRATOR = (DECLARED.role(kind) for kind in ("app", "readonly", "migrator"))
DATABASE = APP["database"]


def test_verify_is_green_and_covers_every_login() -> None:
    lines = verify_lines()
    assert [line for line in lines if not line["ok"]] == []
    titles = {(line["area"], line["title"]) for line in lines}
    for role in DECLARED.model["roles"]:
        for endpoint in role["endpoints"]:
            assert any(area == f"role {role['name']}" and f"by the {endpoint} URL" in title for area, title in titles)


@pytest.mark.parametrize(
    "damage",
    [
        {
            f'ALTER ROLE "{APP["name"]}" CREATEROLE': "has no right beyond its kind",
            f'GRANT TEMPORARY ON DATABASE "{DATABASE}" TO PUBLIC': "cannot create, escalate or run programs",
            f'ALTER DATABASE "{DATABASE}" OWNER TO postgres': "has databases, roles and rights as declared",
            f'ALTER ROLE "{READONLY["name"]}" CONNECTION LIMIT 0': "logs in to",
        },
        {
            f"ALTER ROLE \"{MIGRATOR['name']}\" PASSWORD 'somebody changed this'": "by the direct URL",
            f'REVOKE CONNECT ON DATABASE "{DATABASE}" FROM "{APP["name"]}"': "has databases, roles and rights",
        },
    ],
    ids=["rights", "login"],
)
def test_drift_of_declared_things_is_seen_and_repaired(superuser: Any, damage: dict[str, str]) -> None:
    for statement in damage:
        superuser(statement)
    red = [item["title"] for item in verify_lines() if not item["ok"]]
    for line in damage.values():
        assert any(line in title for title in red), red
    assert playbook("site")["changed"] >= 1
    assert [item for item in verify_lines() if not item["ok"]] == []
    assert playbook("site")["changed"] == 0


def test_what_a_role_did_to_itself_is_seen_at_once_and_undone_without_pruning() -> None:
    """PostgreSQL lets a role alter itself: its password opens nothing by the pool, and so closes nothing."""
    with closing(connect(APP["name"], "pooled", DATABASE)) as connection, connection.cursor() as cursor:
        for change in (
            "PASSWORD 'mine'",
            f'IN DATABASE "{DATABASE}" RESET ALL',
            "SET local_preload_libraries = 'nope'",
            f'IN DATABASE "{DATABASE}" SET statement_timeout = 1',
        ):
            cursor.execute(f'ALTER ROLE "{APP["name"]}" {change}')
            if change.startswith("PASSWORD"):
                with pytest.raises(psycopg2.OperationalError):
                    connect(APP["name"], "pooled", DATABASE, password="mine")
                assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]
    red = {item["title"]: item["found"] for item in verify_lines() if not item["ok"]}
    assert "password" in red["has databases, roles and rights as declared"]
    assert "has nothing that is not declared" not in red
    assert playbook("site")["changed"] >= 1
    assert ask(APP["name"], "pooled", DATABASE, "SHOW local_preload_libraries") == [("",)]
    assert [item for item in verify_lines() if not item["ok"]] == []
    assert playbook("site")["changed"] == 0
