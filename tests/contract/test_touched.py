"""The table by which `make check` chooses scenarios: it knows every file, and names every scenario."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import touched
from conftest import HOME

FILES = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    capture_output=True, text=True, check=True, cwd=HOME,
).stdout.splitlines()  # fmt: skip


def test_every_file_is_in_a_row() -> None:
    assert len(FILES) > 100
    assert [path for path in FILES if touched.row(path) is None] == [], "add them to tools/touched.py"


def test_every_pattern_decides_for_a_file() -> None:
    for number, (_, patterns) in enumerate(touched.TABLE):
        for pattern in patterns.split():
            assert any(touched.row(path) == number and touched.fnmatchcase(path, pattern) for path in FILES), pattern


def test_it_names_the_scenarios_that_exist() -> None:
    assert sorted(touched.ALL.split()) == sorted(path.parent.name for path in HOME.glob("molecule/*/molecule.yml"))
    assert all(set(scenarios.split()) <= set(touched.ALL.split()) for scenarios, _ in touched.TABLE)


@pytest.mark.parametrize(
    ("path", "scenarios"),
    [
        ("roles/pgbouncer/tasks/main.yml", "default maximal own-repo tenancy"),
        ("roles/pgbouncer/README.md", ""),
        ("plugins/modules/pooler.py", "default maximal own-repo tenancy"),
        ("roles/schema/tasks/run.yml", "tenancy"),
        ("plugins/plugin_utils/shape.py", touched.ALL),
        ("plugins/module_utils/pg.py", touched.ALL),
        ("roles/tenancy/files/sql/vectors.sql", "tenancy"),
        ("plugins/doc_fragments/server.py", ""),
        ("playbooks/site.yml", touched.ALL),
        ("molecule/maximal/inventory/hosts.yml", "maximal"),
        ("tests/infra/mistakes/test_2_host.py", "mistakes"),
        ("tests/infra/mistakes/wrong.py", "interrupted mistakes tenancy"),
        ("tests/infra/every/test_30_pooler.py", "default distro maximal"),
        ("tests/infra/every/test_51_drift.py", "default distro maximal tenancy"),
        ("tests/clients/python/use_asyncpg.py", "tenancy"),
        ("tests/own_repo/repository/pooler.yml", "own-repo"),
        ("docs/explanation/tenancy.md", ""),
        ("a-folder/that/is/new.py", touched.ALL),
    ],
)
def test_a_path_touches(path: str, scenarios: str) -> None:
    assert sorted(touched.touched([path])) == sorted(scenarios.split())


def test_committed_uncommitted_untracked_and_removed_paths_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*argv: str) -> None:
        who = ("-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *argv], cwd=tmp_path, check=True, capture_output=True)

    def commit(*names: str) -> None:
        for name in names:
            (tmp_path / name).write_text("")
        git("add", ".")
        git("commit", "-m", "x")

    monkeypatch.setattr(touched, "HOME", tmp_path)
    git("init")
    commit("kept", "edited", "removed")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    commit("committed")
    (tmp_path / "edited").write_text("x")
    (tmp_path / "removed").unlink()
    (tmp_path / "with a space").touch()
    base, paths = touched.changed()
    assert "origin/main" in base
    assert paths == ["committed", "edited", "removed", "with a space"]

    git("update-ref", "-d", "refs/remotes/origin/main")
    git("add", ".")
    git("commit", "-m", "x")
    base, paths = touched.changed()
    assert "no remote has a main" in base
    assert paths == ["edited", "removed", "with a space"]


@pytest.mark.parametrize(
    ("verb", "scenario", "said"),
    [
        ("molecule", "distro nope", f"there is no scenario nope; SCENARIO takes some of: {touched.ALL}"),
        ("again", "", f"make again SCENARIO=x TESTS=path::name, where x is one of: {touched.ALL}"),
    ],
)
def test_without_a_scenario_that_exists_nothing_is_run(verb: str, scenario: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, HOME / "tools/test.py", verb],
        capture_output=True, text=True, check=False, env=os.environ | {"SCENARIO": scenario},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, f"{said}\n")
