"""What the unit tests stand on: stand-ins for programs, a checkout to write into.

No network, no Docker, no root: what a program would answer is put on PATH in its place.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.plugin_utils import rooms
from pgstead import cli

HOME = Path(__file__).resolve().parents[2]

Program = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """program(name, output, status=0): from now on that is what the program of this name answers.

    Only stand-ins are on PATH, so that none of this machine's own programs decides a test.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, output: str = "", status: int = 0) -> Path:
        answer = folder / f"{name}.out"
        answer.write_text(output)
        script = folder / name
        read = f'while IFS= read -r line || [ -n "$line" ]; do printf "%s\\n" "$line"; done < "{answer}"'
        script.write_text(f"#!/bin/sh\n{read}\nexit {status}\n")
        script.chmod(0o755)
        return script

    return put


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own to write inventories and state into; the working directory is elsewhere."""
    made = make_home(tmp_path / "home")
    monkeypatch.setenv("PGSTEAD_WORKSPACE", str(made))
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return made


def make_home(target: Path) -> Path:
    """What pgstead needs of a checkout: settings, playbooks, plugins, and the inventory that `init` copies."""
    shutil.copytree(HOME / "playbooks", target / "playbooks")
    shutil.copytree(HOME / "inventories" / "single", target / "inventories" / "single")
    (target / "roles").mkdir()
    shutil.copy(HOME / "ansible.cfg", target / "ansible.cfg")
    return target


@pytest.fixture(scope="session")
def options() -> dict[str, Any]:
    """Every input of every role: the schema that platform.yml is checked against."""
    return rooms.inputs(rooms.own())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """run("deploy", "-i", "prod"): exit code, stdout and stderr of the command line as users call it."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pgstead", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as done:
            code = int(done.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def me() -> dict[str, str]:
    """Owner and group that whoever runs the tests may give files to."""
    return {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
