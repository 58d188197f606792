"""What PostgreSQL tells everybody of its sessions and tables is told to no tenant, and a deploy keeps it so."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import DECLARED, playbook
from tenants import DENIED, ENDPOINTS, SITES, Site, outcome

pytest_plugins = ["tenants"]

# Views and functions of the kind, as the server's version and its extensions have them, without pgstead's list of them.
# Those that later versions lack are left out; see oracles.sql.
SOURCES = """
    SELECT format('%s %s', kind, name) FROM (
      SELECT 'view' AS kind, c.oid::regclass::text AS name, has_any_column_privilege({role}, c.oid, 'SELECT') AS open
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.relkind = 'v' AND n.nspname IN ('pg_catalog', 'public')
        AND c.relname ~ '^pg_(stat|statio|locks|cursors|prepared|replication)(_|$)'
      UNION ALL
      SELECT 'function', p.oid::regprocedure::text, has_function_privilege({role}, p.oid, 'EXECUTE')
      FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
      WHERE n.nspname IN ('pg_catalog', 'public')
        AND p.proname ~ '^pg_(stat_(get|statements)|lock_status|cursor|prepared|get_replication|.*blocking|.*_size$)'
        AND p.proname !~ '^pg_(column|size)_'
        AND p.proname !~ '(_checkpoints|checkpoint_(write|sync)_time|buf_(written|fsync)_backend)$') AS s
    WHERE open ORDER BY 1"""
# One of each, as it is asked; and the answer where it is answered.
ASKED = {
    "statements that are prepared": "SELECT name FROM pg_prepared_statements",
    "them by function": "SELECT name FROM pg_prepared_statement()",
    "cursors": "SELECT name FROM pg_cursors",
    "locks": "SELECT relation FROM pg_locks",
    "them by their function": "SELECT relation FROM pg_lock_status()",
    "who waits for whom": "SELECT pg_blocking_pids(1)",
    "how many rows a table has": "SELECT n_live_tup FROM pg_stat_user_tables",
    "that by function": "SELECT pg_stat_get_live_tuples('parents'::regclass)",
    "what a transaction did": "SELECT n_tup_ins FROM pg_stat_xact_user_tables",
    "that by its function": "SELECT pg_stat_get_xact_tuples_inserted('parents'::regclass)",
    "which indexes are read": "SELECT idx_scan FROM pg_stat_all_indexes",
    "from disk or not": "SELECT heap_blks_read FROM pg_statio_user_tables",
    "how often a sequence is": "SELECT blks_hit FROM pg_statio_all_sequences",
    "who is connected": "SELECT pg_stat_get_backend_idset()",
    "from where": "SELECT pg_stat_get_backend_client_addr(1)",
    "since when": "SELECT pg_stat_get_backend_xact_start(1)",
    "how a build goes": "SELECT tuples_done FROM pg_stat_progress_create_index",
    "what the database did": "SELECT xact_commit FROM pg_stat_database",
    "how big a table is": "SELECT pg_total_relation_size('parents')",
    "the database": "SELECT pg_database_size(current_database())",
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("question", ASKED.values(), ids=ASKED)
def test_no_tenant_is_told(site: Site, question: str, endpoint: str) -> None:
    with site.tenant(site.a, endpoint) as cursor:
        state, message = outcome(cursor, question)
        cursor.execute("ROLLBACK; BEGIN")
    assert state == DENIED, message


@pytest.mark.parametrize("site", SITES, ids=[site.name for site in SITES])
def test_nothing_of_the_kind_is_open_to_a_client(site: Site, superuser: Any) -> None:
    for role in ("public", site.app, site.reports, site.reader):
        found = superuser(SOURCES.format(role=f"'{role}'"), site.name)
        assert found == "", (role, found)


@pytest.mark.parametrize("site", SITES, ids=[site.name for site in SITES])
def test_who_watches_the_server_is_told_and_the_owner_of_its_tables(site: Site, superuser: Any) -> None:
    count = "SELECT count(*) FROM pg_locks, pg_cursors, pg_stat_user_tables, pg_stat_database, pg_prepared_statements"
    assert superuser(f"SET ROLE pg_monitor; {count}; SELECT pg_database_size(current_database()) > 0", site.name)
    with site.client("direct", site.migrator) as cursor:
        assert outcome(cursor, "SELECT count(*) > 0 FROM pg_locks") == ("", [(True,)])
        assert outcome(cursor, "SELECT pg_database_size(current_database()) > 0") == ("", [(True,)])
        indexes = (
            "SELECT count(*) > 0 FROM pg_stat_user_indexes JOIN pg_stat_user_tables USING (relid) WHERE n_live_tup >= 0"
        )
        assert outcome(cursor, indexes) == ("", [(True,)])
        for view in ("pg_stat_activity", "pg_prepared_statements", "pg_cursors"):
            assert outcome(cursor, f"SELECT count(*) FROM {view}")[0] == DENIED


@pytest.mark.parametrize("command", ["d", "d+ parents", "dt", "di", "df", "dn+", "dp", "dT", "dx", "du", "l"])
def test_psql_describes_what_there_is(site: Site, command: str, node: Any) -> None:
    socket = f"-h /var/run/postgresql -p {DECLARED.ports['direct']}"
    done = node.run(
        f"runuser -u postgres -- psql -Xq {socket} -v ON_ERROR_STOP=1 -d {site.name}"
        f" -c 'SET ROLE {site.app}' -c '\\{command}'"
    )
    assert done.rc == 0 and done.stdout, done.stderr


def test_statistics_of_values_are_of_nobody(site: Site, superuser: Any) -> None:
    """Those of an index's expression as well, which is a relation of its own and has no row-level security."""
    superuser("CREATE INDEX by_lower ON parents (lower(label)); ANALYZE parents", site.name)
    try:
        found = "SELECT count(*) FROM {} WHERE tablename IN ('parents', 'by_lower')"
        assert int(superuser(found.format("pg_stats"), site.name)) > 1
        with site.tenant(site.a) as cursor:
            for view in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
                assert outcome(cursor, found.format(view)) == ("", [(0,)])
    finally:
        superuser("DROP INDEX by_lower", site.name)


@pytest.fixture
def given_back(superuser: Any) -> Iterator[None]:
    for one in SITES:
        superuser(
            "GRANT SELECT ON pg_locks TO PUBLIC; GRANT SELECT (n_live_tup) ON pg_stat_user_tables TO PUBLIC;"
            " GRANT EXECUTE ON FUNCTION pg_stat_get_live_tuples(oid) TO PUBLIC;"
            " REVOKE SELECT ON pg_cursors FROM pg_read_all_stats",
            one.name,
        )
    yield
    assert playbook("site", "--tags", "tenancy")["rc"] == 0


@pytest.mark.usefixtures("given_back")
def test_what_is_given_back_is_seen_and_taken_away_again(tmp_path: Path, superuser: Any) -> None:
    assert playbook("site", "--tags", "tenancy", "--check")["changed"] == 1
    file = tmp_path / "lines.json"
    assert playbook("../tests/isolation/verify", "-e", f"lines_file={file}")["rc"] == 0
    red = [line for line in json.loads(file.read_text()) if not line["ok"]]
    assert {line["title"] for line in red} == {"tells no tenant what others do"} and len(red) == len(SITES)
    assert red[0]["found"] == "open: pg_locks, pg_stat_get_live_tuples(oid), pg_stat_user_tables"
    assert playbook("site", "--tags", "tenancy")["changed"] == 1
    for one in SITES:
        assert superuser(SOURCES.format(role="'public'"), one.name) == ""
        assert superuser("SET ROLE pg_monitor; SELECT count(*) FROM pg_cursors", one.name) == "0"
    assert playbook("site", "--tags", "tenancy")["changed"] == 0


def test_verify_names_every_index_that_tells(tmp_path: Path, site: Site) -> None:
    with site.client("direct", site.migrator) as cursor:
        cursor.execute("CREATE INDEX by_label ON parents (label)")
        cursor.execute(f"CREATE INDEX by_label_of ON parents (label, {site.column})")
        cursor.execute(f"CREATE INDEX by_label_with ON parents (label) INCLUDE ({site.column})")
        cursor.execute(f"CREATE TABLE keyed (id bigint PRIMARY KEY, {site.column} {site.type} NOT NULL)")
    try:
        file = tmp_path / "lines.json"
        assert playbook("../tests/isolation/verify", "-e", f"lines_file={file}")["rc"] == 0
    finally:
        with site.client("direct", site.migrator) as cursor:
            cursor.execute("DROP INDEX by_label, by_label_of, by_label_with; DROP TABLE keyed")
    lines = [line for line in json.loads(file.read_text()) if line["area"] == f"tenants of {site.name}"]
    (line,) = [line for line in lines if line["title"].startswith("has no index that EXPLAIN ANALYZE")]
    assert line["ok"]
    assert "public.parents (by_label, by_label_with)" in line["found"]
    assert "public.keyed (keyed_pkey)" in line["found"]
    assert "public.children" not in line["found"]
