"""Random statements of two tenants, of a client without one and of the owner, over shared server connections.

After each statement: it returned, changed, waited for and learned nothing of another tenant's rows. Sessions go on from
one sequence to the next, so that what a sequence leaves behind meets all later ones. A failure prints its seed;
ISOLATION_SEED=n runs it again, ISOLATION_SEQUENCES=n runs as many.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from tenants import Site, pool_of

pytest_plugins = ["tenants"]
pytestmark = pytest.mark.usefixtures("untouched")

SEQUENCES = int(os.environ.get("ISOLATION_SEQUENCES", "2000"))
SEED = int(os.environ.get("ISOLATION_SEED", random.SystemRandom().randrange(2**32)))
ACTORS = ("a", "b", "nobody", "owner")
REFUSED = {
    "42501",  # no context, a policy, a missing right
    "22012",  # the division by zero below
    "25P01", "25P02", "25001",  # no transaction, a failed one, one already begun
    "3B001",  # no such savepoint
    "26000", "42P05",  # no such prepared statement, or one of that name
    "34000", "42P03",  # no such cursor, or one of that name
    "23503", "23505",  # foreign key, unique
    "0A000",  # COPY FROM under row-level security
    "42704", "22023",  # no such role, a value that a setting does not take
    "42P01",  # a search_path that an earlier client of the server connection left: no table is found, so none is read
    "42P07",  # the owner, alone, may make temporary tables
    "55000",  # a cursor that is not on a row
}  # fmt: skip

# {other} is an id of the other tenant's, {mine} one's own, {o} the other tenant, {m} oneself.
STATEMENTS = (
    "SELECT * FROM parents",
    "SELECT * FROM parents WHERE id = {other}",
    "SELECT * FROM parents WHERE {column} = '{o}'",
    "SELECT p.*, c.* FROM parents p LEFT JOIN children c ON c.parent = p.id",
    "SELECT * FROM parents FOR UPDATE",
    "TABLE children",
    "WITH x AS (SELECT set_config('{setting}', '{o}', true)) SELECT p.* FROM parents p, x",
    "UPDATE parents SET label = 'by {me}' RETURNING *",
    "UPDATE parents SET label = 'by {me}' WHERE id = {other} RETURNING *",
    "UPDATE parents SET {column} = '{o}' WHERE id = {mine} RETURNING *",
    "INSERT INTO parents VALUES ('{m}', {mine} + 1000, 'by {me}') ON CONFLICT DO NOTHING RETURNING *",
    "INSERT INTO parents VALUES ('{o}', {other} + 1000, 'by {me}') RETURNING *",
    "INSERT INTO children VALUES ('{m}', {mine} + 1000, {other}) RETURNING *",
    "DELETE FROM parents WHERE id = {other} RETURNING *",
    "DELETE FROM children WHERE id = {mine} + 1000 RETURNING *",
    "DELETE FROM parents WHERE id = {mine} + 1000 RETURNING *",
    "SET {setting} = '{o}'",
    "SET LOCAL {setting} = '{o}'",
    "SELECT set_config('{setting}', current_setting('{setting}', true), false) IS NULL",
    "RESET {setting}",
    "RESET ALL",
    "DISCARD ALL",
    "SET row_security = off",
    "RESET row_security",
    "SET ROLE authenticated",
    "SET ROLE {owner}",
    "RESET ROLE",
    "SET search_path = pg_catalog",
    "SET search_path = public",
    "SET plan_cache_mode = force_generic_plan",
    "PREPARE q AS SELECT * FROM parents",
    "EXECUTE q",
    "DEALLOCATE ALL",
    "DECLARE c CURSOR FOR SELECT * FROM parents",
    "DECLARE h CURSOR WITH HOLD FOR SELECT * FROM parents",
    "FETCH ALL FROM c",
    "FETCH ALL FROM h",
    "CLOSE ALL",
    "CREATE TEMP TABLE stash AS SELECT * FROM parents",
    "COPY (SELECT * FROM parents) TO STDOUT",
    "SELECT 1 / 0",
    "SELECT 1 / (id - {other}) FROM parents",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "(context)",
    "(context)",
    "(context)",
)  # fmt: skip


class Actor:
    """One client with its connection.

    Args:
        name: of ACTORS.
        site: the database.
        cursor: its cursor, in autocommit mode.
    """

    def __init__(self, name: str, site: Site, cursor: Any) -> None:
        self.name, self.site, self.cursor = name, site, cursor
        # The owner acts for a tenant of its own: it would wait for rows that tenant a has locked, and rightly.
        a, b, c = (site.a, 1), (site.b, 101), (site.new_tenant(), 201)
        (self.tenant, self.mine), (self.other, self.others) = {"b": (b, a), "owner": (c, a)}.get(name, (a, b))

    @property
    def in_transaction(self) -> bool:
        return bool(self.cursor.connection.info.transaction_status)

    def run(self, statement: str) -> None:
        """Runs one statement and looks at everything it answered."""
        if statement == "(context)":
            if self.name == "nobody":
                return
            statement = (
                f"BEGIN; {self.site.set_tenant(self.tenant)}"
                if not self.in_transaction
                else self.site.set_tenant(self.tenant)
            )
        text = statement.format(
            column=self.site.column, setting=self.site.setting, owner=self.site.owner, o=self.other, m=self.tenant,
            other=self.others, mine=self.mine, me=self.name,
        )  # fmt: skip
        shown = ""
        try:
            if text.startswith("COPY"):
                sink = Sink()
                self.cursor.copy_expert(text, sink)
                shown = sink.text
            else:
                self.cursor.execute(text)
                rows = self.cursor.fetchall() if self.cursor.description else []
                shown = "\n".join("\t".join(map(str, row)) for row in rows)
        except psycopg2.Error as problem:
            assert problem.pgcode in REFUSED, f"{self.name}: {text}: {problem.pgcode} {problem}"
            return
        if "set_config" not in text and "set_tenant" not in text:
            assert str(self.other) not in shown.split(), f"{self.name}: {text}: {shown}"
            if self.name == "nobody":
                assert str(self.tenant) not in shown.split(), f"nobody: {text}: {shown}"
            foreign = {i for i in (*range(1, 100), *range(101, 200)) if i // 100 != self.mine // 100}
            assert not {str(i) for i in foreign} & set(shown.split()), f"{self.name}: {text}: {shown}"


class Sink:
    """What COPY TO STDOUT writes to."""

    text = ""

    def write(self, data: str | bytes) -> None:
        self.text += data if isinstance(data, str) else data.decode()


@pytest.fixture
def actors(site: Site, node: Any, superuser: Any) -> Iterator[dict[str, Actor]]:
    pool_of(node, 2)  # two tenants in a transaction each; they meet on both
    with ExitStack() as stack:
        cursors = {
            n: stack.enter_context(site.client(*(("direct", site.migrator) if n == "owner" else ()))) for n in ACTORS
        }
        yield {name: Actor(name, site, cursor) for name, cursor in cursors.items()}
    superuser("DELETE FROM children WHERE id > 1000; DELETE FROM parents WHERE id > 1000;"
              f" UPDATE parents SET label = 'of ' || {site.column}", site.name)  # fmt: skip
    pool_of(node, 1)


def test_no_sequence_of_statements_reaches_another_tenant(site: Site, actors: dict[str, Actor], superuser: Any) -> None:
    print(f"ISOLATION_SEED={SEED}")
    step = st.tuples(st.sampled_from(ACTORS), st.sampled_from(STATEMENTS))

    @seed(SEED)
    @settings(max_examples=SEQUENCES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(step, min_size=4, max_size=25))
    def sequences(steps: list[tuple[str, str]]) -> None:
        try:
            for name, statement in steps:
                waiting = [actors[n] for n in ("a", "b", "nobody") if n != name and actors[n].in_transaction]
                if name != "owner" and not actors[name].in_transaction and len(waiting) == 2:
                    waiting[0].cursor.execute("ROLLBACK")  # or this client would wait for a server connection
                actors[name].run(statement)
        finally:
            for actor in actors.values():
                if actor.in_transaction:  # another one would wait for a server connection that nobody gives back
                    actor.cursor.execute("ROLLBACK")

    sequences()
    strangers = (
        f"SELECT count(*) FROM parents WHERE label = 'by a' AND {site.column} <> '{site.a}'"
        f" OR label = 'by b' AND {site.column} <> '{site.b}' OR label = 'by nobody'"
    )
    assert superuser(strangers, site.name) == "0"
    assert superuser("SELECT count(*) FROM parents WHERE id < 1000", site.name) == "8"
