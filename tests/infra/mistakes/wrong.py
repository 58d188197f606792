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
from check_fresh import state
from conftest import DECLARED, HOME, INVENTORY, PASSWORD_FILE, user_environment

NODE = str(DECLARED.variables["ansible_host"])
PLATFORM = yaml.safe_load((INVENTORY / "group_vars/all/platform.yml").read_text())
PGSTEAD = str(Path(sys.executable).with_name("pgstead"))
Cases = dict[str, tuple[dict[str, Any], dict[str, Any]]]  # by name: changes of platform.yml, and of the secrets


def put(tree: Any, path: str, value: Any) -> None:
    """Sets `databases.0.pool.size` and the like, with what is missing on the way."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        tree = tree.setdefault(part, {}) if isinstance(tree, dict) else tree[part]
    if isinstance(tree, list) and last == len(tree):
        tree.append(value)
    else:
        tree[last] = value


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """platform.yml with `changes` in it."""
    platform = copy.deepcopy(PLATFORM)
    for path, value in changes.items():
        put(platform, path, value)
    return dict(platform)


def inventory(folder: Path, changes: dict[str, Any], secrets: dict[str, Any] | None = None) -> Path:
    """A copy of the inventory with `changes` in platform.yml and `secrets` in a vault of plain text."""
    where = folder / "inventory"
    shutil.copytree(INVENTORY, where)
    (where / "group_vars/all/platform.yml").write_text(yaml.safe_dump(changed(changes)))
    # The real one's password belongs to the real one's path.
    if secrets is not None:
        private(where / "group_vars/all/vault.yml", {"secrets": DECLARED.secrets | secrets})
    return where


def private(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values))
    path.chmod(0o600)


def deploy(where: Path, *arguments: str, known: bool = True) -> subprocess.CompletedProcess[str]:
    """`pgstead deploy`; its stderr as one line each per message, whatever the terminal's width."""
    password = ["--vault-password-file", str(PASSWORD_FILE)] if known else []
    done = subprocess.run(
        [PGSTEAD, "deploy", "-i", str(where), *password, *arguments],
        capture_output=True, text=True, check=False, cwd=HOME, env=user_environment(COLUMNS="1000"),
    )  # fmt: skip
    done.stderr = re.sub(r"[ \t]+", " ", done.stderr)
    return done


def seen(done: subprocess.CompletedProcess[str]) -> str:
    """How a program ended and all it said; how it failed comes first: a summary of many tests has no room for more."""
    failure = done.stderr[done.stderr.find("failed:") :] if "failed:" in done.stderr else done.stderr[-300:]
    command = " ".join(map(str, done.args))
    return f"exit status {done.returncode}: {failure}\nof: {command}\nstdout:\n{done.stdout}\nstderr:\n{done.stderr}"


def deployed(where: Path, *arguments: str) -> str:
    """Deploys, which must succeed; what it said."""
    done = deploy(where, *arguments)
    assert done.returncode == 0, seen(done)
    return done.stderr


def failed(where: Path, *said: str, arguments: tuple[str, ...] = (), code: int, known: bool = True) -> str:
    """Deploys; it must fail with this exit code, say all of `said`, and tell no secret."""
    done = deploy(where, *arguments, known=known)
    assert done.returncode == code, seen(done)
    for text in said:
        assert text in done.stderr, f"{text!r} was not said: {seen(done)}"
    assert [name for name, value in DECLARED.secrets.items() if value in done.stderr + done.stdout] == []
    return done.stderr


def refused(where: Path, *said: str, arguments: tuple[str, ...] = ()) -> str:
    """Deploys; it must be refused before anything is changed: every file, package and service is as before."""
    before = state(NODE)
    answer = failed(where, *said, arguments=arguments, code=3)
    changes = sorted(before ^ state(NODE))
    assert changes == [], f"a deploy that was refused changed the node: {changes}; it said: {answer}"
    return answer


def refused_together(folder: Path, cases: Cases) -> dict[str, str]:
    """Deploys every case at once: each is a host of one inventory, with its own changes, and all are the node.

    Returns:
        What was said of each.
    """
    where = inventory(folder, {}, {})
    hosts = yaml.safe_load((where / "hosts.yml").read_text())
    node = hosts["postgresql"]["hosts"]["db1"]
    names = {re.sub(r"\W+", "-", case): case for case in cases}
    hosts["postgresql"]["hosts"] = dict.fromkeys(names, node)
    (where / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (where / "host_vars").mkdir()
    for name, case in names.items():
        changes, secrets = cases[case]
        own = {key: value for key, value in changed(changes).items() if PLATFORM.get(key) != value}
        private(where / "host_vars" / f"{name}.yml", own | {"secrets": DECLARED.secrets | secrets})
    said = refused(where)
    parts = (part.partition(": ") for part in re.split(r"^failed: ", said, flags=re.MULTILINE)[1:])
    told = {names[name]: rest for name, _, rest in parts}
    assert sorted(told) == sorted(cases), said
    return told


def rows(said: str) -> list[list[str]]:
    """The lines of a table of problems: variable, what was found, what to write."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if "│" in line]


def settled(*arguments: str) -> None:
    """The deploy comes to its end, another one finds nothing to do, and everything holds."""
    deployed(INVENTORY, *arguments)
    holds()


def holds() -> None:
    """A deploy finds nothing to do, and every line of the checklist is green; both are asked at once."""
    verifying = subprocess.Popen(
        [PGSTEAD, "verify", "-i", str(INVENTORY), "--vault-password-file", str(PASSWORD_FILE)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HOME, env=user_environment(),
    )  # fmt: skip
    again = deploy(INVENTORY)
    stdout, stderr = verifying.communicate()
    assert again.returncode == 0, seen(again)
    assert "changed=0" in again.stderr, seen(again)
    verified = subprocess.CompletedProcess(verifying.args, verifying.returncode, stdout, stderr)
    assert verified.returncode == 0, seen(verified)
