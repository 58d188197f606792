"""A configuration that PostgreSQL or PgBouncer refuses: its own message, and the last good files stay in force.

A test may leave a setting changed: the next one's deploy puts it back.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ask, connect
from wrong import DECLARED, INVENTORY, deployed, failed, inventory

APP = DECLARED.role("app")
CONFIG = "/etc/postgresql/16/main"
FILES = (
    f"{CONFIG}/conf.d/10-pgstead.conf", f"{CONFIG}/conf.d/20-user.conf", f"{CONFIG}/pg_hba.conf",
    "/etc/pgbouncer/pgbouncer.ini", "/etc/pgbouncer/hba.conf", "/etc/pgbouncer/userlist.txt",
)  # fmt: skip
# A deploy of what only one service's configuration has to do with.
SERVER = ("--tags", "postgresql_configure")
POOLER = ("--tags", "pgbouncer_configure")


def contents(node: Any) -> str:
    done = node.run("md5sum %s %s %s %s %s %s", *FILES)
    assert done.rc == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module", autouse=True)
def as_declared() -> None:
    """The node is still fresh when the first test here begins."""
    deployed(INVENTORY)


CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a value of the wrong kind": (
        {"postgresql_settings": {"shared_buffers": "lots"}}, ('invalid value for parameter "shared_buffers": "lots"',),
    ),
    "a setting that does not exist": ({"postgresql_settings": {"work_memm": "8MB"}}, ("work_memm",)),
    "a value out of range": ({"postgresql_settings": {"port": 99999}}, ("99999", "port")),
    "a library that is not there": (
        {"postgresql_preload_libraries": ["pg_stat_statements", "nowhere"]}, ("nowhere",),
    ),
    "a certificate that is not there": ({"postgresql_settings": {"ssl_cert_file": "/nowhere.pem"}}, ("/nowhere.pem",)),
    "more memory than there is": ({"postgresql_settings": {"shared_buffers": "900GB"}}, ("buffers is 921600 MB",)),
    "a port that needs a restart": ({"postgresql_port": 5499}, ("5499", "needs a restart", "postgresql_restart: true")),
    "a broken hba line": (
        {"postgresql_hba": ["hostssl all somebody 10.0.0.0/33 scram-sha-256"]}, ("10.0.0.0/33",),
    ),
    "a method nobody has": ({"postgresql_hba": ["hostssl all all 10.0.0.0/8 scarm"]}, ("scarm",)),
    "a setting that PgBouncer does not know": ({"pgbouncer_settings": {"pool_size": 3}}, ("pool_size",)),
    "a value that PgBouncer refuses": ({"pgbouncer_settings": {"server_lifetime": "long"}}, ("server_lifetime",)),
}  # fmt: skip
WHOLE = {"a library that is not there", "a setting that PgBouncer does not know"}  # one for each service


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_refused_in_the_servers_words(case: str, node: Any, tmp_path: Path) -> None:
    changes, said = CASES[case]
    before = contents(node)
    part = POOLER if "pgbouncer_settings" in changes else SERVER
    arguments = () if case in WHOLE else part
    answer = failed(inventory(tmp_path, changes, {}), *said, arguments=arguments, code=1)
    assert "Traceback" not in answer
    assert contents(node) == before
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]
    assert ask(DECLARED.role("migrator")["name"], "direct", APP["database"], "SELECT 1") == [(1,)]


@pytest.mark.parametrize("case", ["a library that is not there", "a broken hba line"])
def test_a_run_that_may_restart_restarts_into_nothing_broken(
    case: str, superuser: Any, node: Any, tmp_path: Path
) -> None:
    changes, said = CASES[case]
    started, before = superuser("SELECT pg_postmaster_start_time()"), contents(node)
    failed(inventory(tmp_path, changes, {}), said[0], arguments=("--restart",), code=1)
    assert contents(node) == before
    assert superuser("SELECT pg_postmaster_start_time()") == started


def test_files_that_an_interrupted_run_wrote_are_read_by_the_next(superuser: Any, node: Any) -> None:
    wanted = ("-e", '{"postgresql_settings": {"work_mem": "7MB"}}')
    user = f"{CONFIG}/conf.d/20-user.conf"
    deployed(INVENTORY, *wanted, *SERVER)
    node.check_output("cp -p %s /root/written", user)
    deployed(INVENTORY, *SERVER)
    assert superuser("SHOW work_mem") != "7MB"
    node.check_output("cp -p /root/written %s && touch %s", user, user)  # written, not read
    again = deployed(INVENTORY, *wanted)
    assert "changed=1" in again, again
    assert superuser("SHOW work_mem") == "7MB"
    again = deployed(INVENTORY, *wanted, *SERVER)
    assert "changed=0" in again, again


def test_a_port_moves_with_permission_and_the_pooler_follows(tmp_path: Path) -> None:
    moved = inventory(tmp_path, {"postgresql_port": 5499, "pgbouncer_port": 6499}, {})
    deployed(moved, "--restart")
    with (
        closing(connect(APP["name"], "pooled", APP["database"], port=6499)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT inet_server_port(), current_setting('port')")
        assert cursor.fetchone() == (None, "5499")  # over the server's socket
    deployed(INVENTORY, "--restart")
    assert ask(APP["name"], "pooled", APP["database"], "SHOW port") == [("5432",)]


def test_one_node_that_is_refused_keeps_the_others_from_being_changed(superuser: Any, tmp_path: Path) -> None:
    before = superuser("SHOW work_mem")
    where = inventory(tmp_path, {"postgresql_settings": {"work_mem": "9MB"}}, {})
    hosts = yaml.safe_load((where / "hosts.yml").read_text())
    hosts["postgresql"]["hosts"]["db2"] = {"ansible_host": "pgstead-nowhere", "node_address": "10.213.21.98"}
    (where / "hosts.yml").write_text(yaml.safe_dump(hosts))
    failed(where, "db2", code=4)
    assert superuser("SHOW work_mem") == before
    deployed(where, "--limit", "db1", *SERVER)
    assert superuser("SHOW work_mem") == "9MB"


def test_values_that_come_as_text_mean_what_they_say(node: Any) -> None:
    text = ("postgresql_restart=true", "postgresql_kernel_settings=false", "pgbouncer_max_client_conn=900",
            "postgresql_port=5432", "postgresql_memory_mb=1024")  # fmt: skip
    deployed(INVENTORY, *(part for pair in text for part in ("-e", pair)))
    console = "runuser -u pgbouncer -- psql -XAt -h /run/pgbouncer -p 6432 -U pgbouncer pgbouncer -c 'SHOW CONFIG'"
    assert "max_client_conn|900|" in node.check_output(console)
    deployed(INVENTORY, "--restart")
    assert "max_client_conn|1000|" in node.check_output(console)


def test_data_that_pgstead_did_not_make_is_never_dropped(node: Any, tmp_path: Path) -> None:
    other = inventory(tmp_path, {"postgresql_instance": "second", "postgresql_port": 5433, "pgbouncer_port": 6433}, {})
    # As after a creation that failed, and somebody who then made and filled the instance by hand.
    node.check_output("touch /var/lib/postgresql/.pgstead-creating-16-second")
    node.check_output("pg_createcluster 16 second --port 5433 --start")
    node.check_output("runuser -u postgres -- psql -p 5433 -h /var/run/postgresql -c 'CREATE DATABASE precious'")
    failed(other, "holds data that pgstead did not put there", code=1)
    listed = node.check_output(
        "runuser -u postgres -- psql -p 5433 -h /var/run/postgresql -Atc 'SELECT datname FROM pg_database'"
    )
    assert "precious" in listed
    node.check_output("pg_dropcluster --stop 16 second && rm /var/lib/postgresql/.pgstead-creating-16-second")


def test_what_may_be_an_interrupted_creation_is_set_aside_not_dropped(node: Any, tmp_path: Path) -> None:
    ports = {"postgresql_port": 5433, "pgbouncer_port": 6433}
    other = inventory(tmp_path, {"postgresql_instance": "third"} | ports, {})
    # A backup that was put back and never started looks like a creation that was broken off.
    node.check_output("touch /var/lib/postgresql/.pgstead-creating-16-third")
    node.check_output("pg_createcluster 16 third --port 5433 && touch /var/lib/postgresql/16/third/precious")
    deployed(other, *SERVER)
    node.check_output("ls /var/lib/postgresql/.pgstead-unfinished-16-third-*/data/precious")
    assert not node.file("/var/lib/postgresql/16/third/precious").exists
    assert node.check_output("pg_lsclusters -h | awk '$2 == \"third\" {print $4}'") == "online"
    node.check_output("pg_dropcluster --stop 16 third && rm -r /var/lib/postgresql/.pgstead-unfinished-*")


def test_afterwards_the_good_declaration_changes_nothing() -> None:
    done = deployed(INVENTORY)
    assert "changed=0" in done, done
