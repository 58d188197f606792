"""A repository of the user's own: what `pgstead init` makes of an empty directory works there, without any host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HOME
from from_wheel import OWN, installed

PLATFORM = "ansible_collections/pgstead/platform"


@pytest.fixture(scope="module", params=["checkout", "wheel"])
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pgstead and Ansible's programs are: of this checkout, or of an environment with the wheel."""
    wheel = request.param == "wheel"
    return installed(tmp_path_factory.mktemp("wheel")) if wheel else Path(sys.executable).parent


@pytest.fixture(scope="module")
def made(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an inventory of a host that does not exist, for a version that does not exist."""
    folder = tmp_path_factory.mktemp("mine")
    code, said = call(programs / "pgstead", "init", "prod", "--host", "db1.invalid", cwd=folder)
    assert code == 0, said
    return folder


def call(*argv: str | Path, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(argv, cwd=cwd, env=OWN | {"COLUMNS": "200"}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_plain_ansible_playbook_takes_the_collection_and_the_secrets(programs: Path, made: Path) -> None:
    playbook = ("-i", "inventories/prod", "pgstead.platform.site")
    assert call(programs / "ansible-playbook", "--syntax-check", *playbook, cwd=made)[0] == 0
    code, said = call(programs / "ansible-playbook", "--list-hosts", *playbook, cwd=made)
    assert code == 0 and "db1" in said


def test_deploy_says_where_it_is_and_what_preflight_says(programs: Path, made: Path) -> None:
    wrong = ("-e", '{"postgresql_version": 9}')
    code, said = call(programs / "pgstead", "deploy", "-i", "prod", "--check", *wrong, cwd=made)
    assert code == 3, said
    assert f"workspace {made}, content " in said
    assert "postgresql_version" in said and "nothing was changed" in said
    assert f"full log: {made}/.pgstead/logs/" in said


def test_verbs_that_ask_no_host_need_none(programs: Path, made: Path) -> None:
    code, said = call(programs / "pgstead", "url", cwd=made)
    assert code == 0 and "@db1.invalid:6432/myapp" in said, said


def test_git_gets_the_encrypted_vault_and_no_password_log_or_env_file(made: Path) -> None:
    (made / ".env").touch()
    subprocess.run(["git", "init", "-q"], cwd=made, check=True)
    status = ["git", "status", "--short", "--untracked-files=all"]
    shown = subprocess.run(status, cwd=made, capture_output=True, text=True, check=True).stdout.split()[1::2]
    inventory = ("hosts.yml", "group_vars/all/platform.yml", "group_vars/all/vault.yml")
    ours = {".gitignore", "ansible.cfg", "requirements.yml", *(f"inventories/prod/{name}" for name in inventory)}
    assert set(shown) == ours


def test_a_role_and_a_playbook_of_the_workspace_s_own_are_taken_by_plain_names(programs: Path, made: Path) -> None:
    (made / "roles/theirs/tasks").mkdir(parents=True)
    (made / "roles/theirs/tasks/main.yml").write_text("- ansible.builtin.debug: {msg: their own}\n")
    (made / "playbooks").mkdir()
    (made / "playbooks/site.yml").write_text("- {hosts: all, gather_facts: false, roles: [theirs]}\n")
    plain = (programs / "ansible-playbook", "-i", "inventories/prod", "playbooks/site.yml")
    for argv in (plain, (programs / "pgstead", "deploy")):
        code, said = call(*argv, cwd=made)
        assert code == 0 and "theirs" in said, said


def test_where_there_is_no_workspace_it_says_what_to_do(programs: Path, tmp_path: Path) -> None:
    code, said = call(programs / "pgstead", "--workspace", ".", "deploy", "-i", "prod", cwd=tmp_path)
    assert code == 3
    assert f"pgstead init NAME makes one; in {tmp_path} are: none; --workspace DIR looks elsewhere" in said
    code, said = call(programs / "pgstead", "--workspace", ".", "verify", cwd=tmp_path)
    assert code == 3 and f"your inventories in {tmp_path}: none; pgstead init NAME makes one" in said
    assert list(tmp_path.iterdir()) == []


def test_version_says_which_workspace_and_which_content(programs: Path, made: Path) -> None:
    wheel = programs != Path(sys.executable).parent
    code, said = call(programs / "pgstead", "--version", cwd=made)
    version, workspace, content = (line.split() for line in said.splitlines())
    assert (code, version[0], workspace) == (0, "pgstead,", ["workspace", str(made)])
    assert Path(content[1]) == (next(programs.parent.glob("lib/*/site-packages")) / PLATFORM if wheel else HOME)
