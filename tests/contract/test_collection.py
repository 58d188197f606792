"""The checkout is the collection pgstead.platform: found by name, documented, in two floors, built without tests."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import HOME, load

from ansible_collections.pgstead.platform.plugins.filter import platform
from ansible_collections.pgstead.platform.plugins.plugin_utils import model
from pgstead import __version__, inventory

NAME = "pgstead.platform"
MODULES = sorted(path.stem for path in HOME.glob("plugins/modules/*.py"))
SERVER: list[str] = load(HOME / "meta/runtime.yml")["action_groups"]["server"]
# An address at which nothing listens.
NOWHERE = {"host": "127.0.0.1", "port": 1, "user": "admin", "password": "x"}


def ansible(program: str, *arguments: str, cwd: Path = HOME, **env: str) -> str:
    done = subprocess.run(
        [inventory.ansible(program), *arguments],
        cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_archive_has_what_playbooks_use_and_nothing_else(tmp_path: Path) -> None:
    ansible("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
    with tarfile.open(tmp_path / f"pgstead-platform-{__version__}.tar.gz") as archive:
        names = archive.getnames()
    files = "CHANGELOG.md FILES.json LICENSE MANIFEST.json README.md SECURITY.md"
    assert {name.split("/")[0] for name in names} == {
        *files.split(), "docs", "meta", "playbooks", "plugins", "roles", "schemas",
    }  # fmt: skip
    assert [name for name in names if name.endswith(("vault.yml", "__pycache__"))] == []
    assert "playbooks/site.yml" in names and "roles/postgresql/files/checks/checks.yml" in names


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """What ansible-doc says of every module."""
    names = [f"{NAME}.{module}" for module in MODULES]
    found: dict[str, Any] = json.loads(ansible("ansible-doc", "--json", *names))
    return found


def test_ansible_doc_lists_every_module_with_a_sentence() -> None:
    listed: dict[str, str] = json.loads(ansible("ansible-doc", "--json", "--list", NAME))
    assert sorted(listed) == [f"{NAME}.{module}" for module in MODULES]
    assert all(len(sentence.split()) > 2 for sentence in listed.values())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_documented_with_an_example_that_its_options_allow(documented: dict[str, Any], module: str) -> None:
    entry = documented[f"{NAME}.{module}"]
    options = entry["doc"].get("options", {})
    assert all(option["description"] for option in options.values())
    assert entry["doc"]["description"] and entry["return"]
    tasks = [task for task in yaml.safe_load(entry["examples"]) if f"{NAME}.{module}" in task]
    assert tasks
    for task in tasks:
        given = task[f"{NAME}.{module}"] or {}
        assert given.keys() <= options.keys()
        assert {name for name, option in options.items() if option.get("required")} <= given.keys()


def test_every_playbook_is_found_by_its_name_from_anywhere(tmp_path: Path) -> None:
    names = [f"{NAME}.{path.stem}" for path in HOME.glob("playbooks/*.yml")]
    collections = str(HOME / ".pgstead/collections")
    where = ("-i", str(HOME / "inventories/single"), "--syntax-check")
    said = ansible("ansible-playbook", *where, *names, cwd=tmp_path, ANSIBLE_COLLECTIONS_PATH=collections)
    assert said.count("playbook: ") == len(names)


def imported(path: Path) -> set[str]:
    """Full names of what a file imports."""
    folder = path.parent.relative_to(HOME / "plugins").parts
    package = ["ansible_collections", "pgstead", "platform", "plugins", *folder]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found |= {".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names}
    return found


def test_what_runs_on_nodes_imports_nothing_that_they_need_not_have() -> None:
    allowed = re.compile(
        r"ansible\.module_utils\.|ansible_collections\.pgstead\.platform\.plugins\.module_utils\.|psycopg2(\.|$)"
    )
    files = [*HOME.glob("plugins/modules/*.py"), *HOME.glob("plugins/module_utils/**/*.py")]
    assert len(files) > 25
    for path in files:
        others = {name for name in imported(path) if not allowed.match(name)}
        assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names, path


def test_what_no_module_needs_is_on_the_upper_floor() -> None:
    """From modules on, by what they import: all of module_utils is reached."""
    start, floor = "ansible_collections.pgstead.platform.plugins.module_utils.", HOME / "plugins/module_utils"
    reached: set[Path] = set()
    todo = set(HOME.glob("plugins/modules/*.py"))
    while todo:
        names = [name.removeprefix(start).split(".") for name in imported(todo.pop()) if name.startswith(start)]
        files = {floor.joinpath(*name[:depth]).with_suffix(".py") for name in names for depth in (1, 2)}
        found = {file for file in files - reached if file.exists()}
        todo |= found
        reached |= found
    assert reached == {path for path in floor.rglob("*.py") if path.name != "__init__.py"}


def test_module_defaults_say_once_where_the_server_is(tmp_path: Path) -> None:
    tenancy = {"table": "shops", "column": "shop"}
    shop = {"name": "shop", "schema_project": "schemas/autolytiq", "tenancy": tenancy}
    declared = model.expand([shop | {"roles": [{"name": "m", "kind": "migrator"}]}], [])
    roles, of = declared["roles"], {"databases": declared["databases"], "queries": ""}
    empty = model.expand([], [])
    (tmp_path / "checks.yml").write_text("- query: {file: one.sql}\n")
    (tmp_path / "one.sql").write_text("SELECT 1")
    arguments: dict[str, dict[str, Any]] = {
        "checks": {"paths": [str(tmp_path)]},
        "reconcile": {"desired": empty, "cluster_queries": "", "database_queries": ""},
        "schema": {"projects": platform.projects(declared["databases"], roles, str(tmp_path))},
        "sql": {"sql": "SELECT 1", "databases": ["shop"], "fingerprints": ""},
        "tenancy": {"sql": {}, "fingerprints": "", **of},
        "tenant": {"roles": roles, **of},
        "vectors": of,
    }  # fmt: skip
    assert sorted(arguments) == SERVER
    # Each of them fails, or has a red line, and what it says then is looked at below.
    tasks = [{"name": name, f"{NAME}.{name}": given, "ignore_errors": True} for name, given in arguments.items()]
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    play |= {"module_defaults": {f"group/{NAME}.server": {"managed": NOWHERE}}}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    said = ansible(
        "ansible-playbook", "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}",
        str(tmp_path / "play.yml"), ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
    )  # fmt: skip
    for task in json.loads(said)["plays"][0]["tasks"]:
        answer = json.dumps(task["hosts"]["localhost"])
        assert "127.0.0.1" in answer and "port 1 failed" in answer, task["task"]["name"]


def test_nothing_patches_the_path_that_python_imports_from() -> None:
    folders = ("plugins", "tests", "bench", "tools", "src")
    files = [path for folder in folders for path in (HOME / folder).rglob("*.py")]
    assert [path for path in files if re.search(r"\bsys\.path\b", path.read_text())] == []
