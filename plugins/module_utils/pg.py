"""Connections to the node's own instance, as the superuser over the local socket."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import psycopg2
    import psycopg2.extras

    Error = psycopg2.Error
except ImportError:  # a fresh host in check mode: nothing is installed yet
    psycopg2 = None  # type: ignore[assignment]

    class Error(Exception):  # type: ignore[no-redef]
        """Stands for psycopg2.Error where psycopg2 is missing."""


OS_USER = "postgres"
SOCKET = "/var/run/postgresql"
# Option of modules that administer a server, and may find a managed one: libpq's parameters for its admin.
MANAGED: dict[str, Any] = {
    "type": "dict",
    "options": {
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "default": 5432},
        "user": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "sslmode": {"type": "str", "default": "require"},
        "sslrootcert": {"type": "str"},
    },
}
# Options of the action group `server`; their parameters are the `server` of the functions below.
SERVER: dict[str, Any] = {
    "port": {"type": "int", "default": 5432},
    "socket": {"type": "path", "default": SOCKET},
    "managed": MANAGED,
}

# What every session of an administrator starts with, whatever the settings of the database or its roles say: an owner
# may ALTER DATABASE, and whose functions, operators and casts a name means must not be for an owner to decide.
_PINNED = {
    "search_path": "pg_catalog,pg_temp",
    "role": "none",
    "row_security": "on",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "array_nulls": "on",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read\\ committed",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "DateStyle": "ISO",
    "client_min_messages": "warning",
}


def options(**further: str) -> str:
    """The pinned settings of a session as libpq's `options`, with further ones by name."""
    return " ".join(f"-c {name}={value}" for name, value in (_PINNED | further).items())


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Effective user and group of an OS user for the time of the block: what `peer` authentication sees."""
    if os.geteuid() != 0:
        yield
        return
    entry = pwd.getpwnam(user)
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def is_installed() -> bool:
    """Whether this node has psycopg2: a fresh host has not, nor one with a server that pgstead did not make."""
    return psycopg2 is not None


def _require() -> None:
    if not is_installed():
        raise Error("python3-psycopg2 is not installed on the node")


def login(**parameters: Any) -> Any:
    """A psycopg2 connection in autocommit mode, by the parameters of psycopg2.connect.

    Raises:
        psycopg2.Error: refused, or not reachable.
    """
    _require()
    connection = psycopg2.connect(connect_timeout=5, **parameters)
    connection.autocommit = True
    return connection


def _open(**parameters: Any) -> Any:
    """A psycopg2 connection of pgstead's own, by the parameters of psycopg2.connect."""
    _require()
    connection = psycopg2.connect(application_name="pgstead", **parameters)
    connection.set_client_encoding("UTF8")
    return connection


def connect(database: str, port: int, socket: str = SOCKET, timeout: int = 10) -> Any:
    """A psycopg2 connection as the superuser, by peer over the socket.

    Statements that fail in it are kept out of the server's log: they may carry a password verifier.

    Raises:
        psycopg2.Error: the server does not answer, or has no such database.
    """
    _require()  # before its OS user is looked for
    with acting_as(OS_USER):
        return _open(
            dbname=database,
            host=socket,
            port=port,
            user="postgres",
            connect_timeout=timeout,
            options=options(
                log_min_error_statement="panic",
                log_statement="none",
                log_min_duration_statement="-1",
                lc_messages="C",  # messages are compared
            ),
        )


def is_absent(server: dict[str, Any]) -> bool:
    """Whether the node's own instance is meant, and is not there or cannot be asked: in check mode, before a deploy."""
    if server["managed"]:
        return False
    return not is_installed() or not Path(server["socket"], f".s.PGSQL.{server['port']}").exists()


def place(server: dict[str, Any]) -> dict[str, Any]:
    """Where a server is, as libpq's parameters: at the node's own socket, or a managed one's address."""
    where = server["managed"] or {"host": server["socket"], "port": server["port"]}
    known = ("host", "port", "sslmode", "sslrootcert")
    return {name: where[name] for name in known if where.get(name) is not None}


def administer(database: str, server: dict[str, Any]) -> Any:
    """A psycopg2 connection as who administers the server: over the node's own socket, or to a managed one.

    Args:
        database: its name.
        server: parameters of the options in SERVER.

    Raises:
        psycopg2.Error: the server does not answer, refuses, or has no such database.
    """
    if not server["managed"]:
        return connect(database, server["port"], server["socket"])
    given = {name: value for name, value in server["managed"].items() if value is not None}
    return _open(**{"connect_timeout": 10, "options": options()} | given | {"dbname": database})


def log_in_as(role: str, password: str, database: str, server: dict[str, Any], acting_for: str) -> Any:
    """A psycopg2 connection of a role that is no superuser, to where administer() goes, in a transaction.

    For what changes an owner's tables: triggers, defaults and casts of the owner's run there, and nothing that runs in
    such a session can become more than the role is. A superuser's SET ROLE could be taken back by it.

    Args:
        role: with a password, a member of `acting_for`.
        acting_for: the role whose rights count.

    Raises:
        psycopg2.Error: refused, or not reachable.
    """
    return _open(
        **place(server),
        dbname=database,
        user=role,
        password=password,
        connect_timeout=10,
        options=options(role=acting_for),
    )


_AS_JSON = "SELECT pg_catalog.to_jsonb(q) FROM (:query) AS q"
_SEEN = """
    CREATE FUNCTION pg_temp.seen() RETURNS SETOF jsonb LANGUAGE plpgsql SECURITY DEFINER
      SET search_path = pg_catalog, pg_temp AS %s;
    ALTER FUNCTION pg_temp.seen() OWNER TO ":role";
    SET LOCAL lock_timeout = '30s';
    SET TRANSACTION READ ONLY
"""


def rows_seen_by(connection: Any, role: str, query: str, parameters: Any = None) -> list[dict[str, Any]]:
    """As rows(), with the rights of `role` instead of the superuser's whose connection it is: for an owner's tables.

    To read a table is to evaluate what its owner defined: casts, functions in indexes and constraints, views. Inside a
    SECURITY DEFINER function that cannot take the superuser's rights back. It is made for this one query, in a
    transaction that may write nothing and is rolled back, so that nothing is left to run later: no trigger, no setting.

    Args:
        connection: a superuser's, outside of a transaction.
        role: without LOGIN, or with.
    """
    with connection.cursor() as cursor:
        text = cursor.mogrify(query, parameters).decode().rstrip().rstrip(";")
        asked = cursor.mogrify("BEGIN RETURN QUERY EXECUTE %s; END", (_AS_JSON.replace(":query", text),)).decode()
        make = cursor.mogrify(_SEEN.replace(":role", role.replace('"', '""')), (asked,))
        autocommit, connection.autocommit = connection.autocommit, False
        try:
            cursor.execute(make)
            cursor.execute("SELECT * FROM pg_temp.seen()")
            return [dict(row[0]) for row in cursor.fetchall()]
        finally:
            connection.rollback()
            connection.autocommit = autocommit


def rows(connection: Any, query: str, parameters: Any = None) -> list[dict[str, Any]]:
    """Every row of a query as a dict; none for a command that returns no rows."""
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute(query, parameters)
        return [dict(row) for row in cursor.fetchall()] if cursor.description else []


def blocks(text: str) -> dict[str, str]:
    """Statements of a .sql file by the name in the `-- name: x` line above each."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("-- name: "):
            name = line.removeprefix("-- name: ").strip()
            found[name] = ""
        elif name:
            found[name] += line + "\n"
    return found
