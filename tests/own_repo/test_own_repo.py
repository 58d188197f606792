"""Roles of ours in somebody else's repository: an empty directory, and ansible-core with the collection's archive.

What the user writes is in `repository/`. A playbook is run by the oldest ansible-core that meta/runtime.yml allows and
by the newest that a Python of this machine can have; whichever comes second finds nothing to do. At the end the wheel's
`pgstead` makes another such directory a workspace, and deploys it.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import testinfra
import yaml
from check_fresh import state
from from_wheel import installed

HOME = Path(__file__).resolve().parents[2]
GROUP = yaml.safe_load((HOME / "molecule/own-repo/inventory/hosts.yml").read_text())["postgresql"]
NODE, ADDRESS = GROUP["hosts"]["db1"]["ansible_host"], GROUP["hosts"]["db1"]["node_address"]
NETWORK = GROUP["vars"]["sandbox_subnet"]
SECRETS = {name: secrets.token_urlsafe(24) for name in ("shop_app", "shop_reports", "stats", "salt_key")}
REACHED = {"ansible_connection": "community.docker.docker", "ansible_host": NODE, "node_address": ADDRESS}
PLATFORM = (
    "postgresql_version=17", "postgresql_source=distro", "postgresql_restart=true",
    "postgresql_hba=[local postgres watcher peer map=watch]", "postgresql_ident=[watch root watcher]",
    "postgresql_templates='{{ inventory_dir }}/../../templates'",
    "audit_enabled=true",
    "postgresql_before_start_tasks=['{{ inventory_dir }}/../../roles/audit/tasks/before_start.yml']",
)  # fmt: skip
SERVER = """
mkdir -p /etc/postgresql-common/createcluster.d
echo "initdb_options = '--data-checksums'" > /etc/postgresql-common/createcluster.d/ours.conf
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

    def run(self, program: str, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [self.programs / program, *arguments], cwd=self.folder, capture_output=True, text=True, check=False,
            env={"HOME": str(self.folder / "home"), "PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                 "COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        assert [name for name, value in SECRETS.items() if value in done.stdout + done.stderr] == []
        return done.stdout + done.stderr

    def play(self, name: str, *arguments: str) -> int:
        """Runs a playbook; how many tasks changed something."""
        said = self.run("ansible-playbook", "-i", "inventory.yml", name, "--diff", *arguments)
        return int(re.findall(r"^db1 .*\bchanged=(\d+)", said, re.M)[0])


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
def every(tmp_path_factory: pytest.TempPathFactory) -> list[Repository]:
    """By the oldest and by the newest ansible-core, with the archive; by the wheel."""
    folders = [tmp_path_factory.mktemp("repository") for _ in range(3)]
    oldest = yaml.safe_load((HOME / "meta/runtime.yml").read_text())["requires_ansible"].removeprefix(">=")
    with ThreadPoolExecutor() as pool:
        wheel = pool.submit(installed, tmp_path_factory.mktemp("wheel"))
        first = pool.submit(environment, sys.executable, f"ansible-core=={oldest}")
        programs = [first.result(), environment(pythons()[-1], "ansible-core"), wheel.result()]
    made = [Repository(*both) for both in zip(folders, programs, strict=True)]
    for own in made:
        shutil.copytree(Path(__file__).with_name("repository"), own.folder, dirs_exist_ok=True)
    built = tmp_path_factory.mktemp("archive")
    made[0].run("ansible-galaxy", "collection", "build", str(HOME), "--output-path", str(built))
    archive = str(next(built.iterdir()))
    for own in made[:2]:
        (own.folder / "inventory.yml").write_text(yaml.safe_dump({"databases": {"hosts": {"db1": REACHED}}}))
        (own.folder / "group_vars").mkdir()
        (own.folder / "group_vars/all.yml").write_text(yaml.safe_dump({f"vault_{k}": v for k, v in SECRETS.items()}))
        # How this test reaches its node, instead of over SSH.
        docker = own.folder / "home/.ansible/collections/ansible_collections/community"
        docker.mkdir(parents=True)
        for name in ("docker", "library_inventory_filtering_v1"):
            (docker / name).symlink_to(Path(sysconfig.get_path("purelib"), "ansible_collections/community", name))
        own.run("ansible-galaxy", "collection", "install", "--offline", "-p", "collections", archive)
    versions = [own.run("ansible", "--version").splitlines()[0] for own in made[:2]]
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


@contextmanager
def nothing_changes() -> Iterator[None]:
    """On the node, in this block."""
    before = state(NODE)
    yield
    own = ("/var/lib/postgresql/17/main/", "/var/log/postgresql/")  # what a running server writes by itself
    assert [line for line in sorted(before ^ state(NODE)) if not line.startswith(own)] == []


def together(*runs: tuple[Repository, str] | tuple[Repository, str, str]) -> list[int]:
    """How many tasks of each of these runs at the same time had something to change."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda run: run[0].play(*run[1:]), runs))


def test_the_pooler_serves_a_server_that_pgstead_did_not_make(
    every: list[Repository], node: Any, superuser: Callable[[str], str]
) -> None:
    assert (done := node.run(SERVER)).rc == 0, done.stderr
    oldest, newest, _ = every
    with nothing_changes():
        assert all(together((oldest, "pooler.yml", "--check"), (newest, "server.yml", "--check")))
    assert oldest.play("pooler.yml")
    with nothing_changes():
        again = together((newest, "pooler.yml"), (oldest, "pooler.yml", "--check"), (oldest, "server.yml", "--check"))
    assert again[:2] == [0, 0] and again[2]
    assert ask("shop_app", "SELECT name FROM articles") == "tea"
    assert superuser("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'shop_app'") == "t"
    for role, password in (("shop_app", "wrong"), ("shop_reports", None), ("postgres", "postgres")):
        with pytest.raises(psycopg2.OperationalError):
            ask(role, "SELECT 1", password)


def test_the_server_role_takes_it_over_between_roles_of_the_users(
    every: list[Repository], node: Any, superuser: Callable[[str], str]
) -> None:
    oldest, newest, _ = every
    assert newest.play("server.yml")
    assert together((newest, "server.yml", "--check"), (oldest, "server.yml")) == [0, 0]
    has_what_is_the_users(node, superuser)
    assert ask("shop_app", "SELECT name FROM articles") == ask("shop_reports", "SELECT name FROM articles") == "tea"
    assert ask("shop_reports", "SELECT name FROM articles", port=5432) == "tea"
    with pytest.raises(psycopg2.OperationalError):
        ask("shop_app", "SELECT 1", port=5432)
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        ask("shop_reports", "INSERT INTO articles VALUES ('milk') RETURNING name")


def has_what_is_the_users(node: Any, superuser: Callable[[str], str]) -> None:
    assert superuser("SHOW log_line_prefix") == "shop %m [%p] "  # the user's own template
    assert superuser("SHOW cluster_name") == "main"  # the role's
    assert node.file("/etc/motd").content_string == "a database of the shop's\n"
    assert node.run("psql -XAtq -h /var/run/postgresql -U watcher postgres -c 'SELECT 1'").stdout == "1\n"
    assert node.run("psql -XAtq -h /var/run/postgresql -U watcher shop -c 'SELECT 1'").rc != 0


def test_the_wheel_deploys_a_site_of_the_users(
    every: list[Repository], node: Any, superuser: Callable[[str], str]
) -> None:
    """In a workspace: roles of theirs by `roles:`, import_role and include_role, around pgstead's own site.yml."""
    own = every[-1]
    declared = [f"--set={line}" for line in PLATFORM]
    own.run("pgstead", "init", "prod", "--host", ADDRESS, "--network", NETWORK, "--database", "shop", *declared)
    hosts = {"postgresql": {"hosts": {"db1": REACHED}}}
    (own.folder / "inventories/prod/hosts.yml").write_text(yaml.safe_dump(hosts))
    node.run("rm /etc/motd")
    said = own.run("pgstead", "deploy", "--prune")
    assert re.findall(r"^✓ (\S+)", said, re.M) == [
        "base", "preflight", "postgresql", "audit", "postgresql", "tenancy", "schema", "pgbouncer", "watch"
    ]  # fmt: skip
    assert f"workspace {own.folder}, content {own.programs.parent}/lib/" in said
    has_what_is_the_users(node, superuser)
    assert "prod is as declared; changed=0" in own.run("pgstead", "deploy")
    lines = checklist(own)
    red = [line for line in lines if not line["ok"]]
    assert [line["title"] for line in lines if line["area"] == "audit of shop"] == [
        "leaves a trail of ddl, role", "lets in at most 3 roles"
    ]  # fmt: skip
    assert [line["title"] for line in red] == ["has nothing that is not declared"]
    assert "role watcher" in red[0]["found"] and "shop_reports" not in red[0]["found"]  # which --prune dropped
    own.run("pgstead", "url", "--write", ".env")
    lines = dict(line.split("=", 1) for line in (own.folder / ".env").read_text().splitlines() if line[:1] != "#")
    url = lines["DATABASE_URL"].strip('"')
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("shop_app",)
    with pytest.raises(psycopg2.OperationalError):
        ask("shop_app", "SELECT 1")  # the password that another repository declared


def checklist(own: Repository) -> list[dict[str, Any]]:
    """Lines of `pgstead verify`, where something is red."""
    lines: list[dict[str, Any]] = json.loads(own.run("pgstead", "verify", "--json", status=1))["hosts"]["db1"]["lines"]
    return lines


def test_a_role_of_the_users_brings_what_it_needs(
    every: list[Repository], node: Any, superuser: Callable[[str], str]
) -> None:
    """roles/audit of the site before, by its meta/room.yml; its page is docs/how-to/add-a-room.md."""
    own = every[-1]
    assert superuser("SHOW shared_preload_libraries").split(", ")[-1] == "pgaudit"
    assert superuser("SHOW pgaudit.log") == "ddl, role"
    replication = "FROM pg_hba_file_rules WHERE 'replication' = ANY (database) LIMIT 1"
    assert superuser(f"SELECT type, user_name, address, auth_method {replication}") == "host|{all}|all|reject"
    token = node.file("/etc/audit-collector/token")
    assert (token.user, token.mode, len(token.content_string) > 20) == ("root", 0o600, True)

    platform = own.folder / "inventories/prod/group_vars/all/platform.yml"
    declared = yaml.safe_load(platform.read_text())

    def declare(logins: int) -> None:
        declared["databases"][0]["audit"] = {"logins": logins}
        platform.write_text(yaml.safe_dump(declared))

    superuser("ALTER DATABASE shop SET pgaudit.log = 'none'")
    declare(2)
    asked = [line for line in checklist(own) if line["area"] == "audit of shop"]
    assert [(line["title"], line["ok"], line["found"]) for line in asked] == [
        ("leaves a trail of ddl, role", False, "none"),
        ("lets in at most 2 roles", False, "shop_app, shop_migrator, shop_readonly"),
    ]

    declare(0)
    with nothing_changes():
        said = own.run("pgstead", "deploy", "-e", '{"secrets": {}}', status=3)
    told = dict(re.findall(r"^│(\S+) +│ (.+?) *│$", said, re.M))
    assert re.split(" +│ ", told["databases[0].audit.logins"]) == ["0", "write a number from 1 to 100 roles"]
    demanded = "nothing │ it is the token that the auditors' collector wants; set it with: "
    assert told["secrets.audit_token"].startswith(demanded)


def test_no_secret_is_left_on_the_node(node: Any) -> None:
    """Not in the journal either, where modules write their arguments unless an ansible.cfg like ours says otherwise."""
    journal = node.run("journalctl -q").stdout
    assert "ansible-pgstead.platform" in journal
    assert [name for name, value in SECRETS.items() if value in journal] == []
    assert "SCRAM-SHA-256$" not in journal
    for value in SECRETS.values():
        assert node.run("grep -rlF -e %s /etc /root /tmp /var/lib /var/log /run", value).stdout == ""
