"""The tenancy's laboratory: clients that come as the app role does, without a context, with a made-up one, and twice on
one server connection. Everything they do is rolled back; no row is written or shown.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any

from . import login, pg, tenancy, token
from .login import DENIED, Line
from .reconcile import ident, literal

# A tenant that nobody is, by the type of tenants' ids.
OTHERS: dict[str, Callable[[], Any]] = {
    "uuid": uuid.uuid4,
    "bigint": lambda: -(uuid.uuid4().int >> 66),
    "integer": lambda: -(uuid.uuid4().int >> 98),
    "text": uuid.uuid4,
}
MEETING_SECONDS = 10.0  # how long two clients are tried to be brought onto one server connection


def lines(asked: dict[str, Any], password: str, server: dict[str, Any], check: dict[str, Any]) -> list[Line]:
    """What the clients of one database met.

    Args:
        asked: `tenancy` of the expanded database; `sql` that names tables which a line may be said of; where to come:
            `host`, `port`, `database`, `role`, and whether that is `pooled`.
        password: of the role.
        server: parameters of the options in pg.SERVER.
        check: area, and what to do where a line does not hold.
    """
    with closing(pg.administer(asked["database"], server)) as connection:
        connection.autocommit = True
        names = asked["tenancy"] | {"role": asked["role"]}
        tables = [row["name"] for row in pg.rows(connection, tenancy.render(asked["sql"], names))]
        # Of the database, so that no key comes here (whether it is the declared one is said by another line); where it
        # has none, one that it does not take.
        keys = token.blocks_in(connection, asked["tenancy"]["schema"]) if asked["tenancy"]["token"] else []
    if not tables:
        return []
    client = Clients(asked, password, tables, keys[0] if keys else token.blocks(str(uuid.uuid4())))
    found = []
    for title, (question, answer) in client.questions().items():
        try:
            with closing(client.connect()) as connection:
                wrong = question(connection)
        except pg.Error as problem:
            wrong = [login.short(problem)]
        found.append(Line(check["area"], title, not wrong, "; ".join(wrong[:3]) or answer, check["fix"]))
    return found


def complaint(problem: Any) -> str:
    """What is wrong with an error, "" where it is the one for a missing context."""
    text = login.short(problem)
    return "" if problem.pgcode == DENIED and text.startswith("tenant context") else text


class Clients:
    """Clients of one database's app role, as an application has them.

    Args:
        asked, password: as of lines().
        tables: names of tenant tables.
        key: the two blocks of the key that tenant tokens are signed with, where there are tokens.
    """

    def __init__(self, asked: dict[str, Any], password: str, tables: list[str], key: tuple[bytes, bytes]) -> None:
        self.asked, self.password, self.tables, self.key = asked, password, tables, key
        self.tenancy = asked["tenancy"]

    def questions(self) -> dict[str, tuple[Callable[[Any], list[str]], str]]:
        """Title -> what is asked on a connection, and what is found where it answers nothing wrong."""
        setting, made_up = self.tenancy["setting"], self.stranger()
        way = "through the pooler" if self.asked["pooled"] else "at the server"
        count = f"{len(self.tables)} tables, as {self.asked['role']} {way}"
        questions: dict[str, tuple[Callable[[Any], list[str]], str]] = {
            "refuses who set no tenant": (self.unbound, f"42501 from {count}"),
            f"refuses who only sets {setting}": (
                lambda connection: self.unbound(connection, f"SET LOCAL {setting} = {literal(made_up)}"),
                f"42501 from {count}",
            ),
            "shows nothing to a tenant that nobody is": (self.seen, f"0 rows in {count}"),
        }
        if self.asked["pooled"]:
            answer = "one server connection served both"
            questions["keeps a context from the next client"] = (lambda _: self.meet(), answer)
        if self.tenancy["token"]:
            questions["takes a tenant by a signed token alone"] = (self.taken, "42501 for all others")
        return questions

    def connect(self) -> Any:
        return login.login(self.asked, self.password)

    def context(self) -> str:
        """SQL that sets the context of a tenant that nobody is."""
        return self.call(token.sign_with(self.key, self.stranger()) if self.tenancy["token"] else self.stranger())

    def call(self, tenant: str) -> str:
        """SQL that sets a context by an id, or by a token."""
        return f"SELECT {ident(self.tenancy['schema'])}.set_tenant({literal(tenant)})"

    def stranger(self) -> str:
        """The id of a tenant that nobody is."""
        return str(OTHERS[self.tenancy["type"]]())

    def taken(self, connection: Any) -> list[str]:
        """Tokens that are accepted and should not be."""
        bad = {
            "an id instead of a token": self.stranger(),
            "a token signed with another key": token.sign(str(uuid.uuid4()), self.stranger()),
            "an expired token": token.sign_with(self.key, self.stranger(), -60),
        }
        accepted = []
        for what, text in bad.items():
            with connection.cursor() as cursor:
                try:
                    cursor.execute(self.call(text))
                    accepted.append(f"{what} is accepted")
                except pg.Error as problem:
                    if problem.pgcode != DENIED:
                        accepted.append(f"{what}: {login.short(problem)}")
        return accepted

    def unbound(self, connection: Any, *before: str) -> list[str]:
        """Tables that do not refuse to be read after these statements, all in one transaction that is rolled back."""
        open_tables = []
        for table in self.tables:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                try:
                    for statement in before:
                        cursor.execute(statement)
                    cursor.execute(f"SELECT FROM {table} LIMIT 1")
                    open_tables.append(f"{table} can be read")
                except pg.Error as problem:
                    if text := complaint(problem):
                        open_tables.append(f"{table}: {text}")
                finally:
                    cursor.execute("ROLLBACK")
        return open_tables

    def seen(self, connection: Any) -> list[str]:
        """Tables in which a tenant that nobody is sees rows."""
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                cursor.execute(self.context())
                found = []
                for table in self.tables:
                    cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")
                    found += [table] if cursor.fetchone()[0] else []
                return found
            finally:
                cursor.execute("ROLLBACK")

    def meet(self) -> list[str]:
        """One client sets a context, the next comes onto the same server connection: what it finds there."""
        deadline = time.monotonic() + MEETING_SECONDS
        table = self.tables[0]
        with closing(self.connect()) as first, closing(self.connect()) as second:
            while time.monotonic() < deadline:
                with first.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute(self.context())
                    cursor.execute(f"SELECT pg_backend_pid() FROM (SELECT count(*) FROM {table}) AS rows")
                    before = cursor.fetchone()[0]
                    cursor.execute("COMMIT")
                with second.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute("SELECT pg_backend_pid()")
                    same = cursor.fetchone()[0] == before
                    answer = ""
                    try:
                        cursor.execute(f"SELECT FROM {table} LIMIT 1")
                        answer = "rows could be read"
                    except pg.Error as problem:
                        answer = complaint(problem)
                    cursor.execute("ROLLBACK")
                if answer or same:
                    return [answer] if answer else []
        return [f"two clients never got the same server connection in {MEETING_SECONDS:.0f} s; run it again"]
