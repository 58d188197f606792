"""What every infra test stands on: the scenario's declaration, its node, and ways to log in.

Expected values come from the inventory, actual ones from the running service. Run by molecule
(`make molecule`); the scenario is in the environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import testinfra
import yaml

from ansible_collections.pgstead.platform.plugins.plugin_utils import model as expanding

HOME = Path(__file__).resolve().parents[2]
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
INVENTORY = SCENARIO / "inventory"
PASSWORD_FILE = HOME / ".pgstead" / "vault" / f"molecule-{SCENARIO.name}-inventory"


@dataclass(frozen=True)
class Declared:
    """The scenario's inventory.

    Args:
        variables: platform.yml and the node's host variables.
        secrets: of its vault.
        model: the declaration, expanded.
    """

    variables: dict[str, Any]
    secrets: dict[str, str]
    model: dict[str, Any]

    def get(self, name: str, default: Any) -> Any:
        return self.variables.get(name, default)

    @property
    def address(self) -> str:
        return str(self.variables["node_address"])

    @property
    def ports(self) -> dict[str, int]:
        return {"pooled": self.get("pgbouncer_port", 6432), "direct": self.get("postgresql_port", 5432)}

    @property
    def version(self) -> int:
        return int(self.get("postgresql_version", 16))

    @property
    def instance(self) -> str:
        return f"{self.version}-{self.get('postgresql_instance', 'main')}"

    def role(self, kind: str) -> dict[str, Any]:
        """The first role of a kind."""
        return next(role for role in self.model["roles"] if role["kind"] == kind)


yaml.SafeLoader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))  # type: ignore[no-untyped-call,arg-type]


def load() -> Declared:
    platform = yaml.safe_load((INVENTORY / "group_vars/all/platform.yml").read_text())
    group = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["postgresql"]
    vault = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-vault"),
            "view",
            "--vault-password-file",
            PASSWORD_FILE,
            INVENTORY / "group_vars/all/vault.yml",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if k != "ANSIBLE_VAULT_PASSWORD_FILE"},
    ).stdout
    model = expanding.expand(platform["databases"], platform.get("cluster_roles", []))
    return Declared(platform | group["vars"] | group["hosts"]["db1"], yaml.safe_load(vault)["secrets"], model)


DECLARED = load()


@pytest.fixture(scope="session")
def declared() -> Declared:
    return DECLARED


@pytest.fixture(scope="session")
def node() -> Any:
    """The node, for testinfra: as root inside."""
    return testinfra.get_host(f"docker://{DECLARED.variables['ansible_host']}")


def connect(role: str, endpoint: str, database: str, password: str | None = None, **options: Any) -> Any:
    """A connection as an application makes it: over TCP from outside the node, in autocommit mode."""
    secret = next((r["secret"] for r in DECLARED.model["roles"] if r["name"] == role), role)
    connection = psycopg2.connect(
        host=DECLARED.address,
        dbname=database,
        user=role,
        password=DECLARED.secrets[secret] if password is None else password,
        **{"port": DECLARED.ports[endpoint], "sslmode": "require", "connect_timeout": 10} | options,
    )
    connection.autocommit = True
    return connection


def ask(role: str, endpoint: str, database: str, statement: str, **options: Any) -> list[tuple[Any, ...]]:
    """The rows of one statement."""
    with closing(connect(role, endpoint, database, **options)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def refused(role: str, endpoint: str, database: str, statement: str) -> str:
    """SQLSTATE with which a statement is refused."""
    with pytest.raises(psycopg2.Error) as raised:
        ask(role, endpoint, database, statement)
    return str(raised.value.pgcode)


@pytest.fixture(scope="session")
def superuser(node: Any) -> Callable[[str, str], str]:
    """Runs SQL as the superuser on the node's socket."""

    def run(statement: str, database: str = "postgres") -> str:
        done = node.run(
            "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -h /var/run/postgresql -p %s -d %s -c %s",
            str(DECLARED.ports["direct"]),
            database,
            statement,
        )
        assert done.rc == 0, done.stderr
        return str(done.stdout).removesuffix("\n")

    return run


@pytest.fixture(scope="session")
def console(node: Any) -> Any:
    """Rows of a console command, asked as the pooler's own OS user, as dicts."""

    def run(command: str) -> list[dict[str, str]]:
        done = node.run(
            "runuser -u pgbouncer -- psql -XAq -P footer=off -h /run/pgbouncer -p %s -U pgbouncer pgbouncer -c %s",
            str(DECLARED.ports["pooled"]),
            command,
        )
        assert done.rc == 0, done.stderr
        header, *rows = done.stdout.splitlines() or [""]  # some commands answer nothing
        return [dict(zip(header.split("|"), row.split("|"), strict=True)) for row in rows]

    return run


def user_environment(**extra: str) -> dict[str, str]:
    """The environment of a user in this checkout: without what molecule adds for itself."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "PY_COLORS"))}
    return own | {"COLUMNS": "200", "NO_COLOR": "1"} | extra


def pgstead(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the CLI; `-i` is the scenario's inventory for the verbs that take one."""
    done = subprocess.run(
        [Path(sys.executable).with_name("pgstead"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=HOME,
        env=user_environment(),
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def deploy(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return pgstead("deploy", "-i", str(INVENTORY), *arguments, check=check)


def playbook(name: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """Runs plain ansible-playbook; the statistics of db1, and the output under "stdout"."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            INVENTORY,
            HOME / "playbooks" / f"{name}.yml",
            "--vault-password-file",
            PASSWORD_FILE,
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=HOME,
        env=user_environment(**environment),
    )
    recap = next((line for line in done.stdout.splitlines() if line.startswith("db1 ") and "ok=" in line), "")
    counts = {key: int(value) for key, _, value in (pair.partition("=") for pair in recap.split() if "=" in pair)}
    return counts | {"rc": done.returncode, "stdout": done.stdout + done.stderr}


def verify_lines() -> list[dict[str, Any]]:
    """The checklist as `pgstead verify --json` has it."""
    done = pgstead("verify", "-i", str(INVENTORY), "--json", check=False)
    lines: list[dict[str, Any]] = json.loads(done.stdout)["hosts"]["db1"]["lines"]
    return lines


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """A failed test shows what the services logged last."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        host = testinfra.get_host(f"docker://{DECLARED.variables['ansible_host']}")
        for unit in (f"postgresql@{DECLARED.instance}", "pgbouncer"):
            report.sections.append((f"journal of {unit}", host.run("journalctl -q -n 15 -o cat -u %s", unit).stdout))
        log = f"/var/log/postgresql/postgresql-{DECLARED.instance}.log"
        report.sections.append((log, host.run("tail -n 15 %s", log).stdout))
