"""Documents are true: what is generated is fresh, links lead somewhere, commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import generate
import pytest
from conftest import HOME, ROLES, load, options

from pgstead import __version__
from pgstead.cli import root

DOCUMENTS = sorted(
    path for path in HOME.rglob("*.md") if not {".venv", ".pgstead", ".git", ".pytest_cache"} & set(path.parts)
)


def text(path: Path) -> str:
    return path.read_text()


@pytest.mark.parametrize("path", generate.generated(), ids=lambda path: str(path.relative_to(HOME)))
def test_what_is_generated_is_fresh(path: Path) -> None:
    assert text(path) == generate.generated()[path], "run `make docs`"


def test_every_verb_is_documented() -> None:
    readme, reference = text(HOME / "README.md"), text(HOME / "docs/reference/cli.md")
    for verb in root.commands:
        assert f"pgstead {verb}" in readme, f"the README does not mention `pgstead {verb}`"
        assert f"## `pgstead {verb}`" in reference


def test_every_verb_that_runs_a_playbook_names_one_that_exists() -> None:
    for verb in ("deploy", "verify", "url", "tenant", "tune"):
        assert verb in root.commands
        name = "site" if verb == "deploy" else verb
        assert load(HOME / "playbooks" / f"{name}.yml")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(HOME)))
def test_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text(path)):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_make_targets_in_documents_exist_and_are_helped() -> None:
    makefile = text(HOME / "Makefile")
    targets = set(re.findall(r"^([a-z][a-z -]*):.*## ", makefile, re.M))
    known = {name for line in targets for name in line.split()}
    for path in DOCUMENTS:
        for name in re.findall(r"`make ([a-z-]+)`", text(path)):
            assert name in known, f"{path.name}: make {name}"
    assert {"up", "down", "test", "help", "bench", "docs"} <= known


def test_pgstead_commands_in_documents_exist() -> None:
    for path in DOCUMENTS:
        for block in re.findall(r"^```\w*\n(.*?)^```", text(path), re.M | re.S):
            for verb in re.findall(r"^(?:\$ )?pgstead ([a-z]+)", block, re.M):
                assert verb in root.commands, f"{path.name}: pgstead {verb}"


def test_inputs_in_documents_exist() -> None:
    known = set()
    for role in ROLES:
        known |= set(options(role))
    prefixes = "|".join(role.name for role in ROLES)
    for path in DOCUMENTS:
        for name in re.findall(rf"`((?:{prefixes})_\w+)(?::[^`]*)?`", text(path)):
            assert name in known | {"pgbouncer_stats"}, f"{path.name}: {name}"


def test_the_changelog_knows_this_version() -> None:
    assert f"## {__version__}" in text(HOME / "CHANGELOG.md")
    assert load(HOME / "galaxy.yml")["version"] == __version__, "run `make .venv/.complete`"
