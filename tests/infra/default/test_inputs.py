"""Inputs for what is asked for rarely: a line of pg_hba.conf before ours, options of one pool, limits of one role."""

from __future__ import annotations

import copy
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, ask, connect, deploy, playbook

APP, MIGRATOR = DECLARED.role("app"), DECLARED.role("migrator")
DATABASE = APP["database"]


@pytest.fixture(autouse=True)
def as_declared() -> Any:
    yield
    assert playbook("site")["rc"] == 0


def deployed(inputs: dict[str, Any], part: str) -> None:
    """Deploys a role with these inputs, twice: the second time there is nothing to do."""
    for changed in (True, False):
        run = playbook("site", "-e", json.dumps(inputs), "--tags", part)
        assert run["rc"] == 0, run["stdout"]
        assert bool(run["changed"]) is changed, run["stdout"]


def test_a_line_of_pg_hba_before_ours_decides_and_one_after_does_not(superuser: Any) -> None:
    reject = f"hostssl all {MIGRATOR['name']} 0.0.0.0/0 reject"
    deployed({"postgresql_hba": [reject]}, "postgresql")
    assert ask(MIGRATOR["name"], "direct", DATABASE, "SELECT 1") == [(1,)]
    # Not even one that rejects everybody keeps the superuser, and so the next deploy, from the socket.
    first = [{"line": reject, "place": "before"}, {"line": "local all all reject", "place": "before"}]
    deployed({"postgresql_hba": first}, "postgresql_configure")
    with pytest.raises(psycopg2.OperationalError, match="rejects connection"):
        connect(MIGRATOR["name"], "direct", DATABASE)
    assert superuser("SELECT 1") == "1"


def test_a_place_that_there_is_not_is_refused() -> None:
    done = deploy(
        "-e", json.dumps({"postgresql_hba": [{"line": "local all all reject", "place": "first"}]}), check=False
    )
    assert done.returncode == 3
    assert "postgresql_hba[0]" in done.stderr and "{line, place}" in " ".join(done.stderr.replace("│", "").split())


def with_pool(**options: Any) -> dict[str, Any]:
    databases = copy.deepcopy(DECLARED.variables["databases"])
    databases[0]["pool"] = databases[0].get("pool", {}) | options
    return {"databases": databases}


def test_options_of_one_pool_are_the_running_poolers(console: Any) -> None:
    query = "SELECT pg_catalog.set_config('app.came', 'it''s open', false)"
    pool = {"min_pool_size": 3, "max_db_client_connections": 2, "connect_query": query}
    deployed(with_pool(**pool), "pgbouncer")
    (row,) = [row for row in console("SHOW DATABASES") if row["name"] == DATABASE]
    assert (row["min_pool_size"], row["max_client_connections"]) == ("3", "2")
    console(f'RECONNECT "{DATABASE}"')
    # Once: what it sets for the session goes with the first transaction, like all that a client leaves.
    assert ask(APP["name"], "pooled", DATABASE, "SELECT current_setting('app.came', true)") == [("it's open",)]
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(closing(connect(APP["name"], "pooled", DATABASE)))
        with pytest.raises(psycopg2.OperationalError, match="max_db_client_connections"):
            connect(APP["name"], "pooled", DATABASE)


def test_an_option_that_is_none_is_refused() -> None:
    done = deploy("-e", json.dumps(with_pool(min_pool_size=-1, connect_query="SELECT 1\n; x")), check=False)
    assert done.returncode == 3
    assert "databases[0].pool.min_pool_size" in done.stderr and "databases[0].pool.connect_query" in done.stderr


def test_a_role_has_the_limit_that_is_asked_for_and_a_role_that_is_not_pooled_is_refused(console: Any) -> None:
    deployed({"pgbouncer_users": {APP["name"]: {"max_user_connections": 1, "pool_size": 2}}}, "pgbouncer")
    (row,) = [row for row in console("SHOW USERS") if row["name"] == APP["name"]]
    assert (row["max_user_connections"].strip(), row["pool_size"].strip()) == ("1", "2")
    with closing(connect(APP["name"], "pooled", DATABASE)) as one, one.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1")
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(ask, APP["name"], "pooled", DATABASE, "SELECT 2")
            deadline = time.monotonic() + 10
            while not any(row["cl_waiting"] == "1" for row in console("SHOW POOLS")):
                assert time.monotonic() < deadline, "the second client did not have to wait"
            cursor.execute("COMMIT")
            assert second.result(10) == [(2,)]
    with pytest.raises(psycopg2.OperationalError):  # a limit is no account: still by the right password alone
        connect(APP["name"], "pooled", DATABASE, password="")
    assert playbook("site")["rc"] == 0
    assert [row["pool_size"] for row in console("SHOW USERS") if row["pool_size"].strip()] == []
    done = deploy("-e", json.dumps({"pgbouncer_users": {"autolytiq_ap": {"pool_size": 2}}}), check=False)
    assert done.returncode == 3
    assert "pgbouncer_users.autolytiq_ap" in done.stderr and "did you mean autolytiq_app?" in done.stderr
