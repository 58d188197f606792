"""A tenant can neither write to another's rows, nor point at them, nor take them along."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tenants import ENDPOINTS, Site, outcome

pytest_plugins = ["tenants"]
pytestmark = pytest.mark.usefixtures("untouched")

ATTEMPTS = {
    "insert for another": ("INSERT INTO parents VALUES ('{b}', 77, 'x')", "42501"),
    "insert without tenant": ("INSERT INTO parents VALUES (NULL, 77, 'x')", "42501"),
    "give a row away": ("UPDATE parents SET {column} = '{b}' WHERE id = 1", "42501"),
    "upsert for another": ("INSERT INTO parents VALUES ('{b}', 101, 'x') ON CONFLICT ({column}, id)"
                           " DO UPDATE SET label = 'x'", "42501"),
    "upsert that does nothing": ("INSERT INTO parents VALUES ('{b}', 101, 'x') ON CONFLICT DO NOTHING", "42501"),
    "refer to another's row": ("INSERT INTO children VALUES ('{a}', 77, 101)", "23503"),
    "refer to nobody's row": ("INSERT INTO children VALUES ('{a}', 77, 9999)", "23503"),
    "refer by update": ("UPDATE children SET parent = 101 WHERE id = 1", "23503"),
    "merge for another": ("MERGE INTO parents p USING (VALUES (1)) v (i) ON false WHEN NOT MATCHED THEN"
                          " INSERT VALUES ('{b}', 77, 'x')", "42501"),
    "copy in": ("COPY parents FROM STDIN", "0A000"),
    "truncate": ("TRUNCATE parents CASCADE", "42501"),
}  # fmt: skip


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(("statement", "state"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_is_refused(site: Site, statement: str, state: str, endpoint: str) -> None:
    with site.client(endpoint) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(site.set_tenant(site.a))
        found, message = outcome(cursor, statement.format(a=site.a, b=site.b, column=site.column))
        cursor.execute("ROLLBACK")
    assert found == state, message
    assert "101" not in message or "refer" not in message


def test_what_does_not_exist_and_what_is_anothers_look_alike(site: Site) -> None:
    answers = []
    for parent in (101, 9999):
        with site.client() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(site.set_tenant(site.a))
            _, message = outcome(cursor, f"INSERT INTO children VALUES ('{site.a}', 77, {parent})")
            cursor.execute("ROLLBACK")
            answers.append(message.replace(str(parent), "N"))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("statement", ["UPDATE parents SET label = 'x' WHERE id > 100",
                                       "DELETE FROM parents WHERE id > 100",
                                       "DELETE FROM children WHERE parent > 100"])  # fmt: skip
def test_anothers_rows_are_not_there_to_change(site: Site, statement: str) -> None:
    with site.tenant(site.a) as cursor:
        cursor.execute(statement)
        assert cursor.rowcount == 0


def test_deleting_a_parent_takes_ones_own_children_alone(site: Site) -> None:
    with site.client() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(site.set_tenant(site.b))
        cursor.execute("DELETE FROM parents")
        assert cursor.rowcount == 5
        cursor.execute(site.set_tenant(site.a))
        cursor.execute("SELECT count(*) FROM children")
        assert cursor.fetchone()[0] == 3
        cursor.execute("ROLLBACK")


def test_what_a_cascade_fires_sees_all_tenants_before_and_ones_own_after(site: Site) -> None:
    """PostgreSQL runs BEFORE triggers of a cascade as the owner with FORCE off; a condition on the tenant binds it."""
    with site.client("direct", site.migrator) as cursor:
        cursor.execute(f"""
            CREATE TABLE seen (rows bigint, own bigint, fired text);
            CREATE TABLE cascaded ({site.column} {site.type}, parent bigint,
                FOREIGN KEY ({site.column}, parent) REFERENCES parents ON DELETE CASCADE);
            CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO public.seen
                SELECT count(*), count(*) FILTER (WHERE p.{site.column} = OLD.{site.column}), TG_WHEN
                FROM public.parents AS p;
                RETURN OLD;
            END $$;
            CREATE TRIGGER b BEFORE DELETE ON cascaded FOR EACH ROW EXECUTE FUNCTION look();
            CREATE TRIGGER a AFTER DELETE ON cascaded FOR EACH ROW EXECUTE FUNCTION look();
            GRANT SELECT, INSERT ON seen, cascaded TO {site.app};
        """)
    try:
        with site.client() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(site.set_tenant(site.a))
            cursor.execute(f"INSERT INTO cascaded VALUES ('{site.a}', 1)")
            cursor.execute("DELETE FROM parents WHERE id = 1")
            cursor.execute("SELECT fired, rows, own FROM seen ORDER BY fired")
            assert cursor.fetchall() == [("AFTER", 2, 2), ("BEFORE", 7, 2)]
            cursor.execute("ROLLBACK")
    finally:
        with site.client("direct", site.migrator) as cursor:
            cursor.execute("DROP TABLE cascaded, seen; DROP FUNCTION look")
