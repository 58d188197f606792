"""Reads inventories through Ansible itself, so that every form Ansible accepts is accepted here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from pgstead import paths
from pgstead.errors import PgsteadError, RefusedError


def locate(inventory: str) -> Path:
    """The inventory's directory: a path, or the name of one under inventories/.

    Raises:
        RefusedError: there is no such inventory; the message names those that exist.
    """
    for candidate in (Path(inventory), paths.workspace() / "inventories" / inventory):
        if (candidate / "hosts.yml").is_file() or (candidate.is_file() and candidate.name != "hosts.yml"):
            return candidate.resolve()
        if candidate.name == "hosts.yml" and candidate.is_file():
            return candidate.parent.resolve()
    known = sorted(p.parent.name for p in (paths.workspace() / "inventories").glob("*/hosts.yml"))
    raise RefusedError(
        f"there is no inventory {inventory!r}: no hosts.yml was found in it",
        f"pgstead init NAME makes one; in {paths.workspace()} are: {', '.join(known) or 'none'};"
        " --workspace DIR looks elsewhere",
    )


def own() -> list[Path]:
    """The inventories that can be deployed: those under inventories/ that have their secrets."""
    found = (paths.workspace() / "inventories").glob("*/group_vars/all/vault.yml")
    return sorted(path.parents[2].resolve() for path in found)


def unreadable(where: Path) -> list[str]:
    """Files of an inventory that are no YAML, with line and reason: Ansible's message does not say which."""
    found = []
    for path in sorted([*where.rglob("*.yml"), *where.rglob("*.yaml")] if where.is_dir() else []):
        try:
            for _ in yaml.parse(path.read_text()):
                pass
        except yaml.MarkedYAMLError as problem:
            line = problem.problem_mark.line + 1 if problem.problem_mark else "?"
            found.append(f"{path}, line {line}: {problem.problem}")
        except (yaml.YAMLError, UnicodeDecodeError) as problem:
            found.append(f"{path}: {problem}")
    return found


def vault_password_file(inventory: Path) -> Path:
    """Where `pgstead init` and `pgstead sandbox up` keep this inventory's vault password (mode 0600)."""
    root = paths.workspace()
    inside = inventory.is_relative_to(root)
    parts = inventory.relative_to(root).parts if inside else inventory.parts[1:]
    return paths.state("vault", "-".join(parts).removeprefix("inventories-"))


def ansible(program: str) -> str:
    """The Ansible program that belongs to this interpreter, else the one on PATH."""
    beside = Path(sys.executable).with_name(program)
    return str(beside) if beside.exists() else program


def environment(own_password: bool) -> dict[str, str]:
    """Environment for an Ansible program: this workspace's settings; with an inventory's own password no other."""
    found = os.environ | {"ANSIBLE_CONFIG": str(paths.settings())}
    if own_password:
        found.pop("ANSIBLE_VAULT_PASSWORD_FILE", None)
    return found


def hosts(inventory: Path) -> dict[str, dict[str, Any]]:
    """Host name -> its variables as declared (Jinja in them is not evaluated).

    Raises:
        PgsteadError: Ansible cannot read the inventory; its own message is passed on.
    """
    argv = [ansible("ansible-inventory"), "-i", str(inventory), "--list"]
    password = vault_password_file(inventory)
    if password.exists():
        argv += ["--vault-password-file", str(password)]
    env = environment(own_password=password.exists())
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    if done.returncode or "Unable to parse" in done.stderr:  # of which Ansible only warns
        reasons = "\n".join([*unreadable(inventory), done.stderr.strip()])
        raise PgsteadError(f"Ansible cannot read the inventory {inventory}: {reasons}")
    variables: dict[str, dict[str, Any]] = json.loads(done.stdout)["_meta"]["hostvars"]
    return variables
