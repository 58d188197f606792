"""Logs in as an application would, and tries what it may and may not do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from . import pg

DENIED = "42501"  # insufficient_privilege


@dataclass(frozen=True)
class Line:
    """One line of the checklist.

    Args:
        area: what it is about: "server", "pooler", "role x", "database x".
        title: the statement that should hold.
        ok: whether it does.
        found: what the running system answered.
        fix: what to do where it does not hold.
    """

    area: str
    title: str
    ok: bool
    found: str
    fix: str = ""


def as_dicts(lines: list[Line]) -> list[dict[str, Any]]:
    """For a module's result."""
    return [asdict(line) for line in lines]


@dataclass(frozen=True)
class Endpoint:
    """Where to log in.

    Args:
        name: "pooled" or "direct".
        host: address.
        port: port.
    """

    name: str
    host: str
    port: int


def login(endpoint: Endpoint, database: str, role: str, password: str, sslmode: str = "require") -> Any:
    """A connection in autocommit mode.

    Raises:
        pg.Error: refused, or not reachable.
    """
    return pg.login(
        host=endpoint.host,
        port=endpoint.port,
        dbname=database,
        user=role,
        password=password,
        sslmode=sslmode,
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


def check_logins(model: dict[str, Any], endpoint: Endpoint, passwords: dict[str, str]) -> list[Line]:
    """For every login role: that it gets in here if declared, and does not if not; and what it cannot do inside.

    Args:
        model: as pgstead_platform.model expands it.
        endpoint: the pooled or the direct one.
        passwords: by the roles' `secret`.
    """
    lines: list[Line] = []
    owners = {database["name"]: database["owner"] for database in model["databases"]}
    for role in model["roles"]:
        if not role["login"]:
            continue
        area = f"role {role['name']}"
        for database in [role["database"]] if role["database"] else owners:
            lines += _check_role(role, area, database, owners[database], endpoint, passwords)
    return lines


def _check_role(
    role: dict[str, Any], area: str, database: str, owner: str, endpoint: Endpoint, passwords: dict[str, str]
) -> list[Line]:
    wanted = endpoint.name in role["endpoints"]
    try:
        connection = login(endpoint, database, role["name"], passwords[role["secret"]])
    except pg.Error as problem:
        if wanted:
            title = f"logs in to {database} by the {endpoint.name} URL"
            return [Line(area, title, False, short(problem), "deploy; then compare vault.yml with the stored password")]
        return [Line(area, f"is refused by the {endpoint.name} URL", True, short(problem))]
    if not wanted:
        connection.close()
        fix = f"deploy; or declare endpoints: [{endpoint.name}] if it may"
        return [Line(area, f"is refused by the {endpoint.name} URL", False, "logged in", fix)]
    lines = [Line(area, f"logs in to {database} by the {endpoint.name} URL", True, "logged in, over TLS")]
    try:
        wrong = login(endpoint, database, role["name"], passwords[role["secret"]] + "x")
        wrong.close()
        lines.append(
            Line(area, "is refused with a wrong password", False, "logged in", "look for `trust` in hba files")
        )
    except pg.Error as problem:
        lines.append(Line(area, "is refused with a wrong password", True, short(problem)))
    if role["kind"] in ("app", "readonly"):
        lines.append(_cannot(connection, area, role, owner))
    connection.close()
    return lines


def _cannot(connection: Any, area: str, role: dict[str, Any], owner: str) -> Line:
    """What neither an app nor a readonly role may do, tried for real in transactions that are rolled back."""
    attempts = {
        "create a table": "CREATE TABLE public.pgstead_probe ()",
        "create a temporary table": "CREATE TEMP TABLE pgstead_probe ()",
        "create a schema": "CREATE SCHEMA pgstead_probe",
        "read password hashes": "SELECT rolpassword FROM pg_catalog.pg_authid LIMIT 1",
        "run programs": "COPY (SELECT 1) TO PROGRAM 'true'",
        "become the owner": f'SET LOCAL ROLE "{owner}"',
        "become superuser": 'SET LOCAL ROLE "postgres"',
        "create roles": "CREATE ROLE pgstead_probe",
    }
    answers = {what: refusal(connection, statement) for what, statement in attempts.items()}
    allowed = [
        f"{what}{f' (refused with {state} only)' * bool(state)}" for what, state in answers.items() if state != DENIED
    ]
    found = f"allowed: {', '.join(allowed)}" if allowed else f"{len(attempts)} of {len(attempts)} attempts refused"
    return Line(
        area, "cannot create, escalate or run programs", not allowed, found, "deploy with postgresql_prune=true"
    )
