"""The kinds of checks that a checks.yml may name: each is asked on the node and answered by lines of the checklist."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from . import login, pg, schema_project, tenancy, tenancy_clients
from .login import Line
from .pooler import Pooler, run, same

COLUMNS = ("title", "ok", "found", "fix")  # what a query returns; `look` and `area` may be there
COMMAND_SECONDS = 300  # longer than a command may take
SHOWN = 3  # values, of all that were found
# What no query and no login can ask, by the room that it is of.
LABORATORIES = {"schema": schema_project.lines, "tenancy": tenancy_clients.lines}


class Asker:
    """Asks one check after another; whatever goes wrong with one is its red line, and the next one is asked.

    Args:
        server: parameters of the options in pg.SERVER: where queries go.
        passwords: by the names of secrets.
    """

    def __init__(self, server: dict[str, Any], passwords: dict[str, str]) -> None:
        self.server, self.passwords = server, passwords
        self.connections: dict[tuple[str, bool], Any] = {}
        self.told: set[tuple[str, str, str]] = set()

    def lines(self, check: dict[str, Any]) -> list[Line]:
        """What a check is answered; where others of its title failed by the same, a server that is down, nothing more.

        Args:
            check: area, title and fix, and under the name of its kind what that needs.
        """
        kind = next(kind for kind in KINDS if kind in check)
        try:
            return KINDS[kind](self, check[kind], check)
        except Exception as problem:  # whatever it is: a check may be of a kind that nobody thought of
            fix = check.get("fix") or "correct the check; or see the server's log"
            line = Line(check["area"], check["title"], False, text(problem), fix)
            known = (line.area, line.title, line.found)
            lines = [] if known in self.told else [line]
            self.told.add(known)
            return lines

    def query(self, asked: dict[str, Any], check: dict[str, Any]) -> list[Line]:
        """Rows of SQL, which may change nothing; with the rights of `role`, where it asks for an owner's tables."""
        sql = tenancy.render(asked["sql"], asked["names"]) if "names" in asked else asked["sql"]
        parameters = asked.get("parameters") or None  # without any, a % is a %
        connection = self._connection(asked.get("database", "postgres"), "role" in asked)
        try:
            if "role" in asked:
                rows = pg.rows_seen_by(connection, asked["role"], sql, parameters)
            else:
                rows = pg.rows(connection, sql, parameters)
        finally:
            if not connection.closed:
                connection.rollback()
        if not rows:
            raise ValueError("the query returned no row")
        if missing := [name for name in COLUMNS if name not in rows[0]]:
            raise ValueError(f"the query returns no column {', '.join(missing)}")
        return [
            Line(
                str(row.get("area") or check["area"]),
                str(row["title"]),
                row["ok"] is True,
                str(row["found"] or ""),
                str(row["fix"] or ""),
                row.get("look") is True,
            )
            for row in rows
        ]

    def _connection(self, database: str, writes: bool) -> Any:
        """To a database; kept for the next question."""
        known = self.connections.get((database, writes))
        if known is None or known.closed:
            known = pg.administer(database, self.server)
            known.set_session(readonly=not writes)
            self.connections[database, writes] = known
        return known

    def login(self, asked: dict[str, Any], check: dict[str, Any]) -> list[Line]:
        return login.check(asked, self.passwords[asked["secret"]], check)

    def console(self, asked: dict[str, Any], check: dict[str, Any]) -> list[Line]:
        """What the pooler shows, by the first column: values of one column, of one row, or no other rows than these."""
        shown = {str(next(iter(row.values()))): row for row in Pooler().ask(f"SHOW {asked['show']}")}
        if "only" in asked:
            return [_line(check, sorted(shown.keys() - set(asked["only"])), "none")]
        row = asked.get("row")
        if row is not None and row not in shown:
            raise ValueError(f"SHOW {asked['show']} does not list it")
        have = shown[row] if row is not None else {name: shown[name][asked["column"]] for name in shown}
        return [_line(check, differing(asked["expected"], have), _brief(asked["expected"], have))]

    def given(self, found: list[str], check: dict[str, Any]) -> list[Line]:
        """What a task before this one found to differ."""
        return [_line(check, found, "no difference")]

    def unit(self, name: str, check: dict[str, Any]) -> list[Line]:
        """A systemd unit that runs, and starts at boot."""
        shown = run("systemctl", "show", "--property=ActiveState,UnitFileState", name).stdout
        states = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        found = f"{states.get('ActiveState') or 'unknown'} and {states.get('UnitFileState') or '-'}"
        return [_line(check, [found] if found != "active and enabled" else [], found)]

    def command(self, argv: list[str], check: dict[str, Any]) -> list[Line]:
        """A command that ends with 0; what it said last."""
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, errors="replace",
            timeout=COMMAND_SECONDS,
        )  # fmt: skip
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = said[-1] if said else f"ended with {done.returncode}"
        return [_line(check, [last] if done.returncode else [], last)]

    def age(self, asked: dict[str, Any], check: dict[str, Any]) -> list[Line]:
        """A file, the newest of a pattern, that is not older than so many hours."""
        stamps = {path: path.stat().st_mtime for path in Path("/").glob(asked["path"].lstrip("/"))}
        if not stamps:
            raise ValueError(f"there is no {asked['path']}")
        newest = max(stamps, key=lambda path: stamps[path])
        hours = (time.time() - stamps[newest]) / 3600
        found = f"{newest} is {hours:.1f} hours old"
        return [_line(check, [found] if hours > asked["hours"] else [], found)]

    def lab(self, asked: dict[str, Any], check: dict[str, Any]) -> list[Line]:
        return LABORATORIES[asked["name"]](asked, self.passwords[asked["secret"]], self.server, check)

    def broken(self, problem: str, check: dict[str, Any]) -> list[Line]:
        """What could not even be written out, on the control node."""
        return [_line(check, [problem], "")]


KINDS = {
    name: getattr(Asker, name)
    for name in ("query", "login", "console", "given", "unit", "command", "age", "lab", "broken")
}


def differing(expected: dict[str, Any], have: dict[str, Any]) -> list[str]:
    """Expected values, or one of several each, that are other ones: C(name = what it is)."""
    return [
        f"{name} = {have.get(name, '(unknown)')}"
        for name, wanted in expected.items()
        if name not in have
        or not any(same(str(one), str(have[name])) for one in (wanted if isinstance(wanted, list) else [wanted]))
    ]


def _brief(expected: dict[str, Any], have: dict[str, Any]) -> str:
    if len(expected) > SHOWN:
        return f"{len(expected)} values as declared"
    return ", ".join(f"{name} = {have.get(name)}" for name in expected)


def _line(check: dict[str, Any], wrong: list[str], found: str) -> Line:
    """A line that holds where nothing is wrong; a check may say itself what is found then."""
    differs = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return Line(check["area"], check["title"], not wrong, differs or check.get("found", found), check.get("fix", ""))


def text(problem: Exception) -> str:
    """What is wrong, for people."""
    if isinstance(problem, (pg.Error, ValueError, OSError)):
        return login.short(problem)
    return f"{type(problem).__name__}: {problem}"
