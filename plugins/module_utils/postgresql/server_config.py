"""The configuration of an instance: judged by PostgreSQL itself before it counts, then taken over by the server."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from .. import node, pg
from ..files import Change, apply_all, undo_all
from .instance import Place, run

START_DEADLINE = 120  # seconds until a started server must say something
RECOVERY_DEADLINE = 3600  # seconds for crash recovery, in which it says that it is starting up
RELOAD_DEADLINE = 10  # seconds
# pg_file_settings says "could not be applied" of every setting that needs a restart, and of every invalid one;
# but invalid ones never get that far, because `postgres -C` has read the files before. A setting that was taken
# out of the files and needs a restart is a row with nothing but its own error text.
FILE_ERRORS = """
SELECT f.sourcefile, f.sourceline, coalesce(f.name, substring(f.error FROM '"([^"]+)"')) AS name, f.error,
       coalesce(s.context = 'postmaster', f.error LIKE '%% without restarting the server') AS waits
FROM pg_catalog.pg_file_settings AS f
LEFT JOIN pg_catalog.pg_settings AS s ON s.name = lower(f.name)
WHERE f.error IS NOT NULL
"""
HBA_ERRORS = """
SELECT 'pg_hba.conf' AS file, line_number, error FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL
UNION ALL
SELECT 'pg_ident.conf', line_number, error FROM pg_catalog.pg_ident_file_mappings WHERE error IS NOT NULL
"""


class RejectedError(Exception):
    """PostgreSQL refuses a file; the text is its own."""


# ---- what is decided, without a host -------------------------------------------------------------------------


def port_refusal(in_use: int, declared: int, may_restart: bool) -> str:
    """Why a running server cannot have the declared port, "" where it can."""
    if in_use == declared or may_restart:
        return ""
    return (
        f"the server runs on port {in_use}, declared is {declared}: moving it needs a restart. Nothing was changed."
        " Write the old port back, or set postgresql_restart: true."
    )


def memory_refusal(blocks: int, memory_mb: int) -> str:
    """Why a server with so many shared buffers could not live on a node with this memory, "" where it could."""
    megabytes = blocks * 8192 // 1024**2
    return f"shared_buffers is {megabytes} MB, the node has {memory_mb} MB of memory" if megabytes > memory_mb else ""


def file_problems(rows: list[dict[str, Any]]) -> str:
    """Lines of the files that the server would ignore, by FILE_ERRORS; those that wait for a restart are none."""
    return "\n".join(
        f"{row['sourcefile']}:{row['sourceline']}: {row['name']}: {row['error']}" for row in rows if not row["waits"]
    )


def telling(log: str) -> str:
    """The lines of a server's log that say why it did not start; all of them where none stands out."""
    lines = log.strip().splitlines()
    marked = [line for line in lines if any(word in line for word in ("FATAL", "ERROR", "HINT", "CONTEXT"))]
    return "\n".join(marked or lines)


def patience(answer: str) -> int:
    """Seconds to wait for a server that answers like this while it starts."""
    return RECOVERY_DEADLINE if "starting up" in answer else START_DEADLINE


# ---- who starts and stops it ---------------------------------------------------------------------------------


class Systemd:
    """A server that is a unit of systemd."""

    def __init__(self, place: Place) -> None:
        self.unit = place.unit

    @property
    def running(self) -> bool:
        return run("systemctl", "is-active", self.unit).stdout.strip() in ("active", "activating", "reloading")

    def restart(self) -> subprocess.CompletedProcess[str]:
        """Starts it, too."""
        return run("systemctl", "restart", self.unit)

    def stop(self) -> None:
        run("systemctl", "stop", self.unit)


CONTROLS = {"systemd": Systemd}


# ---- the server ----------------------------------------------------------------------------------------------


class Server:
    """The server of an instance.

    Args:
        place: of the instance.
        port: that it shall have.
        control: who starts and stops it, a name in CONTROLS.
    """

    def __init__(self, place: Place, port: int, control: str) -> None:
        self.place = place
        self.port = port
        self.control = CONTROLS[control](place)
        self._config_file = f"config_file={place.config}/postgresql.conf"
        self._running_port: int | None = None
        self.started = False  # whether it was started or restarted from here

    def as_owner(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return run("runuser", "-u", pg.OS_USER, "--", *argv)

    @property
    def port_in_use(self) -> int:
        """Port of the running server: a changed one is pending until it restarts."""
        if self._running_port is None:
            wanted = (str(self.place.version), self.place.name)
            self._running_port = self.port
            for instance in node.instances():
                if (instance["version"], instance["name"]) == wanted:
                    pidfile = Path(instance["data_directory"], "postmaster.pid")
                    self._running_port = int(pidfile.read_text().splitlines()[3])
        return self._running_port

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query to the running server."""
        with closing(pg.connect("postgres", self.port_in_use)) as connection:
            return pg.rows(connection, query)

    def pending(self) -> list[str]:
        """Settings whose declared value waits for a restart."""
        with closing(pg.connect("postgres", self.port_in_use)) as connection:
            in_files = {row["name"] for row in pg.rows(connection, FILE_ERRORS) if row["waits"]}
            found = pg.rows(connection, "SELECT name FROM pg_catalog.pg_settings WHERE pending_restart")
        return sorted(in_files | {row["name"] for row in found})

    def unread(self, files: list[str]) -> list[str]:
        """Those files that changed after the server read its configuration: a run was broken off in between."""
        read = self.ask("SELECT extract(epoch FROM pg_catalog.pg_conf_load_time()) AS at")[0]["at"]
        return [path for path in files if Path(path).exists() and Path(path).stat().st_mtime > float(read)]

    def judge(self, is_running: bool) -> None:
        """Lets PostgreSQL read the files as they now are.

        Raises:
            RejectedError: it would not start with them, or would ignore a line of them.
        """
        done = self.as_owner(str(self.place.binaries / "postgres"), "-C", "shared_buffers", "-c", self._config_file)
        if done.returncode:
            raise RejectedError(done.stderr.strip())
        if refusal := memory_refusal(int(done.stdout.strip()), node.memory_mb()):
            raise RejectedError(refusal)
        if is_running:
            if problems := file_problems(self.ask(FILE_ERRORS)):
                raise RejectedError(problems)
            self.judge_hba()
            self._try_out()

    def judge_hba(self) -> None:
        """Lets the running server read pg_hba.conf and pg_ident.conf as they now are.

        Raises:
            RejectedError: it would ignore a file for a line of it.
        """
        if rows := self.ask(HBA_ERRORS):
            lines = (f"{self.place.config}/{row['file']}:{row['line_number']}: {row['error']}" for row in rows)
            raise RejectedError("\n".join(lines))

    def _try_out(self) -> None:
        """Starts a scratch instance with the files: libraries and certificates are loaded by nothing less."""
        binaries = self.place.binaries
        with self._scratch() as folder:
            made = self.as_owner(f"{binaries}/initdb", "-D", f"{folder}/data", "--no-sync", "--no-instructions")
            if made.returncode:
                raise RejectedError(f"a scratch instance to try the files with could not be made: {made.stderr}")
            # Nobody can reach it, it archives nothing, and asks for little memory beside the running server.
            apart = {
                "data_directory": f"{folder}/data",
                "external_pid_file": f"{folder}/pid",
                "listen_addresses": "",
                "unix_socket_directories": folder,
                "logging_collector": "off",
                "log_destination": "stderr",
                "archive_mode": "off",
                "shared_buffers": "1MB",
                "huge_pages": "off",
            }
            options = " ".join(f"-c {name}={value}" for name, value in apart.items())
            control = (f"{binaries}/pg_ctl", "-D", f"{folder}/data", "-s")
            log = Path(folder) / "log"
            start = ("-l", str(log), "-o", f"-c {self._config_file} {options}", "-t", "60", "start")
            started = self.as_owner(*control, *start)
            logged = log.read_text(errors="replace") if log.exists() else ""
            if started.returncode:
                raise RejectedError(telling(logged) or started.stderr.strip())
            self.as_owner(*control, "-m", "immediate", "stop")

    @contextmanager
    def _scratch(self) -> Iterator[str]:
        with pg.acting_as(pg.OS_USER):
            folder = tempfile.mkdtemp(prefix=".pgstead-try-", dir=self.place.data.parent)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def reload(self) -> None:
        """Reloads, and returns when the server has read the files.

        Raises:
            RejectedError: it did not.
        """
        with closing(pg.connect("postgres", self.port_in_use)) as connection:
            connection.autocommit = True
            before = pg.rows(connection, "SELECT pg_conf_load_time() AS at, pg_reload_conf()")[0]["at"]
            deadline = time.monotonic() + RELOAD_DEADLINE
            while pg.rows(connection, "SELECT pg_conf_load_time() AS at")[0]["at"] == before:
                if time.monotonic() > deadline:
                    raise RejectedError(f"the server did not reload its configuration within {RELOAD_DEADLINE} s")
                time.sleep(0.05)

    def start(self) -> None:
        """Starts or restarts the server.

        Raises:
            RejectedError: it does not come up; the text is what it logged.
        """
        log = self.place.log
        offset = log.stat().st_size if log.exists() else 0
        self._running_port, self.started = None, True
        done = self.control.restart()
        began, answer = time.monotonic(), done.stderr.strip()
        while done.returncode == 0:
            try:
                pg.connect("postgres", self.port).close()
                return
            except pg.Error as problem:
                answer = str(problem).strip()
            if time.monotonic() - began > patience(answer) or not self.control.running:
                break
            time.sleep(0.1)
        logged = ""
        if log.exists():
            with log.open("rb") as file:
                file.seek(offset)
                logged = file.read().decode(errors="replace")
        raise RejectedError(telling(logged) or answer)


# ---- one run ---------------------------------------------------------------------------------------------------


def take_over(server: Server, changes: list[Change], is_read: bool, was_running: bool, may_restart: bool) -> list[str]:
    """Writes the files, has them judged, then starts, reloads or restarts the server as is needed.

    Args:
        server: whose files they are.
        changes: the files that differ.
        is_read: whether the server has read the files as they were.
        was_running: whether it runs.
        may_restart: whether settings that need it may restart it.

    Returns:
        Settings that wait for a restart.

    Raises:
        RejectedError: PostgreSQL does not accept the files; the text is its own.
        pg.Error: the server does not answer.
    """
    apply_all(changes)
    differs = bool(changes) or not is_read
    if differs or not was_running:
        server.judge(was_running)
    if not was_running:
        server.start()
        server.judge_hba()
    elif differs:
        server.reload()
    pending = server.pending()
    if pending and may_restart:
        server.start()
        pending = server.pending()
    return pending


def put_back(server: Server, changes: list[Change], was_running: bool, reason: str) -> str:
    """Restores the files; a server that ran before runs again, with what it ran with.

    Returns:
        What to tell: the reason first, whatever happened afterwards.
    """
    if not changes:
        return f"PostgreSQL does not accept its configuration. It says:\n{reason}"
    undo_all(changes)
    told = f"PostgreSQL rejects its configuration; the last good files are back. It says:\n{reason}"
    try:
        if not was_running:
            server.control.stop()
        elif server.control.running:
            server.reload()
        else:
            server.start()
    except (RejectedError, pg.Error) as problem:
        told += f"\nThe server does not take the old files back either:\n{problem}"
    return told
