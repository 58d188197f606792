"""The node's PgBouncer: asked and told over its console, as its own OS user."""

from __future__ import annotations

import re
import subprocess
import time
from typing import Any

from . import pg

UNIT = "pgbouncer.service"
OS_USER = "pgbouncer"
# The words PgBouncer complains about its files with; "(no such file)" and the like end in "could not".
_COMPLAINT = re.compile(r"could not|cannot|invalid|unknown|syntax|failed|refus|too (long|large)|not supported", re.I)
START_DEADLINE = 30  # seconds until a started pooler must answer


class RejectedError(Exception):
    """PgBouncer refuses its configuration; the text is its own."""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False)


class Pooler:
    """The node's PgBouncer, administered as its own OS user over its socket."""

    def __init__(self, port: int, socket: str) -> None:
        self.port, self.socket = port, socket

    @property
    def running(self) -> bool:
        return run("systemctl", "is-active", "--quiet", UNIT).returncode == 0

    def ask(self, command: str) -> list[dict[str, Any]]:
        """Rows of a console command."""
        with pg.acting_as(OS_USER):
            connection = pg.login(host=self.socket, port=self.port, user="pgbouncer", dbname="pgbouncer")
        try:
            return pg.rows(connection, command)
        finally:
            connection.close()

    def version(self) -> str:
        return str(next(iter(self.ask("SHOW VERSION")[0].values())))

    def config(self) -> dict[str, dict[str, Any]]:
        """Every setting of the running pooler: its `value`, and whether it is `changeable` by a reload."""
        return {row["key"]: row for row in self.ask("SHOW CONFIG")}

    def restart(self) -> None:
        """Starts or restarts the service.

        Raises:
            RejectedError: it does not come up, or complains about its files; the text is its own.
        """
        cursor = self._cursor()
        run("systemctl", "daemon-reload")
        run("systemctl", "reset-failed", UNIT)
        done = run("systemctl", "restart", UNIT)
        deadline = time.monotonic() + START_DEADLINE
        while True:
            answer = done.stderr.strip()
            if done.returncode == 0:
                try:
                    self.ask("SHOW VERSION")
                    break
                except pg.Error as problem:
                    answer = str(problem).strip()
            if done.returncode or time.monotonic() > deadline or not self.running:
                raise RejectedError(self._complaints(cursor) or answer)
            time.sleep(0.1)
        if complaints := self._complaints(cursor):
            raise RejectedError(complaints)

    def reload(self) -> None:
        """Reloads.

        Raises:
            RejectedError: it could not read or use its files. RELOAD itself succeeds even when the hba file
                cannot be read (and then nobody gets in), so that its log has to be asked.
        """
        cursor = self._cursor()
        try:
            self.ask("RELOAD")
        except pg.Error as problem:
            raise RejectedError(self._complaints(cursor) or str(problem).strip()) from problem
        if complaints := self._complaints(cursor):
            raise RejectedError(complaints)

    def _cursor(self) -> str:
        """The journal's present end."""
        last = run("journalctl", "-q", "-n", "0", "--show-cursor").stdout
        return last.partition("-- cursor: ")[2].strip()

    def _complaints(self, cursor: str) -> str:
        """What PgBouncer said against its configuration since then; lines about single connections are not meant."""
        run("journalctl", "--sync")
        journal = run("journalctl", "-q", "-u", UNIT, "--after-cursor", cursor, "-o", "cat").stdout.splitlines()
        lines = [line for line in journal if _COMPLAINT.search(line) and not re.match(r"[CS]-0x", line)]
        return "\n".join(dict.fromkeys(lines))


def userlist(text: str) -> dict[str, str]:
    """Users of an auth file with their verifiers."""
    entries = re.finditer(r'^"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"', text, re.M)
    return {match[1].replace('""', '"'): match[2] for match in entries}


def differing(settings: dict[str, Any], config: dict[str, dict[str, Any]]) -> list[str]:
    """Declared settings that the running pooler has another value for, or does not know."""
    found = []
    for name, declared in settings.items():
        if name not in config or not same(str(declared), str(config[name]["value"])):
            found.append(name)
    return found


def same(declared: str, running: str) -> bool:
    """Whether two spellings mean the same: spaces in lists, and numbers written as text."""

    def plain(text: str) -> str:
        return re.sub(r"\s*,\s*", ",", text.strip())

    return plain(declared) == plain(running)
