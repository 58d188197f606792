"""Roles of ours in somebody else's repository: an empty directory, ansible-core and the collection's archive.

What the user writes is in `repository/`. Every playbook is run by the oldest ansible-core that meta/runtime.yml allows
and by the newest that a Python of this machine can have; whichever comes second finds nothing to do.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import testinfra
import yaml
from check_fresh import state

HOME = Path(__file__).resolve().parents[2]
HOST = yaml.safe_load((HOME / "molecule/own-repo/inventory/hosts.yml").read_text())["postgresql"]["hosts"]["db1"]
NODE, ADDRESS = HOST["ansible_host"], HOST["node_address"]
SECRETS = {name: secrets.token_urlsafe(24) for name in ("shop_app", "shop_reports", "stats", "salt_key")}
REACHED = {"ansible_connection": "community.docker.docker", "ansible_host": NODE, "node_address": ADDRESS}
INVENTORY = {"databases": {"hosts": {"db1": REACHED}}}
SERVER = """
apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy postgresql-17
runuser -u postgres -- psql -v ON_ERROR_STOP=1 <<'SQL'
CREATE ROLE shop_owner;
CREATE ROLE shop_app LOGIN;
CREATE DATABASE shop OWNER shop_owner;
\\c shop
CREATE TABLE articles (name text);
INSERT INTO articles VALUES ('tea');
ALTER TABLE articles OWNER TO shop_owner;
GRANT SELECT ON articles TO shop_app;
SQL
"""


@dataclass(frozen=True)
class Repository:
    """A user's own directory and Ansible; nothing of this checkout is on its paths."""

    folder: Path
    programs: Path

    def run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [self.programs / program, *arguments], cwd=self.folder, capture_output=True, text=True, check=False,
            env={"HOME": str(self.folder / "home"), "PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert [name for name, value in SECRETS.items() if value in done.stdout + done.stderr] == []
        return done.stdout + done.stderr

    def play(self, name: str, *arguments: str) -> tuple[int, str]:
        """Runs a playbook; how many tasks changed something, and the output."""
        said = self.run("ansible-playbook", "-i", "inventory.yml", name, "--diff", *arguments)
        return int(re.findall(r"^db1 .*\bchanged=(\d+)", said, re.M)[0]), said


def pythons() -> list[str]:
    """This machine's, the newest last; pyenv's, too, whose programs on PATH answer for one version alone."""
    names = [shutil.which(f"python3.{minor}") for minor in range(11, 20)]
    found = {}
    for path in [*filter(None, names), *map(str, Path.home().glob(".pyenv/versions/3.*/bin/python3"))]:
        asked = [path, "-c", "import ensurepip, sys; print(*sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found[tuple(map(int, done.stdout.split()))] = path
    return [path for version, path in sorted(found.items()) if version >= (3, 11)]


def environment(python: str, requirement: str) -> Path:
    """The programs of a virtual environment with this ansible-core alone; the newest is looked for each time."""
    folder = HOME / ".pgstead/cache/own-repo" / requirement
    pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--upgrade", requirement]
    if not (is_there := (folder / "bin/ansible").exists()):
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    if not is_there or "=" not in requirement:
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or is_there, done.stderr  # without a network the one of last time will do
    return folder / "bin"


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> list[Repository]:
    """By the oldest and by the newest ansible-core."""
    oldest = yaml.safe_load((HOME / "meta/runtime.yml").read_text())["requires_ansible"].removeprefix(">=")
    made = []
    for python, requirement in ((sys.executable, f"ansible-core=={oldest}"), (pythons()[-1], "ansible-core")):
        own = Repository(tmp_path_factory.mktemp("repository"), environment(python, requirement))
        shutil.copytree(Path(__file__).with_name("repository"), own.folder, dirs_exist_ok=True)
        (own.folder / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))
        (own.folder / "group_vars").mkdir()
        (own.folder / "group_vars/all.yml").write_text(yaml.safe_dump({f"vault_{k}": v for k, v in SECRETS.items()}))
        # How this test reaches its node, instead of over SSH.
        docker = own.folder / "home/.ansible/collections/ansible_collections/community"
        docker.mkdir(parents=True)
        for name in ("docker", "library_inventory_filtering_v1"):
            (docker / name).symlink_to(Path(sysconfig.get_path("purelib"), "ansible_collections/community", name))
        own.run("ansible-galaxy", "collection", "build", str(HOME), "--output-path", ".")
        archive = next(own.folder.glob("pgstead-platform-*.tar.gz")).name
        own.run("ansible-galaxy", "collection", "install", "--offline", "-p", "collections", archive)
        made.append(own)
    versions = [own.run("ansible", "--version").splitlines()[0] for own in made]
    assert oldest in versions[0] and versions[0] != versions[1], versions
    return made


@pytest.fixture(scope="module")
def node() -> Any:
    return testinfra.get_host(f"docker://{NODE}")


@pytest.fixture(scope="module")
def superuser(node: Any) -> Callable[[str], str]:
    def run(statement: str) -> str:
        done = node.run("runuser -u postgres -- psql -XAtqc %s", statement)
        assert done.rc == 0, done.stderr
        return str(done.stdout).removesuffix("\n")

    return run


def ask(role: str, statement: str, password: str | None = None, port: int = 6432) -> Any:
    """The first value of a statement's answer, as an application asks it: over TCP from outside the node."""
    login = {"user": role, "password": password or SECRETS[role], "sslmode": "require", "connect_timeout": 10}
    with closing(psycopg2.connect(host=ADDRESS, port=port, dbname="shop", **login)) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchone()[0]


def check(*runs: tuple[Repository, str]) -> None:
    """Each of these repositories has something to change with this playbook, and changes nothing with --check."""
    before = state(NODE)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda run: run[0].play(run[1], "--check"), runs))
    assert [said for changed, said in found if not changed] == []
    own = ("/var/lib/postgresql/17/main/", "/var/log/postgresql/")  # what a running server writes by itself
    assert [line for line in sorted(before ^ state(NODE)) if not line.startswith(own)] == []


def settles(first: Repository, second: Repository, playbook: str) -> None:
    """The first deploys; then neither has anything to do, with --check or without."""
    assert first.play(playbook)[0] > 0
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda run: run[0].play(playbook, *run[1:]), [(first, "--check"), (second,)]))
    assert [said for changed, said in found if changed] == []


def test_the_server_role_can_be_checked_on_a_bare_host(repositories: list[Repository]) -> None:
    check(*((own, "server.yml") for own in repositories))


def test_the_pooler_serves_a_server_that_pgstead_did_not_make(
    repositories: list[Repository], node: Any, superuser: Callable[[str], str]
) -> None:
    assert (done := node.run(SERVER)).rc == 0, done.stderr
    oldest, newest = repositories
    check((oldest, "pooler.yml"), (newest, "pooler.yml"), (newest, "server.yml"))
    settles(oldest, newest, "pooler.yml")
    assert ask("shop_app", "SELECT name FROM articles") == "tea"
    assert superuser("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'shop_app'") == "t"
    for role, password in (("shop_app", "wrong"), ("shop_reports", None), ("postgres", "postgres")):
        with pytest.raises(psycopg2.OperationalError):
            ask(role, "SELECT 1", password)


def test_the_server_role_takes_it_over_between_roles_of_the_users(
    repositories: list[Repository], node: Any, superuser: Callable[[str], str]
) -> None:
    oldest, newest = repositories
    check((oldest, "server.yml"), (newest, "server.yml"))
    settles(newest, oldest, "server.yml")
    assert superuser("SHOW log_line_prefix") == "shop %m [%p] "  # the user's own template
    assert superuser("SHOW cluster_name") == "main"  # the role's
    assert node.file("/etc/motd").content_string == "a database of the shop's\n"
    assert node.run("psql -XAtq -h /var/run/postgresql -U watcher postgres -c 'SELECT 1'").stdout == "1\n"
    assert node.run("psql -XAtq -h /var/run/postgresql -U watcher shop -c 'SELECT 1'").rc != 0
    assert ask("shop_app", "SELECT name FROM articles") == ask("shop_reports", "SELECT name FROM articles") == "tea"
    assert ask("shop_reports", "SELECT name FROM articles", port=5432) == "tea"
    with pytest.raises(psycopg2.OperationalError):
        ask("shop_app", "SELECT 1", port=5432)
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        ask("shop_reports", "INSERT INTO articles VALUES ('milk') RETURNING name")


def test_no_secret_is_left_on_the_node(node: Any) -> None:
    """Not in the journal either, where modules write their arguments unless an ansible.cfg like ours says otherwise."""
    journal = node.run("journalctl -q").stdout
    assert "ansible-pgstead.platform" in journal
    assert [name for name, value in SECRETS.items() if value in journal] == []
    assert "SCRAM-SHA-256$" not in journal
    for value in SECRETS.values():
        assert node.run("grep -rlF -e %s /etc /root /tmp /var/lib /var/log /run", value).stdout == ""
