"""A database and its sqitch project: what it lacks, how that is deployed, and what the checklist says of it."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from . import pg, sqitch
from .files import Change
from .login import Line

HOME = Path("/var/lib/pgstead/schemas")


class RefusedError(Exception):
    """A project does not fit its database; the text says what to do."""


class Schema:
    """A database and its project.

    Args:
        wanted: as the filter C(pgstead.platform.projects) has it.
        password: of its migrator.
        server: parameters of the options in pg.SERVER.
        is_check: whether the database may not be there yet.

    Raises:
        ValueError: the plan is none.
    """

    def __init__(self, wanted: dict[str, Any], password: str, server: dict[str, Any], is_check: bool = False) -> None:
        self.server, self.password, self.is_check = server, password, is_check
        self.who: str = wanted["who"]
        self.database: str = wanted["database"]
        self.owner: str = wanted["owner"]
        self.migrator: str = wanted["migrator"]
        self.files: dict[str, str] = wanted["files"]
        self.folder = HOME / self.database
        self.project = sqitch.parse(self.files)
        self.registered, self.deployed = self._registry()

    def _registry(self) -> tuple[list[str], list[sqitch.Change]]:
        """The projects that the database has, and the changes of this one, in the order they were deployed."""
        if self.is_check and pg.is_absent(self.server):
            return [], []
        try:
            with closing(pg.administer(self.database, self.server)) as connection:
                if not pg.rows(connection, "SELECT 1 WHERE to_regclass('sqitch.changes') IS NOT NULL"):
                    return [], []
                connection.rollback()
                # The owner's own, and perhaps a view by now.
                query = "SELECT project, change, script_hash FROM sqitch.changes ORDER BY committed_at"
                rows = pg.rows_seen_by(connection, self.owner, query)
        except pg.Error as problem:
            if self.is_check and "does not exist" in str(problem):
                return [], []
            raise
        own = [row for row in rows if row["project"] == self.project.name]
        changes = [sqitch.Change(row["change"], "", row["script_hash"] or "") for row in own]
        return sorted({row["project"] for row in rows}), changes

    @property
    def pending(self) -> list[str]:
        return [change.name for change in sqitch.pending(self.project, self.deployed)]

    @property
    def last(self) -> str:
        return self.deployed[-1].name if self.deployed else "none"

    def misfit(self) -> str:
        """Why the plan cannot go on from what is deployed, "" where it can."""
        return sqitch.stranger(self.project, self.registered) or sqitch.misplaced(self.project, self.deployed)

    def check(self) -> None:
        """Raises RefusedError where the project does not fit its database."""
        if reason := self.misfit() or sqitch.edited(self.project, self.deployed):
            raise RefusedError(f"database {self.database}: {reason}. Nothing was changed.")

    def changes(self) -> list[Change]:
        """The project's files on the node that are not yet what they should be."""
        wishes = [self._file(path, content) for path, content in self.files.items()]
        present = [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]
        wishes += [self._file(path, None) for path in present if path not in self.files]
        return [change for change in map(Change, wishes) if change.needed]

    def _file(self, path: str, content: str | None) -> dict[str, Any]:
        state = "absent" if content is None else "present"
        return {
            "dest": str(self.folder / path), "content": content, "state": state, "mode": "0644",
            "owner": "root", "group": "root", "secret": False,
        }  # fmt: skip

    def sqitch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs sqitch on the node's copy; logged in as the migrator, acting as the owner role.

        Scripts run what the owner defined, triggers for example, and that could take a superuser's SET ROLE back.
        """
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": "/var/lib/postgresql",
            "LC_ALL": "C.UTF-8",
            **{f"PG{name.upper()}": str(value) for name, value in pg.place(self.server).items()},
            "PGUSER": self.migrator,
            "PGPASSWORD": self.password,
            "PGOPTIONS": pg.options(role=self.owner, search_path="public"),
            "PGAPPNAME": "pgstead",
            # What sqitch writes down of who deployed, and no settings but the project's own.
            "SQITCH_FULLNAME": "pgstead",
            "SQITCH_EMAIL": self.who,
            "SQITCH_USER_CONFIG": os.devnull,
            "SQITCH_SYSTEM_CONFIG": os.devnull,
        }
        where = ("--target", f"db:pg:{self.database}", "--registry", "sqitch")
        argv = ["runuser", "-u", pg.OS_USER, "--", "sqitch", arguments[0], *where, *arguments[1:]]
        return subprocess.run(
            argv, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, errors="replace",
        )  # fmt: skip

    def deploy(self) -> str:
        """Deploys what is pending; what went wrong, "" where nothing did."""
        done = self.sqitch("deploy", "--verify", "--mode", "change")
        _, self.deployed = self._registry()
        if not done.returncode and not self.pending:
            return ""
        said = sqitch.complaint(done.stderr) or sqitch.complaint(done.stdout)
        failed = self.pending[0] if self.pending else "none"
        return (
            f"database {self.database}: change {failed} failed; the database is at the last verified change, "
            f"{self.last}:\n{said}\nCorrect the change, then run this again: it goes on there."
        )

    def diff(self, new: list[str]) -> dict[str, str]:
        header = f"schema of {self.database}"
        after = "".join(f"{self.project.name}: {name}\n" for name in new)
        return {"before_header": header, "after_header": header, "before": "", "after": after}

    def lines(self, area: str) -> list[Line]:
        """What the checklist says of this database."""
        total = len(self.project.changes)
        misfit, edited = self.misfit(), sqitch.edited(self.project, self.deployed)
        at = f"{len(self.deployed)} of {total} changes, the last is {self.last}"
        found = [
            Line(area, f"is at the last change of {self.project.name}", not misfit and not self.pending, misfit or at,
                 "pgstead deploy"),
            Line(area, "was deployed from the scripts as they are", not edited, edited or "none was edited since",
                 "put the script back, and add a new change"),
        ]  # fmt: skip
        title = "holds what its verify scripts demand"
        if not (self.folder / sqitch.PLAN).is_file():
            return [*found, Line(area, title, False, f"{self.folder} is not there", "pgstead deploy")]
        done = self.sqitch("verify")
        said = "; ".join((sqitch.complaint(done.stderr) or sqitch.complaint(done.stdout)).splitlines())
        text, fix = said if done.returncode else "sqitch verify", "put back what was changed by hand, or add a change"
        return [*found, Line(area, title, not done.returncode, text, fix)]


def lines(asked: dict[str, Any], password: str, server: dict[str, Any], check: dict[str, Any]) -> list[Line]:
    """The lines of one database; arguments as of tenancy_clients.lines."""
    return Schema(asked, password, server).lines(check["area"])
