"""Generated secrets: every name that is needed, and a vault that gives back exactly what was put in."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pgstead import inventory, secrets

ALWAYS = ["pgbouncer_stats", "scram_salt_key"]


@pytest.mark.parametrize(
    ("platform", "names"),
    [
        ({}, ALWAYS),
        ({"databases": None, "cluster_roles": None}, ALWAYS),
        ({"databases": [{"name": "a"}, {"name": "b", "roles": None}]}, ALWAYS),
        ({"databases": [{"roles": [{"name": "r"}, {"name": "s", "secret": "shared"}]}]}, ["r", "shared", *ALWAYS]),
        ({"databases": [{"roles": [{"name": "r"}]}], "cluster_roles": [{"name": "c", "secret": "r"}]}, ["r", *ALWAYS]),
        ({"databases": [{"name": "a", "tenancy": {"token": True}}]}, ["a_tenant_token", *ALWAYS]),
        ({"databases": [{"name": "a", "tenancy": {"token": False}}, {"name": "b", "tenancy": None}]}, ALWAYS),
        ({"databases": [{"name": "a", "pool": {"size": "many"}}], "cluster_roles": [{"name": "c"}]}, ["c", *ALWAYS]),
        ({"databases": ["a", {"name": "b", "poll": {}, "roles": [{"name": "r"}]}]}, ["r", *ALWAYS]),
        ({"cluster_roles": [{"name": "c"}, {"name": "group", "login": False}]}, ["c", *ALWAYS]),
    ],
)
def test_everyone_who_logs_in_needs_a_secret_once(platform: dict[str, Any], names: list[str]) -> None:
    assert sorted(secrets.names(platform)) == sorted(names)


def test_generated_secrets_are_long_all_different_and_need_no_quotes() -> None:
    made = [*secrets.generate(["a", "b"]).values(), *secrets.generate(["a", "b"]).values()]
    assert len(set(made)) == 4
    assert all(len(secret) == 32 and secret.replace("-", "").replace("_", "").isalnum() for secret in made)


AWKWARD = {
    "template": "{{ not_a_template }} {% raw %}",
    "yaml": "!vault |*&anchor,[list]{map}: #",
    "quotes": 'it\'s a "quoted" p%a$s@s:w/o?r#d \\ `here`',
    "unicode": "Pässwörd ½ — ключ 密码 🔑",
    "spaces": "  leading and trailing  ",
    "long": "x " * 100 + "y",
    "number": "0123456789012",
}


@pytest.fixture
def where(home: Path) -> Path:
    made = home / "inventories/prod"
    (made / "group_vars/all").mkdir(parents=True)
    (made / "hosts.yml").write_text("all: {hosts: {db1: {ansible_connection: local}}}\n")
    return made


def test_ansible_gets_every_secret_as_it_was_and_templates_none(home: Path, where: Path) -> None:
    secrets.write(where, AWKWARD)
    assert not [path for path in home.rglob("*") if path.is_file() and "not_a_template" in path.read_text()]
    (home / "show.yml").write_text(
        "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.debug: {msg: '{{ secrets | to_json }}'}}]}\n"
    )
    argv = [inventory.ansible("ansible-playbook"), "-i", str(where), str(home / "show.yml")]
    argv += ["--vault-password-file", str(inventory.vault_password_file(where))]
    settings = inventory.environment(own_password=True) | {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
                                                           "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}  # fmt: skip
    shown = subprocess.run(argv, capture_output=True, text=True, check=True, env=settings).stdout
    told = json.loads(shown[shown.index("{") : shown.rindex("}") + 1])["msg"]
    assert (json.loads(told) if isinstance(told, str) else told) == AWKWARD


def test_a_second_vault_of_an_inventory_keeps_its_password(
    home: Path, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted = []
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(subprocess, "run", lambda argv, **more: encrypted.append((argv, more["input"])) or done)
    secrets.write(where, {"a": "one"})
    password = inventory.vault_password_file(where)
    first = password.read_text()
    secrets.write(where, {"a": "two"})
    assert password.read_text() == first
    assert password.stat().st_mode & 0o777 == 0o600
    assert not any("one" in word or "two" in word for argv, _ in encrypted for word in argv[1:-3])
    secrets.forget(where)
    assert not password.exists()
