"""A file that a task names by its template: rendered here, the user's own template wins, a secret is told to nobody."""

from __future__ import annotations

import getpass
import grp
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import HOME

from pgstead import inventory


@pytest.fixture
def play(tmp_path: Path) -> Any:
    """play(*files, templates=""): a role of this playbook writes these files, on this machine; its output."""
    role = tmp_path / "playbooks/roles/shop"
    (role / "tasks").mkdir(parents=True)
    put(role / "templates/etc/a.conf.j2", "ours {{ answer }}\n")
    put(tmp_path / "playbooks/play.yml", yaml.safe_dump([
        {"hosts": "localhost", "gather_facts": False, "roles": ["shop"], "vars": {"answer": "s3cret-answer"}},
    ]))  # fmt: skip
    put(tmp_path / "inventories/prod/hosts.yml", "all: {hosts: {localhost: {ansible_connection: local}}}\n")
    group = grp.getgrgid(os.getegid()).gr_name

    def run(*files: dict[str, Any], templates: str = "", status: int = 0) -> str:
        entries = [{"owner": getpass.getuser(), "group": group} | file for file in files]
        arguments = {"files": entries, "templates": templates}
        put(role / "tasks/main.yml", yaml.safe_dump([{"name": "Files", "pgstead.platform.files": arguments}]))
        done = subprocess.run(
            [inventory.ansible("ansible-playbook"), "-vvv", "--diff", "-i", tmp_path / "inventories/prod",
             tmp_path / "playbooks/play.yml"],
            cwd=HOME, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return run


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_template_of_the_role_is_rendered_and_one_of_the_users_wins(play: Any, tmp_path: Path) -> None:
    made = tmp_path / "node/a.conf"
    file = {"src": "etc/a.conf.j2", "dest": str(made)}
    assert "changed=1" in play(file)
    assert made.read_text() == "ours s3cret-answer\n"
    assert "changed=0" in play(file)
    for place in ("templates/shop", "inventories/prod/templates/shop", "playbooks/templates/shop", "own"):
        put(tmp_path / place / "etc/a.conf.j2", f"{place} {{{{ answer }}}}\n")
        play(file, templates=str(tmp_path / "own") if place == "own" else "")
        assert made.read_text() == f"{place} s3cret-answer\n"
    told = play(file, templates=str(tmp_path / "misspelt"), status=2)
    assert "misspelt: there is no such directory of templates" in told


def test_a_secret_is_in_the_file_and_nowhere_else(play: Any, tmp_path: Path) -> None:
    file = {"src": "etc/a.conf.j2", "dest": str(tmp_path / "a.conf")}
    said = play(file | {"secret": True, "mode": "0600"})
    assert (tmp_path / "a.conf").read_text() == "ours s3cret-answer\n"
    assert "s3cret" not in said and "(not shown) sha256" in said
    assert "s3cret" in play(file, {"dest": str(tmp_path / "b.conf"), "content": "x"})  # another mode: its diff shows it


def test_a_file_that_shall_not_be_needs_nothing_to_render(play: Any, tmp_path: Path) -> None:
    put(tmp_path / "a.conf", "old")
    play({"src": "etc/nowhere.j2", "dest": str(tmp_path / "a.conf"), "state": "absent"})
    assert not (tmp_path / "a.conf").exists()
    assert "etc/nowhere.j2" in play({"src": "etc/nowhere.j2", "dest": str(tmp_path / "a.conf")}, status=2)
