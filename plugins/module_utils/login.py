"""Logs in as an application would, and tries what it may and may not do."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from typing import Any

from . import pg

DENIED = "42501"  # insufficient_privilege
HARMLESS = "cannot create, escalate or run programs"
# PgBouncer's answer to the first client after a server connection failed: it is about that one, and only now another
# is tried.
STALE = "server login has been failing"
DROPPED = "let in, and disconnected before an answer; the pooler's log says why"  # libpq may lose what it was told

# How PostgreSQL 15 to 18 and PgBouncer 1.18 to 1.26 say that it is this client they do not want. A connection that
# fails has no SQLSTATE in libpq, and everything else - a full pool, a limit, a dead server - refuses nobody.
_REFUSALS = re.compile(
    r"""
    (password|SCRAM|SASL|peer|ident|certificate|"trust")\ authentication\ failed  # also of an expired password
    | authentication\ failed\ for\ user
    # PostgreSQL
    | no\ pg_hba\.conf\ entry\ for
    | pg_hba\.conf\ rejects\ connection
    | role\ ".*"\ (does\ not\ exist|is\ not\ permitted\ to\ log\ in)
    | permission\ denied\ for\ database\ "
    # PgBouncer
    | no\ authentication\ method\ is\ found  # no line of its hba file
    | (unix\ socket\ )?login\ rejected
    | no\ such\ user
    | SSL\ required | TLS\ connection\ required | TLS\ client\ certificate\ required
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Line:
    """One line of the checklist.

    Args:
        area: what it is about: "server", "pooler", "role x", "database x".
        title: the statement that should hold.
        ok: whether it does.
        found: what the running system answered.
        fix: what to do where it does not hold.
        look: it holds, and what was found is for people to decide: `fix` says how.
    """

    area: str
    title: str
    ok: bool
    found: str
    fix: str = ""
    look: bool = False


def as_dicts(lines: list[Line]) -> list[dict[str, Any]]:
    """For a module's result."""
    return [asdict(line) for line in lines]


def login(asked: dict[str, Any], password: str) -> Any:
    """A connection in autocommit mode.

    Args:
        asked: `host`, `port`, `database`, `role`, perhaps `sslmode`.
        password: of the role.

    Raises:
        pg.Error: refused, or not reachable.
    """
    return pg.login(
        host=asked["host"],
        port=asked["port"],
        dbname=asked["database"],
        user=asked["role"],
        password=password,
        sslmode=asked.get("sslmode", "require"),
        application_name="pgstead verify",
    )


def refusal(connection: Any, statement: str) -> str:
    """SQLSTATE with which a statement is refused, "" where it is not; nothing it did stays."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN READ WRITE")  # whatever the role's default is
        try:
            cursor.execute(statement)
        except pg.Error as problem:
            return str(problem.pgcode or "unknown")
        finally:
            if not connection.closed:
                cursor.execute("ROLLBACK")
    return ""


def short(problem: Exception) -> str:
    """The last line of a connection error: what the server said."""
    lines = str(problem).strip().splitlines() or ["no message"]
    text = lines[0]
    for mark in ("FATAL:", "ERROR:"):
        if mark in text:
            return text.split(mark, 1)[1].strip()
    return text


def is_refusal(problem: Exception) -> bool:
    """Whether a connection failed because of who asked, and not for any other reason."""
    return bool(_REFUSALS.match(short(problem)))


def check(asked: dict[str, Any], password: str, said: dict[str, Any]) -> list[Line]:
    """That a role gets in where it is expected to, with its own password alone, or does not where it is not.

    Args:
        asked: as of login(); `expected`, "in" or "refused"; and where the role is to be without power inside,
            `powerless`, the `owner` of the database, and whether the role has `writers`.
        password: of the role.
        said: area, title and fix of the first line.
    """
    area, answer, connection = said["area"], *_answer(asked, password)
    if asked["expected"] == "refused":
        if connection:
            connection.close()
        return [Line(area, said["title"], answer.refused, answer.text, said["fix"])]
    if not connection:
        return [Line(area, said["title"], False, answer.text, said["fix"])]
    lines = [Line(area, said["title"], True, f"{answer.text}, over TLS")]
    answer, wrong = _answer(asked, password + "x")
    if wrong:
        wrong.close()
    fix = "look for `trust` in hba files; where nobody is refused, see why the connection failed"
    lines.append(Line(area, "is refused with a wrong password", answer.refused, answer.text, fix))
    if asked.get("powerless"):
        try:
            lines.append(_cannot(connection, area, asked))
        except pg.Error as problem:  # the connection broke
            lines.append(Line(area, HARMLESS, False, short(problem), "see the server's log"))
    connection.close()
    return lines


@dataclass(frozen=True)
class _Answer:
    """What a login got.

    Args:
        text: for people.
        refused: whether it is this client that is not wanted.
    """

    text: str
    refused: bool


def _answer(asked: dict[str, Any], password: str) -> tuple[_Answer, Any]:
    """What a login gets, and the connection, None where there is none."""
    for wait in (1, 1, 0):  # seconds
        try:
            return _Answer("logged in", False), _served(asked, password)
        except pg.Error as problem:
            answer = _Answer(short(problem), is_refusal(problem))
        if STALE not in answer.text and answer.text != DROPPED:
            break
        time.sleep(wait)
    return answer, None


def _served(asked: dict[str, Any], password: str) -> Any:
    """A connection that a server answers on: the pooler lets clients in before it has one."""
    connection = login(asked, password)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except pg.Error as problem:
        dropped = connection.closed and STALE not in str(problem)
        connection.close()
        if dropped:
            raise pg.Error(DROPPED) from problem
        raise
    return connection


def _cannot(connection: Any, area: str, asked: dict[str, Any]) -> Line:
    """What neither an app nor a readonly role may do, tried for real in transactions that are rolled back."""
    attempts = {
        "create a table": "CREATE TABLE public.pgstead_probe ()",
        "create a temporary table": "CREATE TEMP TABLE pgstead_probe ()",
        "create a schema": "CREATE SCHEMA pgstead_probe",
        "read password hashes": "SELECT rolpassword FROM pg_catalog.pg_authid LIMIT 1",
        "run programs": "COPY (SELECT 1) TO PROGRAM 'true'",
        "become the owner": f'SET LOCAL ROLE "{asked["owner"]}"',
        "become superuser": 'SET LOCAL ROLE "postgres"',
        "create roles": "CREATE ROLE pgstead_probe",
    }
    if not asked["writers"]:
        attempts["make a large object"] = "SELECT lo_create(0)"
    answers = {what: refusal(connection, statement) for what, statement in attempts.items()}
    allowed = [
        f"{what}{f' (refused with {state} only)' * bool(state)}" for what, state in answers.items() if state != DENIED
    ]
    found = f"allowed: {', '.join(allowed)}" if allowed else f"{len(attempts)} of {len(attempts)} attempts refused"
    return Line(area, HARMLESS, not allowed, found, "deploy with postgresql_prune=true")
