"""What one client leaves on a server connection is gone for the next one; what a client brings stays its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, connect

APP = DECLARED.role("app")
DATABASE = APP["database"]

# What a client does -> what shows it to whoever has the connection. In a database with tenants, none of them may read
# pg_locks, pg_cursors and pg_prepared_statements.
LEFTOVERS = {
    "a search path": ("SET search_path = nowhere", "SHOW search_path"),
    "a timeout": ("SET statement_timeout = '7s'", "SHOW statement_timeout"),
    "an isolation level": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SHOW default_transaction_isolation",
    ),
    "read only": ("SET default_transaction_read_only = on", "SHOW default_transaction_read_only"),
    "fewer messages": ("SET client_min_messages = error", "SHOW client_min_messages"),
    "another meaning of = NULL": ("SET transform_null_equals = on", "SELECT coalesce(NULL = NULL, false)"),
    "fewer digits": ("SET extra_float_digits = -10", "SELECT 0.1::float8 + 0.2::float8 || ''"),
    "a setting of its own": ("SET app.whoever = 'me'", "SELECT coalesce(current_setting('app.whoever', true), '')"),
    "an advisory lock": ("SELECT pg_advisory_lock(4711)", "SELECT pg_advisory_unlock(4711)"),
    "LISTEN": ("LISTEN gossip", "SELECT count(*) FROM pg_listening_channels()"),
    "a cursor WITH HOLD": ("DECLARE held CURSOR WITH HOLD FOR SELECT 1", "FETCH held"),
}  # fmt: skip


@contextmanager
def met(statement: str, **options: Any) -> Iterator[tuple[Any, Any]]:
    """A client that did this in a transaction, and another one, each with a cursor; they meet on one server connection.

    The other one's may be a connection that the pooler opened while it cleared the first one's; then they try again.
    """
    for _ in range(20):
        with ExitStack() as stack:
            clients = [connect(APP["name"], "pooled", DATABASE, **more) for more in ({}, options)]
            one, two = (stack.enter_context(closing(client)).cursor() for client in clients)
            one.execute("BEGIN")
            one.execute("SELECT pg_backend_pid()")
            (before,) = one.fetchone()
            one.execute(statement)
            one.execute("COMMIT")
            two.execute("BEGIN")
            two.execute("SELECT pg_backend_pid()")
            if two.fetchone() == (before,):
                yield one, two
                two.execute("ROLLBACK")
                return
    pytest.fail("20 times the two clients did not meet on one server connection")


def answer(cursor: Any, statement: str) -> Any:
    """The row of a statement, or the SQLSTATE with which it is refused."""
    try:
        cursor.execute(statement)
        return cursor.fetchone()
    except psycopg2.Error as problem:
        return problem.pgcode


@pytest.mark.parametrize("name", LEFTOVERS)
def test_the_next_client_finds_nothing_of_it(name: str) -> None:
    does, shows = LEFTOVERS[name]
    with met("SELECT 1") as (_, two):
        fresh = answer(two, shows)
    with closing(connect(APP["name"], "pooled", DATABASE)) as connection, connection.cursor() as cursor:
        # As one message, so that it keeps the server connection.
        found = answer(cursor, f"BEGIN; {does}; COMMIT; BEGIN; {shows}")
        assert found != fresh, "it is something that the next client could find"
        cursor.execute("ROLLBACK")
    with met(does) as (_, two):
        assert answer(two, shows) == fresh


def test_prepared_statements_stay_where_the_pooler_says_so(console: Any) -> None:
    """The one thing that `session` leaves and `full` does not."""
    (reset,) = [row["value"] for row in console("SHOW CONFIG") if row["key"] == "server_reset_query"]
    with met("PREPARE kept AS SELECT 1") as (_, two):
        assert answer(two, "EXECUTE kept") == ("26000" if "DEALLOCATE ALL" in reset else (1,))
        two.execute("ROLLBACK; DEALLOCATE ALL; BEGIN")


def test_what_a_client_brings_with_its_login_stays_its_own() -> None:
    own = {"application_name": "mine", "client_encoding": "LATIN1"}
    with met("SET application_name = 'left'", **own) as (one, two):
        two.execute("SET TIME ZONE 'Asia/Tokyo'")
        two.execute("COMMIT")
        for _ in range(3):
            for cursor, expected in ((one, ("left", "UTF8")), (two, ("mine", "LATIN1"))):
                cursor.execute("BEGIN")
                cursor.execute("SELECT current_setting('application_name'), current_setting('client_encoding')")
                assert cursor.fetchone() == expected
                cursor.execute("SHOW TimeZone")
                assert (cursor.fetchone() == ("Asia/Tokyo",)) is (cursor is two)
                cursor.execute("COMMIT")
        two.execute("BEGIN")
