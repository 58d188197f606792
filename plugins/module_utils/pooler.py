"""The node's PgBouncer: asked and told over its console, as its own OS user."""

from __future__ import annotations

import json
import pwd
import re
import subprocess
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

from . import pg

UNIT = "pgbouncer.service"
OS_USER = "pgbouncer"
START_DEADLINE = 30  # seconds until a started pooler must answer
LOGIN_DEADLINE = 20  # seconds; PgBouncer itself gives up after server_connect_timeout, 15 by default
LOOKUP_SECONDS = 1  # longer than the lookup of a password takes
# What a deploy knows of the last one; not in a directory of the pooler's user, who could plant a link there.
STATE = Path("/var/lib/pgstead/pooler.json")

# How PgBouncer's messages about its own files and sockets begin (1.16 to 1.26). Everything else in its log can be
# caused by whoever reaches its port, at any time.
_COMPLAINTS = (
    # the ini file
    *(
        "syntax error in ",
        "invalid section ",
        "invalid value ",
        "unknown section",
        "unknown parameter",
        "unrecognized ",
    ),
    *(
        "error processing include",
        "could not load file",
        "cannot to expand",
        "cannot load config",
        "config file loading",
    ),
    *("load_init_file:", "failed to parse track_extra_parameters", "invalid port:", "invalid pool mode:"),
    *("invalid load_balance_hosts:", "database name ", "db setup failed", "losing forced user"),
    # the auth file and the hba file
    *("could not open auth_file", "broken auth file", "username too long in", "password too long in", "hba line "),
    *("could not open hba", "could not open ident", "could not parse hba", "could not parse ident", "addres"),
    *("samerole is not", "samegroup is not", "replication is not"),
    # sockets, certificates, the process
    *("cannot listen on", "failed to listen", "nowhere to listen", "failed to parse listen_addr", "getaddrinfo("),
    *("failed to create unix socket", "unix port ", "unix socket ", "tls setup", "tls settings", "tls configuration"),
    *("to allow tls connections", "auth_type=cert", "client_tls_", "server_tls_", "invalid client_tls_"),
    *("invalid server_tls_", "cannot open logfile", "could not open pidfile", "pidfile ", "could not find "),
)
# What may stand before them: a stamp, where PgBouncer does not know the journal, and the place in its source.
_PREFIX = re.compile(r"(?:[-\d]+ [:.\d]+ \S+ \[\d+\] [A-Z]+ )?(?:@\S+ in function \S+: )?")
# A line of /proc/net/unix: flags of a socket that listens, type, state, inode, path.
_LISTENING = re.compile(r" 00010000 \S+ \S+ +\d+ (/.+)/\.s\.PGSQL\.(\d+)$", re.M)


class RejectedError(Exception):
    """PgBouncer refuses its configuration; the text is its own."""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False)


class Pooler:
    """The node's PgBouncer, administered as its own OS user over the socket that it has open."""

    def __init__(self) -> None:
        self.status = self._ask_systemd()

    def _ask_systemd(self) -> dict[str, str]:
        names = ("ActiveState", "MainPID", "UnitFileState")
        shown = run("systemctl", "show", *(f"--property={name}" for name in names), UNIT).stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    @property
    def running(self) -> bool:
        return self.status.get("ActiveState") in ("active", "reloading")

    @property
    def starts_at_boot(self) -> bool:
        return self.status.get("UnitFileState") == "enabled"

    @property
    def process(self) -> Path:
        return Path("/proc", self.status.get("MainPID", "0"))

    def unfit(self, files: int) -> str:
        """Why the process cannot stay though its settings may be right, "" where it can.

        Args:
            files: descriptors that it has to be able to open.
        """
        if not self.running or not self.process.exists():
            return "not running"
        if (owner := _owner(self.process)) != OS_USER:
            return f"runs as {owner}"
        return f"may open {self.file_limit} files" if self.file_limit < files else ""

    @property
    def file_limit(self) -> int:
        """Descriptors that the process may open."""
        found = re.search(r"^Max open files\s+(\d+)", (self.process / "limits").read_text(), re.M)
        return int(found[1]) if found else 0

    def console(self) -> tuple[str, int]:
        """Directory and port of the console's socket, as the kernel has it: the files may say another already.

        Raises:
            pg.Error: there is none.
        """
        for directory, port in _LISTENING.findall(Path("/proc/net/unix").read_text()):
            if _owner(Path(directory, f".s.PGSQL.{port}")) == OS_USER:
                return directory, int(port)
        raise pg.Error("PgBouncer has no console socket: it does not run, or unix_socket_dir is empty")

    def ask(self, command: str) -> list[dict[str, Any]]:
        """Rows of a console command.

        Raises:
            pg.Error: the pooler does not answer, or refuses.
        """
        with closing(self._connect()) as connection:
            return pg.rows(connection, command)

    def _connect(self) -> Any:
        directory, port = self.console()
        with pg.acting_as(OS_USER):
            return pg.login(host=directory, port=port, user="pgbouncer", dbname="pgbouncer")

    def version(self) -> str:
        return str(next(iter(self.ask("SHOW VERSION")[0].values())))

    def config(self) -> dict[str, dict[str, Any]]:
        """Every setting of the running pooler: its `value`, and whether it is `changeable` by a reload."""
        return {row["key"]: row for row in self.ask("SHOW CONFIG")}

    def adopt_unit(self) -> None:
        """Makes systemd read the unit's file, and start it at boot.

        Raises:
            RejectedError: the unit cannot be enabled, being masked for example.
        """
        run("systemctl", "daemon-reload")
        self.status = self._ask_systemd()
        if not self.starts_at_boot:
            done = run("systemctl", "enable", UNIT)
            if done.returncode:
                raise RejectedError(done.stderr.strip())

    def stop(self) -> None:
        run("systemctl", "stop", UNIT)

    def restart(self) -> None:
        """Starts or restarts the service.

        Raises:
            RejectedError: it does not come up, or complains about its files; the text is its own.
        """
        cursor = self._cursor()
        run("systemctl", "reset-failed", UNIT)
        done = run("systemctl", "restart", UNIT)
        deadline = time.monotonic() + START_DEADLINE
        while True:
            answer = done.stderr.strip()
            self.status = self._ask_systemd()
            if done.returncode == 0:
                try:
                    self.ask("SHOW VERSION")
                    break
                except pg.Error as problem:
                    answer = str(problem).strip()
            if done.returncode or time.monotonic() > deadline or not self.running:
                raise RejectedError(self._complaints(cursor) or self._last_words(cursor) or answer)
            time.sleep(0.1)
        if complaints := self._complaints(cursor):
            raise RejectedError(complaints)

    def reload(self, names: Collection[str]) -> None:
        """Reloads; what the file no longer sets becomes the default again, which RELOAD alone does not do.

        Args:
            names: the settings of the file.

        Raises:
            RejectedError: it could not read or use its files. RELOAD itself succeeds even when the hba file
                cannot be read (and then nobody gets in), so that its log has to be asked.
        """
        cursor = self._cursor()
        for row in left_over(names, self.config()):
            if row["changeable"] == "yes":
                default = str(row["default"] or "").replace("'", "''")
                self.ask(f"SET {row['key']} = '{default}'")
        try:
            with closing(self._connect()) as connection:
                _await_logins(connection)  # a reload that changes where a database is replaces its connections, too
                pg.rows(connection, "RELOAD")
        except pg.Error as problem:
            raise RejectedError(
                self._complaints(cursor) or self._last_words(cursor) or str(problem).strip()
            ) from problem
        if complaints := self._complaints(cursor):
            raise RejectedError(complaints)

    def strangers(self, model: dict[str, Any]) -> list[dict[str, Any]]:
        """Clients that are logged in with a role that is not, or no longer, declared.

        A client whose password is being looked up is shown in the lookup's database, or before 1.19 with a role that it
        has not proved to have. So databases that are not declared do not count (a reload ends their clients by itself),
        nor who is not there any more at a second look.

        Args:
            model: as model expands it.
        """
        admitted = pooled_logins(model)
        served = {database["name"] for database in model["databases"]}

        def found() -> dict[tuple[str, str], dict[str, Any]]:
            return {
                (row["ptr"], str(row["connect_time"])): row
                for row in self.ask("SHOW CLIENTS")
                if row["database"] in served
                and row["user"] != "(nouser)"  # has not proved yet who it is
                and not row["state"].endswith("cancel_req")
                and (row["user"], row["database"]) not in admitted
            }

        before = found()
        if not before:
            return []
        time.sleep(LOOKUP_SECONDS)
        return [client for which, client in found().items() if which in before]

    def disconnect(self, clients: list[dict[str, Any]]) -> None:
        """Ends these clients, and the server connections of their databases as they become free.

        Before 1.24 no single client can be ended: there all clients of the database are.
        """
        for client in clients:
            if "id" in client:
                try:
                    self.ask(f"KILL_CLIENT {client['id']}")
                except pg.Error as problem:
                    if "not found" not in str(problem):  # else it left by itself
                        raise
        databases = {client["database"] for client in clients}
        if all("id" in client for client in clients):
            self.reconnect(databases)
            return
        for database in sorted(databases):
            self.ask(f'KILL "{database}"')
            self.ask(f'RESUME "{database}"')

    def reconnect(self, databases: Collection[str]) -> None:
        """Replaces the server connections of these databases as they become free.

        Never those of the lookup's database: no setting of a role applies there, and nobody logs in without it.
        """
        with closing(self._connect()) as connection:
            pooled = {row["database"] for row in pg.rows(connection, "SHOW POOLS")}
            for database in sorted(pooled.intersection(databases)):
                _await_logins(connection, {database})
                pg.rows(connection, f'RECONNECT "{database}"')

    def _cursor(self) -> str:
        """The journal's present end."""
        last = run("journalctl", "-q", "-n", "0", "--show-cursor").stdout
        return last.partition("-- cursor: ")[2].strip()

    def _journal(self, cursor: str) -> list[str]:
        """PgBouncer's messages since then, each whole: a name that a client sent may contain line breaks.

        Asked for by user too: of a process that ends at once, the journal often no longer finds the unit.
        """
        run("journalctl", "--sync")
        sender = (f"_UID={pwd.getpwnam(OS_USER).pw_uid}", "+", f"_SYSTEMD_UNIT={UNIT}")
        shown = ("--after-cursor", cursor, "-o", "json", "--output-fields=MESSAGE")
        entries = run("journalctl", "-q", *shown, *sender).stdout.splitlines()
        messages = [json.loads(entry).get("MESSAGE") for entry in entries]
        return list(dict.fromkeys(message for message in messages if isinstance(message, str)))

    def _complaints(self, cursor: str) -> str:
        """What PgBouncer said against its configuration since then."""
        return "\n".join(filter(is_complaint, self._journal(cursor)))

    def _last_words(self, cursor: str) -> str:
        """The end of the log, where it tells nothing better."""
        return "\n".join([line for line in self._journal(cursor) if not re.match(r"[CS]-0x", line)][-5:])


def _await_logins(connection: Any, databases: Collection[str] = ()) -> None:
    """Returns when the pooler is not logging in to these databases of the server, or to any.

    A server connection that RECONNECT meets in its login is closed, and from then on PgBouncer refuses every new client
    of that pool ("server login has been failing") until another login succeeds, which it tries after
    server_login_retry (tag_pool_dirty and check_fast_fail in its objects.c). A login that does not come to its end in
    time is one that fails anyhow.

    Args:
        connection: to the console; the caller goes on with the same one, so that hardly any time passes.
        databases: names in the pooler; none for all.
    """
    deadline = time.monotonic() + LOGIN_DEADLINE
    while time.monotonic() < deadline:
        pools = pg.rows(connection, "SHOW POOLS")
        if not any(int(row["sv_login"]) for row in pools if not databases or row["database"] in databases):
            return
        time.sleep(0.01)


def _owner(path: Path) -> str:
    """OS user that a file or process belongs to, "" where there is none."""
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return ""


def is_complaint(message: str) -> bool:
    """Whether a message of PgBouncer is about its configuration, and not about what some client did."""
    return _PREFIX.sub("", message, count=1).lower().startswith(_COMPLAINTS)


def pooled_logins(model: dict[str, Any]) -> set[tuple[str, str]]:
    """(role, database) of every login that the pooler serves.

    Args:
        model: as model expands it.
    """
    return {
        (role["name"], database["name"])
        for role in model["roles"]
        for database in model["databases"]
        if "pooled" in role["endpoints"] and role["database"] in ("", database["name"])
    }


def pooled_databases(model: dict[str, Any]) -> list[dict[str, Any]]:
    """The databases that at least one role reaches through the pooler."""
    names = {role["database"] for role in model["roles"] if "pooled" in role["endpoints"]}
    any_database = any("pooled" in role["endpoints"] and not role["database"] for role in model["roles"])
    return [db for db in model["databases"] if any_database or db["name"] in names]


def backend_demand(model: dict[str, Any]) -> int:
    """Server connections that the declared pools may open together, their reserves included.

    Each database is capped at pool size + reserve (`max_db_connections`), however many roles share it.
    """
    return sum(db["pool"]["size"] + db["pool"]["reserve"] for db in pooled_databases(model))


def server_state(port: int, socket: str) -> dict[str, Any]:
    """What the pooler depends on in the running server, {} where that does not answer.

    Returns:
        `logins`: a fingerprint of every setting that applies at login; `connections`: how many it admits to roles
        that are no superusers.
    """
    query = """
        SELECT coalesce(md5(string_agg(s::text, ',' ORDER BY s::text)), 'none') AS logins,
               current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                 - coalesce(current_setting('reserved_connections', true), '0')::int AS connections
        FROM pg_db_role_setting AS s"""
    try:
        connection = pg.connect("postgres", port, socket)
    except (pg.Error, AttributeError, KeyError):  # not installed yet: check mode on a fresh host
        return {}
    try:
        return pg.rows(connection, query)[0]
    finally:
        connection.close()


def remembered() -> dict[str, Any]:
    """What the last complete deploy wrote down, {} where there was none."""
    try:
        return dict(json.loads(STATE.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def remember(facts: dict[str, Any]) -> None:
    """Writes down what is known after a complete deploy, for root alone."""
    STATE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = STATE.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(facts))
    fresh.rename(STATE)


def userlist(text: str) -> dict[str, str]:
    """Users of an auth file with their verifiers."""
    entries = re.finditer(r'^"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"', text, re.M)
    return {match[1].replace('""', '"'): match[2] for match in entries}


def ini_names(text: str, section: str = "pgbouncer") -> set[str]:
    """Names set in a section."""
    section = text.partition(f"\n[{section}]")[2].partition("\n[")[0]
    return {line.partition("=")[0].strip() for line in section.splitlines() if "=" in line and line[0] not in ";#"}


def left_over(names: Collection[str], config: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of SHOW CONFIG with another value than the default though no file sets them (any more)."""
    own = ("conffile", "verbose")  # what PgBouncer sets by itself
    return [
        row
        for name, row in config.items()
        if name not in (*names, *own) and not same(str(row.get("default") or ""), str(row["value"] or ""))
    ]


def differing(settings: dict[str, Any], config: dict[str, dict[str, Any]]) -> list[str]:
    """Declared settings that the running pooler has another value for, or does not know."""
    found = []
    for name, declared in settings.items():
        if name not in config or not same(str(declared), str(config[name]["value"])):
            found.append(name)
    return found


def same(declared: str, running: str) -> bool:
    """Whether two spellings mean the same: spaces in lists, and numbers written as text or as octals."""

    def plain(text: str) -> str:
        if re.fullmatch(r"0[0-7]+", text.strip()):
            return str(int(text, 8))
        return re.sub(r"\s*,\s*", ",", text.strip())

    return plain(declared) == plain(running)
