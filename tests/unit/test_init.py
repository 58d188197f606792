"""`pgstead init`: an inventory that deploys as it is, or nothing at all."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.platform.plugins.plugin_utils import shape
from pgstead import __version__, inventory, secrets, workspace
from pgstead.errors import Exit, PgsteadError

HOST = ("--host", "db1.internal")


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def read(where: Path, name: str) -> Any:
    return yaml.safe_load((where / name).read_text())


def host_of(where: Path) -> dict[str, Any]:
    return dict(read(where, "hosts.yml")["postgresql"]["hosts"]["db1"])


def test_an_inventory_is_made_whole_its_secrets_encrypted(home: Path, run: Any, options: dict[str, Any]) -> None:
    code, _, err = run("init", "prod", *HOST, "--network", "10.1.0.0/16", "--network", "fd00::/8", "--database", "shop",
                       "--set", "postgresql_version=17", "--set", "cluster_roles=[{name: operator}]")  # fmt: skip
    where, password = home / "inventories/prod", home / ".pgstead/vault/prod"
    assert code == 0
    assert str(password) in err
    assert set(content(where)) == {"hosts.yml", "group_vars/all/platform.yml", "group_vars/all/vault.yml"}
    assert host_of(where) == {"ansible_host": "db1.internal", "ansible_user": "admin"}
    platform = read(where, "group_vars/all/platform.yml")
    assert platform["client_networks"] == ["10.1.0.0/16", "fd00::/8"]
    assert platform["postgresql_version"] == 17
    assert platform["databases"][0]["owner"] == "shop_owner"
    assert password.stat().st_mode & 0o777 == 0o600
    vault = where / "group_vars/all/vault.yml"
    assert vault.read_text().startswith("$ANSIBLE_VAULT;")
    argv = [inventory.ansible("ansible-vault"), "view", "--vault-password-file", str(password), str(vault)]
    opened = yaml.load(
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout.replace("!unsafe ", ""), yaml.SafeLoader
    )
    assert set(opened["secrets"]) == {
        "shop_app", "shop_migrator", "shop_readonly", "operator", "pgbouncer_stats", "scram_salt_key"}  # fmt: skip
    assert len(set(opened["secrets"].values())) == 6
    assert all(len(secret) >= 32 for secret in opened["secrets"].values())
    assert shape.check(platform | opened, options) == []


@pytest.fixture
def _no_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ansible-vault, which takes most of the time."""
    monkeypatch.setattr(secrets, "write", lambda *_: None)


@pytest.mark.usefixtures("_no_vault")
@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        ((), {"ansible_host": "db1.internal", "ansible_user": "admin"}),
        (("--user", "deploy"), {"ansible_host": "db1.internal", "ansible_user": "deploy"}),
        (
            ("--host", "admin.example.org", "--user", "root"),
            {"ansible_host": "admin.example.org", "ansible_user": "root"},
        ),
        (("--user", r"CORP\deploy"), {"ansible_host": "db1.internal", "ansible_user": r"CORP\deploy"}),
        (
            ("--ssh-key", "~/.ssh/my_key", "--node-address", "10.9.9.9", "--client-host", "db.example.org"),
            {
                "ansible_host": "db1.internal",
                "ansible_user": "admin",
                "ansible_ssh_private_key_file": "~/.ssh/my_key",
                "node_address": "10.9.9.9",
                "client_host": "db.example.org",
            },
        ),
    ],
    ids=["defaults", "another user", "a host named like the default user", "a domain user", "everything"],
)
def test_the_host_is_what_was_said(home: Path, run: Any, arguments: tuple[str, ...], host: dict[str, str]) -> None:
    code, _, err = run("init", "prod", *HOST, *arguments)
    assert code == 0, err
    assert host_of(home / "inventories/prod") == host


@pytest.mark.usefixtures("_no_vault")
def test_without_a_network_only_the_host_itself_may_connect(home: Path, run: Any) -> None:
    run("init", "prod", *HOST)
    assert read(home / "inventories/prod", "group_vars/all/platform.yml")["client_networks"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("9lives", *HOST), "use letters, digits"),
        (("../prod", *HOST), "use letters, digits"),
        (("a" * 52, *HOST), "use letters, digits"),
        (("prod", *HOST, "--network", "10.0.0.5/24"), "has host bits set; write CIDR form"),
        (("prod", *HOST, "--network", "nowhere"), "write CIDR form"),
        (("prod", *HOST, "--database", "my db"), "use letters, digits"),
        (("prod", *HOST, "--set", "postgresql_version"), "write KEY=VALUE"),
        (("prod", *HOST, "--set", "postgresql_hba=[unclosed"), "that is not YAML"),
    ],
)
def test_what_is_wrong_is_refused_and_leaves_nothing(
    home: Path, run: Any, arguments: tuple[str, ...], said: str
) -> None:
    before = content(home)
    code, _, err = run("init", *arguments)
    assert code == Exit.USAGE
    assert said in err
    assert content(home) == before


@pytest.mark.usefixtures("_no_vault")
def test_an_inventory_is_never_overwritten(home: Path, run: Any) -> None:
    assert run("init", "prod", *HOST)[0] == 0
    before = content(home)
    code, _, err = run("init", "prod", "--host", "db2.internal")
    assert code == Exit.REFUSED
    assert "inventories/prod exists; it is never overwritten" in err
    assert content(home) == before


def test_where_secrets_cannot_be_written_no_half_inventory_stays(
    home: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise PgsteadError("no ansible-vault here")

    monkeypatch.setattr(secrets, "write", fail)
    assert run("init", "prod", *HOST)[0] == Exit.FAILED
    assert not (home / "inventories/prod").exists()


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory in which the user stands."""
    monkeypatch.delenv("PGSTEAD_WORKSPACE", raising=False)
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.usefixtures("_no_vault")
def test_an_empty_directory_becomes_a_workspace_for_the_command_line_and_for_plain_ansible(
    empty: Path, run: Any
) -> None:
    code, _, err = run("init", "prod", *HOST)
    assert code == 0
    assert f"in the workspace {empty}" in err
    assert "made ansible.cfg, requirements.yml, .gitignore" in err
    assert {path.name for path in empty.iterdir()} == {
        "inventories", ".pgstead", "ansible.cfg", "requirements.yml", ".gitignore"}  # fmt: skip
    assert read(empty, "requirements.yml")["collections"] == [{"name": "pgstead.platform", "version": __version__}]
    assert "vault_identity_list = prod@.pgstead/vault/prod\n" in (empty / "ansible.cfg").read_text()
    (empty / ".gitignore").write_text("of my own\n")
    (empty / "inventories/prod/deeper").mkdir()
    os.chdir(empty / "inventories/prod/deeper")  # below a workspace it is that one
    assert "made ansible.cfg" not in run("init", "stage", *HOST)[2]
    assert (empty / ".gitignore").read_text() == "of my own\n"
    assert "= stage@.pgstead/vault/stage, prod@.pgstead/vault/prod\n" in (empty / "ansible.cfg").read_text()


@pytest.mark.usefixtures("_no_vault")
def test_the_workspace_may_be_named(empty: Path, tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSTEAD_WORKSPACE", "")  # is put back afterwards
    assert run("--workspace", "../another", "init", "prod", *HOST)[0] == 0
    assert (tmp_path / "another/inventories/prod/hosts.yml").exists()
    assert list(empty.iterdir()) == []


@pytest.mark.usefixtures("_no_vault")
@pytest.mark.parametrize("kind", ["checkout", "password named"])
def test_settings_that_are_not_init_s_stay(home: Path, run: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "checkout":
        link = home / ".pgstead/collections/ansible_collections/pgstead/platform"
        link.parent.mkdir(parents=True)
        link.symlink_to(home)
    else:
        (home / "ansible.cfg").write_text("[defaults]\nvault_password_file = ~/.vault\n")
    before = (home / "ansible.cfg").read_text()
    assert run("init", "prod", *HOST)[0] == 0
    assert (home / "ansible.cfg").read_text() == before


def test_the_sandbox_s_inventory_comes_into_the_workspace_without_anybody_s_secrets(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSTEAD_WORKSPACE", str(empty))
    workspace.sandbox()
    names = {"hosts.yml", "group_vars/all/platform.yml"}
    assert set(content(empty / "inventories/sandbox")) == names
    assert "roles_path = roles\n" in (empty / "ansible.cfg").read_text()
    (empty / "inventories/sandbox/hosts.yml").write_text("mine")
    workspace.sandbox()
    assert read(empty, "inventories/sandbox/hosts.yml") == "mine"


def test_a_failure_leaves_an_empty_directory_empty(empty: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise PgsteadError("no ansible-vault here")

    monkeypatch.setattr(secrets, "write", fail)
    assert run("init", "prod", *HOST)[0] == Exit.FAILED
    assert list(empty.iterdir()) == []
