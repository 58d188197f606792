"""Copies of the scenario's inventory with something wrong in them, and what deploying those says."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[3] / "tools")]
from check_fresh import state
from conftest import DECLARED, HOME, INVENTORY, PASSWORD_FILE, user_environment

NODE = str(DECLARED.variables["ansible_host"])
PLATFORM = yaml.safe_load((INVENTORY / "group_vars/all/platform.yml").read_text())


def put(tree: Any, path: str, value: Any) -> None:
    """Sets `databases.0.pool.size` and the like, with what is missing on the way."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        tree = tree.setdefault(part, {}) if isinstance(tree, dict) else tree[part]
    if isinstance(tree, list) and last == len(tree):
        tree.append(value)
    else:
        tree[last] = value


def inventory(folder: Path, changes: dict[str, Any], secrets: dict[str, Any] | None = None) -> Path:
    """A copy of the inventory with `changes` in platform.yml and `secrets` in a vault of plain text."""
    where = folder / "inventory"
    shutil.copytree(INVENTORY, where)
    platform = copy.deepcopy(PLATFORM)
    for path, value in changes.items():
        put(platform, path, value)
    (where / "group_vars/all/platform.yml").write_text(yaml.safe_dump(platform))
    # The real one's password belongs to the real one's path.
    if secrets is not None:
        values = json.dumps({"secrets": DECLARED.secrets | secrets})
        (where / "group_vars/all/vault.yml").write_text(values)
        (where / "group_vars/all/vault.yml").chmod(0o600)
    return where


def deploy(where: Path, *arguments: str, known: bool = True) -> subprocess.CompletedProcess[str]:
    """`pgstead deploy`; its stderr as one line each per message, whatever the terminal's width."""
    password = ["--vault-password-file", str(PASSWORD_FILE)] if known else []
    done = subprocess.run(
        [Path(sys.executable).with_name("pgstead"), "deploy", "-i", str(where), *password, *arguments],
        capture_output=True, text=True, check=False, cwd=HOME, env=user_environment(COLUMNS="1000"),
    )  # fmt: skip
    done.stderr = re.sub(r"[ \t]+", " ", done.stderr)
    return done


def refused(where: Path, *said: str, arguments: tuple[str, ...] = (), code: int = 3) -> str:
    """Deploys; it must fail with this exit code, say all of `said`, tell no secret, and change nothing on the node."""
    before = state(NODE)
    done = deploy(where, *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    for text in said:
        assert text in done.stderr, done.stderr
    assert [name for name, value in DECLARED.secrets.items() if value in done.stderr + done.stdout] == []
    assert sorted(before ^ state(NODE)) == []
    return done.stderr
