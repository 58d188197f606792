"""A configuration that PostgreSQL or PgBouncer refuses: its own message, and the last good files stay in force."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from conftest import ask
from wrong import DECLARED, INVENTORY, deploy, inventory

APP = DECLARED.role("app")
CONFIG = "/etc/postgresql/16/main"
FILES = (
    f"{CONFIG}/conf.d/10-pgstead.conf", f"{CONFIG}/conf.d/20-user.conf", f"{CONFIG}/pg_hba.conf",
    "/etc/pgbouncer/pgbouncer.ini", "/etc/pgbouncer/hba.conf", "/etc/pgbouncer/userlist.txt",
)  # fmt: skip


def contents(node: Any) -> str:
    done = node.run("md5sum %s %s %s %s %s %s", *FILES)
    assert done.rc == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module", autouse=True)
def deployed(node: Any) -> None:
    assert deploy(INVENTORY).returncode == 0


CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a value of the wrong kind": (
        {"postgresql_settings": {"shared_buffers": "lots"}}, ('invalid value for parameter "shared_buffers": "lots"',),
    ),
    "a setting that does not exist": ({"postgresql_settings": {"work_memm": "8MB"}}, ("work_memm",)),
    "a value out of range": ({"postgresql_settings": {"port": 99999}}, ("99999", "port")),
    "a library that is not there": (
        {"postgresql_preload_libraries": ["pg_stat_statements", "nowhere"]}, ("nowhere",),
    ),
    "a broken hba line": (
        {"postgresql_hba": ["hostssl all somebody 10.0.0.0/33 scram-sha-256"]}, ("10.0.0.0/33",),
    ),
    "a method nobody has": ({"postgresql_hba": ["hostssl all all 10.0.0.0/8 scarm"]}, ("scarm",)),
    "a setting that PgBouncer does not know": ({"pgbouncer_settings": {"pool_size": 3}}, ("pool_size",)),
    "a value that PgBouncer refuses": ({"pgbouncer_settings": {"server_lifetime": "long"}}, ("server_lifetime",)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("arguments", [(), ("--restart",)], ids=["reload", "restart"])
def test_it_is_refused_in_the_servers_words(case: str, arguments: tuple[str, ...], node: Any, tmp_path: Path) -> None:
    changes, said = CASES[case]
    before = contents(node)
    done = deploy(inventory(tmp_path, changes, {}), *arguments)
    assert done.returncode == 1, done.stderr
    for text in said:
        assert text in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert contents(node) == before
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]
    assert ask(DECLARED.role("migrator")["name"], "direct", APP["database"], "SELECT 1") == [(1,)]


def test_afterwards_the_good_declaration_changes_nothing() -> None:
    done = deploy(INVENTORY)
    assert "changed=0" in done.stderr, done.stderr
