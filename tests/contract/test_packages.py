"""requirements.yml, pyproject.toml and what the code uses name the same collections."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomllib
from conftest import HOME, load
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

REQUIRED: dict[str, str] = {item["name"]: item["version"] for item in load(HOME / "requirements.yml")["collections"]}


@pytest.fixture(scope="module")
def bundled() -> dict[str, str]:
    """Collections of the installed Python package `ansible`: name -> version."""
    folder = subprocess.run(
        [sys.executable, "-c", "import ansible_collections as a; print(list(a.__path__)[0])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    manifests = Path(folder).glob("*/*/MANIFEST.json")
    found = [json.loads(path.read_text())["collection_info"] for path in manifests]
    return {f"{item['namespace']}.{item['name']}": item["version"] for item in found}


def test_the_installed_ansible_contains_what_requirements_name(bundled: dict[str, str]) -> None:
    for name, versions in REQUIRED.items():
        assert name in bundled
        assert SpecifierSet(versions).contains(bundled[name]), f"{name}: {bundled[name]} is not {versions}"


def test_pyproject_accepts_the_installed_ansible_and_no_other_major(bundled: dict[str, str]) -> None:
    declared = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]["dependencies"]
    ansible = next(r for r in map(Requirement, declared) if r.name == "ansible")
    assert ansible.specifier.contains("12.3.0")
    assert not ansible.specifier.contains("13.0.0")


def test_what_is_used_is_required_and_what_is_required_is_used(bundled: dict[str, str]) -> None:
    used: set[str] = set()
    for path in HOME.rglob("*.yml"):
        if not {".venv", ".pgstead", ".git"} & set(path.parts):
            used |= set(re.findall(r"\b([a-z]+\.[a-z]+)\.[a-z_]+\b", path.read_text()))
    assert used & bundled.keys() == set(REQUIRED)


def test_every_console_script_is_there() -> None:
    scripts: dict[str, Any] = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]["scripts"]
    for name in scripts:
        program = Path(sys.executable).with_name(name)
        by_name = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        by_module = subprocess.run(
            [sys.executable, "-m", name, "--version"], capture_output=True, text=True, check=True
        )
        assert by_name == by_module.stdout
        assert by_name.startswith(f"{name}, version ")
