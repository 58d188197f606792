"""What a change of the declaration does to a running pooler and its clients, also when it is broken off or refused."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, INVENTORY, ask, connect, pgstead, playbook

APP = DECLARED.role("app")
DATABASE = APP["database"]
PORT = DECLARED.ports["pooled"]
# A second role that uses the same pool.
OTHER = next(
    role["name"]
    for role in DECLARED.model["roles"]
    if role["database"] == DATABASE and "pooled" in role["endpoints"] and role["name"] != APP["name"]
)
SSL_REQUEST = struct.pack("!II", 8, 80877103)


def apply(**override: Any) -> dict[str, Any]:
    """A deploy of the pooler alone."""
    return playbook("site", "--tags", "pgbouncer", "-e", json.dumps(override))


def databases(**pool: int) -> list[dict[str, Any]]:
    """The declared databases, the first one with another pool."""
    copied: list[dict[str, Any]] = json.loads(json.dumps(DECLARED.variables["databases"], default=str))
    copied[0]["pool"] = copied[0].get("pool", {}) | pool
    return copied


def console(node: Any, command: str) -> str:
    done = node.run(
        "runuser -u pgbouncer -- psql -XAt -h /run/pgbouncer -p %s -U pgbouncer pgbouncer -c %s", str(PORT), command
    )
    assert done.rc == 0, done.stderr
    return str(done.stdout)


def started(node: Any) -> str:
    """Which start of the pooler runs."""
    return str(node.check_output("systemctl show -P InvocationID pgbouncer"))


@contextmanager
def strangers_at_the_port(*ports: int) -> Iterator[None]:
    """Clients that break TLS, send names that look like complaints, and log in as nobody, all the time."""
    over = threading.Event()
    name = b"\nhba line 1: unknown type\nsyntax error in configuration"
    fields = b"user\0" + name + b"\0database\0" + name + b"\0\0"
    startup = struct.pack("!II", len(fields) + 8, 196608) + fields
    knocks: Counter[str] = Counter()

    def send(port: int, *parts: bytes) -> None:
        with socket.create_connection((DECLARED.address, port), 1) as connection:
            for part in parts:
                connection.sendall(part)
                connection.recv(1)

    def log_in(port: int, user: str) -> None:
        options = {"host": DECLARED.address, "dbname": DATABASE, "password": "x", "sslmode": "require"}
        psycopg2.connect(port=port, user=user, connect_timeout=2, **options).close()

    def knock() -> None:
        while not over.wait(0.02):
            for port in ports:
                for attempt in (
                    partial(send, port, SSL_REQUEST, b"\x16\x03\x01\x00\x05 this is no handshake"),
                    partial(send, port, startup),
                    partial(log_in, port, "nobody\nhba line 2: unknown type"),
                    partial(log_in, port, OTHER),
                ):
                    try:
                        attempt()
                    except (OSError, psycopg2.OperationalError) as problem:
                        knocks[type(problem).__name__] += 1

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)
    assert knocks["OperationalError"]


@contextmanager
def broken_off_before_the_reload(node: Any) -> Iterator[None]:
    """Kills the module when it has written the files and looks at the journal for the first time."""
    try:
        node.check_output("printf '#!/bin/sh\\nkill -9 $PPID\\n' > /usr/local/bin/journalctl")
        node.check_output("chmod +x /usr/local/bin/journalctl")
        yield
    finally:
        node.check_output("rm /usr/local/bin/journalctl")


@contextmanager
def clients_that_reconnect(number: int) -> Iterator[None]:
    """Clients that log in anew for each transaction, all the time; none of them may be refused or fail."""
    over = threading.Event()
    went: Counter[str] = Counter()

    def work(role: str) -> None:
        while not over.wait(0.2):
            try:
                assert ask(role, "pooled", DATABASE, "SELECT 1", connect_timeout=30) == [(1,)]
                went["well"] += 1
            except psycopg2.Error as problem:
                went[str(problem)] += 1

    threads = [threading.Thread(target=work, args=((APP["name"], OTHER)[i % 2],), daemon=True) for i in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert went.keys() == {"well"}, went
    assert went["well"] > number


@contextmanager
def slow_logins_to_the_server(superuser: Any, seconds: int) -> Iterator[None]:
    """Whoever logs in to the server, the pooler too, waits so long: a moment that is hard to meet becomes easy to."""
    try:
        superuser(f"ALTER SYSTEM SET post_auth_delay = {seconds}")
        superuser("SELECT pg_reload_conf()")
        yield
    finally:
        superuser("ALTER SYSTEM RESET post_auth_delay")
        superuser("SELECT pg_reload_conf()")


@pytest.fixture(scope="module", autouse=True)
def restored() -> Iterator[None]:
    """The tests follow each other on one node; afterwards the declaration holds again, with nothing left to do."""
    yield
    apply()
    assert apply()["changed"] == 0
    assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]


def test_the_unit_is_ours_and_starts_at_boot(node: Any) -> None:
    shown = node.check_output("systemctl show -p FragmentPath -p DropInPaths -p UnitFileState -p User pgbouncer")
    assert set(shown.splitlines()) == {
        "FragmentPath=/etc/systemd/system/pgbouncer.service",
        "DropInPaths=",
        "UnitFileState=enabled",
        "User=pgbouncer",
    }


def test_what_a_deploy_remembers_is_out_of_reach_of_the_poolers_user(node: Any) -> None:
    state = node.file("/var/lib/pgstead")
    assert (state.user, state.mode) == ("root", 0o700)
    assert node.file("/var/lib/pgstead/pooler.json").mode == 0o600
    assert [name for name in node.file("/run/pgbouncer").listdir() if not name.startswith(".s.PGSQL.")] == []


def test_verify_sees_a_pooler_that_is_full_and_pools_that_the_server_has_no_room_for(node: Any) -> None:
    console(node, "SET max_client_conn = 1")
    try:
        with closing(connect(APP["name"], "pooled", DATABASE)):
            bigger = json.dumps({"databases": databases(size=900)})
            done = pgstead("verify", "-i", str(INVENTORY), "--json", "-e", bigger, check=False)
    finally:
        console(node, f"SET max_client_conn = {DECLARED.get('pgbouncer_max_client_conn', 1000)}")
    lines = json.loads(done.stdout)["hosts"]["db1"]["lines"]
    red = {line["title"]: line["found"] for line in lines if not line["ok"]}
    assert "the pools may open 9" in red["finds room for all its pools in the server"]
    # Who has no room is not refused: that would hide what the next free place lets in.
    assert "no more connections" in red["is refused by the pooled URL"]
    assert "no more connections" in red[f"logs in to {DATABASE} by the pooled URL"]


def test_a_removed_role_is_thrown_out_and_the_others_are_not(node: Any) -> None:
    fewer = databases()
    fewer[0]["roles"] = [role for role in fewer[0]["roles"] if role["name"] != OTHER]
    with closing(connect(OTHER, "pooled", DATABASE)) as gone, closing(connect(APP["name"], "pooled", DATABASE)) as kept:
        for connection in (gone, kept):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        with strangers_at_the_port(PORT):
            assert apply(databases=fewer)["changed"] == 1
        with pytest.raises(psycopg2.OperationalError), gone.cursor() as cursor:
            cursor.execute("SELECT 1")
        if node.run("grep -aq KILL_CLIENT /usr/sbin/pgbouncer").rc == 0:
            with kept.cursor() as cursor:
                cursor.execute("SELECT 1")
    # Before 1.24 every client of the database was disconnected; whoever is declared comes back.
    assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]
    with pytest.raises(psycopg2.OperationalError):
        connect(OTHER, "pooled", DATABASE)
    assert f"|{OTHER}|" not in console(node, "SHOW SERVERS")


def test_changes_are_reloaded_and_a_run_that_broke_off_is_made_up_for(node: Any) -> None:
    before = started(node)
    changes = {"databases": databases(size=9), "pgbouncer_query_wait_timeout": 77, "pgbouncer_networks": []}
    node.check_output("systemctl disable pgbouncer")
    with closing(connect(APP["name"], "pooled", DATABASE)) as client, client.cursor() as cursor:
        with broken_off_before_the_reload(node):
            assert apply(**changes)["rc"] != 0
        assert "query_wait_timeout = 77" in node.file("/etc/pgbouncer/pgbouncer.ini").content_string
        assert "query_wait_timeout|77|" not in console(node, "SHOW CONFIG")
        assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]  # by the old hba file
        assert apply(**changes)["changed"] == 1
        assert "query_wait_timeout|77|" in console(node, "SHOW CONFIG")
        assert any(row.startswith(f"{DATABASE}|") and "|9|" in row for row in console(node, "SHOW DATABASES").split())
        with pytest.raises(psycopg2.OperationalError):
            connect(APP["name"], "pooled", DATABASE)
        assert node.service("pgbouncer").is_enabled
        with strangers_at_the_port(PORT):
            assert apply()["changed"] == 1
        # Nobody who was connected has noticed any of it.
        cursor.execute("SELECT 1")
    assert started(node) == before
    for role in (APP["name"], OTHER):
        assert ask(role, "pooled", DATABASE, "SELECT 1") == [(1,)]


def test_a_deploy_of_pools_hba_settings_and_roles_fails_nobody_who_reconnects(node: Any) -> None:
    changed = databases(size=9)
    role = next(role for role in changed[0]["roles"] if role["name"] == APP["name"])
    role["settings"] = role.get("settings", {}) | {"statement_timeout": "61s"}
    values = {"databases": changed, "pgbouncer_networks": [*DECLARED.get("client_networks", []), "192.0.2.0/24"]}
    before = started(node)
    with clients_that_reconnect(50):
        assert playbook("site", "-e", json.dumps(values))["rc"] == 0
        assert playbook("site")["rc"] == 0
    assert started(node) == before


def test_a_new_password_counts_at_once_and_disturbs_nobody(node: Any) -> None:
    before, new = started(node), "another one from now on"
    with closing(connect(APP["name"], "pooled", DATABASE)) as kept, kept.cursor() as cursor:
        # Not the secrets themselves: on the command line, what looks like a template in a password would be one.
        done = apply(pgbouncer_passwords=f"{{{{ secrets | combine({{'{APP['secret']}': '{new}'}}) }}}}")
        assert done["changed"] == 1, done["stdout"]
        cursor.execute("SELECT 1")
    assert ask(APP["name"], "pooled", DATABASE, "SELECT 1", password=new) == [(1,)]
    with pytest.raises(psycopg2.OperationalError):
        connect(APP["name"], "pooled", DATABASE)
    assert apply()["changed"] == 1
    assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]
    assert started(node) == before


def test_clients_are_let_in_as_soon_as_the_server_is_back(node: Any) -> None:
    """While a login to the server has failed PgBouncer refuses everybody: a second, its default is fifteen."""
    unit = f"postgresql@{DECLARED.instance}"
    assert node.run("systemctl stop %s", unit).rc == 0
    try:
        with pytest.raises(psycopg2.OperationalError):
            connect(APP["name"], "pooled", DATABASE)
    finally:
        failed = time.monotonic()
        assert node.run("systemctl start %s", unit).rc == 0
    while True:
        with suppress(psycopg2.OperationalError):
            assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]
            break
        assert time.monotonic() - failed < 10, "nobody is let in"
        time.sleep(0.1)


@pytest.mark.parametrize("database", [DATABASE, "pgbouncer_lookup"])
def test_server_connections_are_replaced_around_a_login_of_the_pooler(
    database: str, console: Any, superuser: Any
) -> None:
    if database not in {row["name"] for row in console("SHOW DATABASES")}:
        database = DATABASE  # before PgBouncer 1.19 passwords are looked up there
    over, went = threading.Event(), Counter[str]()

    def log_in(later: float) -> str:
        over.wait(later)
        try:
            return str(ask(APP["name"], "pooled", DATABASE, "SELECT 1", connect_timeout=60))
        except psycopg2.Error as problem:
            return str(problem)

    def rounds() -> None:
        """Two clients at a time wait for a login of the pooler; nobody else is there when that is asked for."""
        with ThreadPoolExecutor(2) as clients:
            while not over.is_set():
                while any(int(row["sv_login"]) for row in console("SHOW POOLS")):
                    over.wait(0.1)
                console(f'RECONNECT "{database}"')
                went.update(clients.map(log_in, (0, 1)))

    with slow_logins_to_the_server(superuser, 3):
        thread = threading.Thread(target=rounds, daemon=True)
        thread.start()
        try:
            superuser(f'ALTER ROLE "{OTHER}" SET statement_timeout = 61000')
            assert apply(databases=databases(size=9))["changed"] == 1
        finally:
            over.set()
            thread.join(90)
            superuser(f'ALTER ROLE "{OTHER}" RESET statement_timeout')
    assert apply()["changed"] == 1
    assert went.keys() == {"[(1,)]"}, went


def test_the_port_can_change_and_a_refused_change_puts_everything_back(node: Any) -> None:
    other = PORT + 100
    with strangers_at_the_port(PORT, other):
        refused = apply(pgbouncer_port=other, pgbouncer_settings={"server_lifetime": "long"})
        assert refused["rc"] != 0
        assert "server_lifetime" in refused["stdout"]
        assert "Traceback" not in refused["stdout"]
        assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]
        # The node's own name instead of its address: from here nobody gets in, the node itself does.
        name = node.check_output("hostname")
        moved = apply(pgbouncer_port=other, pgbouncer_networks=[], pgbouncer_listen_addresses=["127.0.0.1", name])
    assert moved["changed"] == 1, moved["stdout"]
    login = "PGPASSWORD=%s PGSSLMODE=require psql -XAtw -h %s -p %s -U %s -d %s -c 'SELECT 1'"
    secret = DECLARED.secrets[APP["secret"]]
    assert node.run(login, secret, name, str(other), APP["name"], DATABASE).stdout == "1\n"
    with closing(socket.create_connection((DECLARED.address, other), 5)):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((DECLARED.address, PORT), 5)
    with pytest.raises(psycopg2.OperationalError, match="FATAL"):
        psycopg2.connect(
            host=DECLARED.address, port=other, dbname=DATABASE, user=APP["name"], password=secret, sslmode="require"
        )
    assert apply()["changed"] == 1
