"""A role of the user's own repository that says what it brings: nothing of ours is changed for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgstead import inventory, mirror, paths

PASSWORD = "correct-horse-battery"
ROOM = """\
enabled: "{{ depot_enabled }}"
declares:
  databases[].depot:
    type: dict
    options:
      keep_days: {type: int, default: 30, between: [1, 3650], unit: days}
  databases[].roles[].shelf: {type: str, choices: [upper, lower]}
secrets:
  - {name: depot_key, for: the key of the depot}
  - {name: "{database}_shelf_{role}", for: "the shelf of {role}", where: "databases[].roles[].shelf"}
packages: ["depot-{{ depot_version }}"]
ports:
  - {input: depot_port, unit: depot.service, user: depot}
"""
DEFAULTS = {"depot_enabled": False, "depot_port": 7001, "depot_version": 3}
TASKS = """\
- name: What the role gets of the declaration
  ansible.builtin.copy:
    dest: "{{ playbook_dir }}/got.json"
    content: "{{ databases | pgstead.platform.model([]) | to_json }}"
    mode: "0600"
"""
PLAY = [{"hosts": "postgresql", "gather_facts": False, "roles": ["pgstead.platform.preflight"]},
        {"hosts": "postgresql", "gather_facts": False, "roles": ["depot"]}]  # fmt: skip


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the role, made by `pgstead init`; its host is this machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("PGSTEAD_WORKSPACE", "ANSIBLE_VAULT_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    role = tmp_path / "roles/depot"
    for path, text in {"meta/room.yml": ROOM, "tasks/main.yml": TASKS, "defaults/main.yml": json.dumps(DEFAULTS),
                       "meta/argument_specs.yml": json.dumps(specs())}.items():  # fmt: skip
        (role / path).parent.mkdir(parents=True, exist_ok=True)
        (role / path).write_text(text)
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))
    init("prod", "depot_enabled=true")
    return tmp_path


def specs() -> dict[str, Any]:
    kinds = {"depot_enabled": "bool", "depot_port": "int", "depot_version": "int"}
    options = {name: {"type": kind, "default": DEFAULTS[name], "description": "x"} for name, kind in kinds.items()}
    return {"argument_specs": {"main": {"short_description": "x", "options": options}}}


def init(name: str, *settings: str) -> None:
    more = [argument for setting in settings for argument in ("--set", setting)]
    argv = [Path(sys.executable).with_name("pgstead"), "init", name, "--host", "localhost", *more]
    subprocess.run(argv, check=True, capture_output=True)


def secrets(name: str) -> set[str]:
    """The names in the vault that `pgstead init` made."""
    argv = [inventory.ansible("ansible-vault"), "view", "--vault-password-file", f".pgstead/vault/{name}"]
    shown = subprocess.run([*argv, f"inventories/{name}/group_vars/all/vault.yml"], check=True, capture_output=True)
    return set(re.findall(r"^  (\w+):", shown.stdout.decode(), re.M))


def play(where: Path, changes: dict[str, Any], **database: Any) -> tuple[list[str], str]:
    """Problems that preflight tells, those of this machine left out, and all that was said."""
    platform = yaml.safe_load((where / "inventories/prod/group_vars/all/platform.yml").read_text())
    platform["databases"][0] |= database
    given = platform | {"client_networks": [], "ansible_connection": "local"} | changes
    given["ansible_python_interpreter"] = sys.executable
    (where / "given.json").write_text(json.dumps(given))
    argv = [inventory.ansible("ansible-playbook"), "-i", "inventories/prod", "play.yml", "-e", "@given.json"]
    settings = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_CONFIG": str(where / "ansible.cfg")}
    done = subprocess.run(argv, cwd=where, env=os.environ | settings, capture_output=True, text=True, check=False)
    result = json.loads(done.stdout)["plays"][0]["tasks"][-1]["hosts"]["db1"]
    known = ("databases", "secrets", "depot", "postgresql_depot")
    told = [f"{p['path']}: found {p['found']}; {p['expected']}" for p in result["problems"]]
    return [line for line in told if line.startswith(known)], done.stdout + done.stderr


def test_its_secrets_are_generated_where_it_is_enabled_alone(mine: Path) -> None:
    assert "depot_key" in secrets("prod")
    role = "{name: shop_app, shelf: upper}"
    init("stock", "depot_enabled=true", f"databases=[{{name: shop, roles: [{role}]}}]")
    assert {"depot_key", "shop_shelf_shop_app"} <= secrets("stock")
    init("without")
    assert not {name for name in secrets("without") if "depot" in name or "shelf" in name}


def test_preflight_checks_its_keys_and_demands_its_secrets(mine: Path) -> None:
    assert play(mine, {}, depot={"keep_days": 3650})[0] == []
    told, _ = play(mine, {"secrets": {"scram_salt_key": PASSWORD}}, depot={"keep_days": 0, "kep_days": 1})
    assert "databases[0].depot.keep_days: found 0; write a number from 1 to 3650 days" in told
    assert "databases[0].depot.kep_days: found an unknown key; did you mean keep_days?" in told
    assert [line for line in told if line.startswith("secrets.depot_key: found nothing; it is the key of the depot;")]
    told, _ = play(mine, {"depot_prot": 1, "depot_port": 5432})
    assert "depot_prot: found an unknown variable; did you mean depot_port?" in told
    assert "depot_port: found 5432; write another port than postgresql_port" in told


def test_of_a_role_that_is_not_enabled_the_keys_are_unknown_and_the_message_says_why(mine: Path) -> None:
    told, _ = play(mine, {"depot_enabled": False, "secrets": {}}, depot={}, deopt={})
    reason = "it is the role depot's, which is not enabled: {{ depot_enabled }}"
    assert f"databases[0].depot: found an unknown key; {reason}" in told
    assert [line for line in told if line.startswith("databases[0].deopt: found an unknown key; ")]
    assert not [line for line in told if "depot_key" in line]


def test_its_tasks_get_the_declaration_with_its_defaults_in_it(mine: Path) -> None:
    (mine / "play.yml").write_text(json.dumps(PLAY[1:]))
    argv = [inventory.ansible("ansible-playbook"), "-i", "inventories/prod", "-c", "local", "play.yml"]
    settings = os.environ | {"ANSIBLE_CONFIG": str(mine / "ansible.cfg"), "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    subprocess.run(argv, cwd=mine, env=settings, check=True, capture_output=True)
    (database,) = json.loads((mine / "got.json").read_text())["databases"]
    assert database["depot"] == {"keep_days": 30}
    assert database["pool"]["size"] == 25


def test_the_mirror_has_its_packages(mine: Path) -> None:
    assert paths.workspace() == mine
    assert "depot-3" in mirror.packages([16])
