"""Inventories are found by name or path, and read by Ansible itself."""

from pathlib import Path
from typing import Any

import pytest

from pgstead import inventory, paths
from pgstead.errors import Exit, PgsteadError, RefusedError


@pytest.mark.parametrize("spelling", ["single", "home/inventories/single", "home/inventories/single/hosts.yml"])
def test_an_inventory_is_found_by_name_and_by_path(home: Path, spelling: str) -> None:
    assert inventory.locate(spelling) == home / "inventories/single"


def test_a_file_of_another_name_is_an_inventory_itself(home: Path, tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("db1\n")
    assert inventory.locate("hosts.ini") == tmp_path / "hosts.ini"


@pytest.mark.parametrize("spelling", ["prod", "home/inventories", "home/inventories/single/group_vars", "hosts.ini"])
def test_what_is_no_inventory_is_refused(home: Path, spelling: str) -> None:
    with pytest.raises(RefusedError, match=f"there is no inventory '{spelling}'") as refused:
        inventory.locate(spelling)
    assert f"in {home} are: single" in refused.value.hint
    assert refused.value.exit_code is Exit.REFUSED


def test_hosts_come_with_their_variables_as_declared(home: Path) -> None:
    db1 = inventory.hosts(home / "inventories/single")["db1"]
    assert db1["ansible_host"] == "db1.example.com"
    assert db1["cluster_name"] == "main"


@pytest.mark.parametrize("name", ["hosts.yml", "group_vars/all/platform.yml"])
def test_an_inventory_that_is_no_yaml_is_told_with_file_and_line(home: Path, name: str) -> None:
    where = home / "inventories/single"
    (where / name).write_text("a: [\n")
    assert [line.split(": ")[0] for line in inventory.unreadable(where)] == [f"{where / name}, line 2"]
    with pytest.raises(PgsteadError, match=f"{name}, line 2: "):
        inventory.hosts(where)


def test_yaml_of_ansible_s_own_is_readable(home: Path) -> None:
    where = home / "inventories/single"
    (where / "group_vars/all/vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    (where / "group_vars/all/more.yml").write_text('a: !unsafe "{{ x }}"\nb: !vault |\n  $ANSIBLE_VAULT\n')
    assert inventory.unreadable(where) == []


def test_only_inventories_with_secrets_can_be_deployed(home: Path) -> None:
    assert inventory.own() == []
    (home / "inventories/single/group_vars/all/vault.yml").touch()
    assert inventory.own() == [home / "inventories/single"]


def test_every_inventory_has_a_vault_password_of_its_own(home: Path, tmp_path: Path) -> None:
    asked = [home / "inventories/single", home / "inventories/prod", home / "molecule/x/inventory", tmp_path / "single"]
    files = [inventory.vault_password_file(where) for where in asked]
    assert files[:3] == [home / ".pgstead/vault" / name for name in ("single", "prod", "molecule-x-inventory")]
    assert len(set(files)) == 4


@pytest.mark.parametrize("spelling", ["link", "home", "."])
def test_the_vault_password_is_found_again_however_the_workspace_is_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    (tmp_path / "link").symlink_to(home)
    monkeypatch.chdir(home if spelling == "." else tmp_path)
    monkeypatch.setenv("PGSTEAD_WORKSPACE", spelling)
    made = inventory.vault_password_file(paths.workspace() / "inventories/single")  # as `pgstead init` asks
    assert inventory.vault_password_file(inventory.locate("single")).resolve() == made.resolve()


@pytest.mark.parametrize("own", [True, False])
def test_an_inventory_s_own_password_is_the_only_one(home: Path, monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "another")
    found: dict[str, Any] = inventory.environment(own_password=own)
    assert ("ANSIBLE_VAULT_PASSWORD_FILE" in found) is not own
    assert found["ANSIBLE_CONFIG"] == str(home / "ansible.cfg")
