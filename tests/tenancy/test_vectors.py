"""`pgstead tune vectors` recommends by live sizes, and builds an index beside which small tenants stay exact."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from places import SITES, Site, node, playbook, superuser, verb

REFUSED = 3
DIMENSIONS = 384
BIG, SMALL = 6000, 40  # rows of two tenants
INDEX = "pgstead_texts_embedding_hnsw_cosine"


def extended(site: Site, superuser: Any) -> bool:
    return bool(superuser("SELECT count(*) FROM pg_extension WHERE extname = 'vector'", site.name) == "1")


def vector(seed: str) -> str:
    return (
        f"(SELECT array_agg(random() - 0.5 + 0 * d * {seed})::public.vector({DIMENSIONS})"
        f" FROM generate_series(1, {DIMENSIONS}) AS d)"
    )


@pytest.fixture(scope="module")
def site(superuser: Any) -> Iterator[Site]:
    """The database that has pgvector, with texts of a big and of a small tenant."""
    one = next(site for site in SITES if extended(site, superuser))
    one.a, one.b = one.new_tenant(), one.new_tenant()
    with one.client("direct", one.migrator) as cursor:
        cursor.execute(
            f"CREATE TABLE texts ({one.column} {one.type} NOT NULL, id int, embedding vector({DIMENSIONS}),"
            f" PRIMARY KEY ({one.column}, id))"
        )
    for tenant, count in ((one.a, BIG), (one.b, SMALL)):
        superuser(f"INSERT INTO texts SELECT '{tenant}', i, {vector('i')} FROM generate_series(1, {count}) i", one.name)
    superuser("ANALYZE texts", one.name)
    yield one
    with one.client("direct", one.migrator) as cursor:
        cursor.execute("DROP TABLE texts")


def tune(site: Site, *options: str) -> dict[str, Any]:
    """The report of the table of this test, with the statements for it."""
    done = verb("tune", "vectors", "--database", site.name, "--json", *options)
    report: dict[str, Any] = json.loads(done.stdout)["hosts"]["db1"]
    return next(column for column in report["columns"] if column["table"] == "texts") | {"report": report}


def indexes(site: Site, superuser: Any, table: str = "texts") -> str:
    """Oid, name and validity of a table's indexes."""
    found = superuser(
        "SELECT indexrelid, indexrelid::regclass AS name, indisvalid FROM pg_index AS i"
        f" WHERE indrelid = '{table}'::regclass ORDER BY i.indexrelid",
        site.name,
    )
    return str(found)


def search(site: Site, tenant: Any, superuser: Any) -> tuple[str, list[Any]]:
    """Plan and rows of the nearest five texts of a tenant, asked by the app through the pooler."""
    wanted = superuser(f"SELECT {vector('1')}", site.name)
    query = f"SELECT {site.column}, id FROM texts ORDER BY embedding <=> '{wanted}' LIMIT 5"
    with site.tenant(tenant) as cursor:
        cursor.execute(f"EXPLAIN {query}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute(query)
        return plan, cursor.fetchall()


def test_1_by_the_largest_tenant_it_says_what_fits_and_changes_nothing(site: Site, superuser: Any) -> None:
    before = indexes(site, superuser)
    advice = tune(site)
    assert (advice["rows"], advice["largest"], advice["dimensions"]) == (BIG + SMALL, BIG, DIMENSIONS)
    assert advice["fits"] == "hnsw"
    assert advice["statements"][0] == (
        f'CREATE INDEX CONCURRENTLY "{INDEX}" ON "public"."texts" USING hnsw'
        ' ("embedding" "public"."vector_cosine_ops") WITH (m = 16, ef_construction = 64);'
    )
    for column in advice["report"]["columns"]:
        assert column["fits"] == ("exact" if column["largest"] < 2500 else "hnsw")
    assert tune(site, "--threshold", str(BIG + 1))["fits"] == "exact"
    assert tune(site, "--apply", "--check")["statements"] == advice["statements"]
    shown = verb("tune", "vectors", "--database", site.name).stderr
    assert "texts.embedding" in shown and f"to do: {advice['statements'][0]}" in shown
    assert indexes(site, superuser) == before


def test_2_roles_that_search_have_the_settings_for_it(site: Site) -> None:
    settings = {(s["role"], s["name"]): s["value"] for s in tune(site)["report"]["settings"]}
    for role in (site.app, site.reader):
        assert settings[role, "hnsw.iterative_scan"] == "relaxed_order"
        assert settings[role, "hnsw.ef_search"] == "300"


def test_3_before_every_tenant_is_searched_exactly(site: Site, superuser: Any) -> None:
    for tenant in (site.a, site.b):
        plan, rows = search(site, tenant, superuser)
        assert "hnsw" not in plan and len(rows) == 5


def test_4_applied_the_big_tenant_is_searched_by_hnsw_and_the_small_one_exactly(site: Site, superuser: Any) -> None:
    assert tune(site, "--apply")["statements"]
    plan, rows = search(site, site.a, superuser)
    assert f"Index Scan using {INDEX}" in plan, plan
    assert len(rows) == 5 and {str(row[0]) for row in rows} == {str(site.a)}
    plan, rows = search(site, site.b, superuser)
    assert "texts_pkey" in plan and INDEX not in plan, plan
    assert len(rows) == 5 and {str(row[0]) for row in rows} == {str(site.b)}


def test_5_a_second_time_changes_nothing(site: Site, superuser: Any) -> None:
    before = indexes(site, superuser)
    assert INDEX in before
    done = playbook("tune", "-e", json.dumps({"tune_apply": True, "tune_database": site.name}))
    assert (done["rc"], done["changed"]) == (0, 0), done["stdout"]
    assert tune(site, "--apply")["statements"] == []
    assert indexes(site, superuser) == before


def test_6_what_a_broken_off_run_left_is_built_again(site: Site, superuser: Any) -> None:
    superuser(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{INDEX}'::regclass", site.name)
    before = indexes(site, superuser)
    assert tune(site, "--apply", "--check")["statements"][0] == f'DROP INDEX CONCURRENTLY "public"."{INDEX}";'
    assert indexes(site, superuser) == before
    tune(site, "--apply")
    after = indexes(site, superuser)
    assert after != before and "|f" not in after and INDEX in after
    assert tune(site, "--apply")["statements"] == []


def test_6_what_another_run_is_building_is_left_to_it(site: Site, superuser: Any) -> None:
    superuser(f"DROP INDEX {INDEX}", site.name)
    with ThreadPoolExecutor() as pool, site.tenant(site.b, "direct") as cursor:
        cursor.execute("UPDATE texts SET id = id")  # which a concurrent build waits for
        first = pool.submit(tune, site, "--apply")
        deadline = time.monotonic() + 60
        while superuser("SELECT count(*) FROM pg_stat_progress_create_index", site.name) == "0":
            assert time.monotonic() < deadline and not first.done()
            time.sleep(0.2)
        second = tune(site, "--apply")
        assert second["statements"] == []
        assert second["notes"] == [f"{INDEX} is being built at this moment"]
        cursor.execute("COMMIT")
        assert first.result()["statements"]
    assert f"{INDEX}|t" in indexes(site, superuser)


def test_7_an_ivfflat_index_is_warned_of_and_stays(site: Site, superuser: Any) -> None:
    superuser("CREATE INDEX theirs ON texts USING ivfflat (embedding vector_cosine_ops) WITH (lists = 1)", site.name)
    try:
        before = indexes(site, superuser)
        (note,) = tune(site, "--apply")["notes"]
        assert "theirs is ivfflat" in note and ".06 to .17" in note
        assert note.endswith('DROP INDEX CONCURRENTLY "public"."theirs"')
        assert indexes(site, superuser) == before
    finally:
        superuser("DROP INDEX theirs", site.name)


def test_8_every_partition_gets_one_by_the_size_of_the_whole(site: Site, superuser: Any) -> None:
    with site.client("direct", site.migrator) as cursor:
        cursor.execute(f"""
            CREATE TABLE shelves ({site.column} {site.type} NOT NULL, id int, "e m" vector(3)) PARTITION BY RANGE (id);
            CREATE TABLE shelves_1 PARTITION OF shelves FOR VALUES FROM (1) TO (1501);
            CREATE TABLE shelves_2 PARTITION OF shelves FOR VALUES FROM (1501) TO (9999);
        """)
    try:
        superuser(f"INSERT INTO shelves SELECT '{site.a}', i, '[1,2,3]' FROM generate_series(1, 3000) i", site.name)
        verb("tune", "vectors", "--database", site.name, "--opclass", "vector_l2_ops", "--apply")
        for part in ("shelves_1", "shelves_2"):
            found = indexes(site, superuser, part)
            assert f'"pgstead_{part}_e m_hnsw_l2"|t' in found and f"pgstead_{part}_{site.column}_btree|t" in found
        again = verb("tune", "vectors", "--database", site.name, "--apply", "--json")
        report = json.loads(again.stdout)["hosts"]["db1"]
        assert [text for text in report["statements"] if "shelves" in text] == []
        (column,) = [column for column in report["columns"] if column["table"] == "shelves"]
        assert (column["rows"], column["largest"], len(column["parts"])) == (3000, 3000, 2)
        assert any("new partition" in note for note in column["notes"])
    finally:
        with site.client("direct", site.migrator) as cursor:
            cursor.execute("DROP TABLE shelves")


def test_9_a_database_without_the_extension_is_refused_where_it_is_named(superuser: Any) -> None:
    for bare in [site for site in SITES if not extended(site, superuser)]:
        done = verb("tune", "vectors", "--database", bare.name, check=False)
        assert done.returncode == REFUSED
        assert f"no extension vector in {bare.name}" in done.stderr and "databases[].extensions" in done.stderr
    done = verb("tune", "vectors", "--database", "nowhere", check=False)
    assert done.returncode == REFUSED
    assert all(site.name in done.stderr for site in SITES)
    assert verb("tune", "vectors").returncode == 0
