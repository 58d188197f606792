"""A newcomer's ways: an empty clone or the wheel, the README's commands and nothing else; then nothing is left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]
LEFTOVERS = (
    ("docker", "ps", "-aq", "--filter", "label=pgstead.network=pgstead-sandbox"),
    ("docker", "network", "ls", "-q", "--filter", "label=pgstead.network=pgstead-sandbox"),
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty clone of what is committed."""
    folder = tmp_path_factory.mktemp("newcomer") / "pgstead"
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", HOME, folder], check=True)
    assert leftovers() == [], "a sandbox is running: `make down` first"
    yield folder
    make(folder, "down")


def leftovers() -> list[str]:
    """Containers and networks of the sandbox."""
    return [line for argv in LEFTOVERS for line in subprocess.check_output(argv, text=True).split()]


def make(folder: Path, *targets: str) -> str:
    """What `make` says; it must succeed."""
    return run(folder, "make", *targets)


def run(folder: Path, *argv: str) -> str:
    """What a program says; it must succeed. Its environment is that of a shell without a virtual environment."""
    foreign = ("ANSIBLE_", "MOLECULE_", "VIRTUAL_ENV", "PYTEST_")
    own = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    done = subprocess.run(
        argv,
        cwd=folder,
        env=own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_make_up_ends_with_a_green_checklist_and_two_urls(clone: Path) -> None:
    said = make(clone, "up")
    assert "every line holds" in said
    assert re.search(r"^DATABASE_URL=postgresql://autolytiq_app:\*\*\*@10\.213\.7\.11:6432/autolytiq", said, re.M)
    assert re.search(r"^DIRECT_DATABASE_URL=postgresql://autolytiq_migrator:\*\*\*@10\.213\.7\.11:5432/", said, re.M)


def test_make_up_again_changes_nothing(clone: Path) -> None:
    assert "changed=0" in make(clone, "up")


def test_the_env_lines_work_with_psql_and_pgbench(clone: Path) -> None:
    pgstead = clone / ".venv" / "bin" / "pgstead"
    subprocess.run([pgstead, "url", "-i", "sandbox", "--write", ".env"], cwd=clone, check=True, capture_output=True)
    lines = dict(line.split("=", 1) for line in (clone / ".env").read_text().splitlines())
    direct, pooled = lines["DIRECT_DATABASE_URL"].strip('"'), lines["DATABASE_URL"].strip('"')
    script = f"""
        set -e
        psql -XAtq '{direct}' -c 'CREATE TABLE visits (id int PRIMARY KEY, e vector(3))'
        cat > /tmp/w <<'SQL'
\\set n random(1, 1000)
INSERT INTO visits VALUES (:client_id * 1000 + :n) ON CONFLICT DO NOTHING;
SQL
        pgbench -n -c 8 -t 50 -f /tmp/w '{pooled}' | grep 'processed: 400/400'
        psql -XAtq '{pooled}' -c 'SELECT count(*) > 100 FROM visits'
    """
    node = ["docker", "exec", "-i", "pgstead-db1", "runuser", "-u", "postgres", "--", "sh", "-s"]
    done = subprocess.run(node, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "t"


def test_make_down_leaves_nothing(clone: Path) -> None:
    make(clone, "down")
    assert leftovers() == []
    assert not (clone / "inventories/sandbox/group_vars/all/vault.yml").exists()
    status = subprocess.run(["git", "status", "--short"], cwd=clone, capture_output=True, text=True, check=True)
    assert status.stdout.split() == ["??", ".env"]


def test_the_wheel_does_as_much_from_an_empty_directory(clone: Path, tmp_path: Path) -> None:
    make(clone, "dist")
    install = f"{sys.executable} -m venv .venv && . .venv/bin/activate && pip install -q {clone}/dist/pgstead-*.whl"
    deploy = "pgstead sandbox up && pgstead deploy -i sandbox && pgstead verify -i sandbox"
    try:
        assert "every line holds" in run(tmp_path, "sh", "-c", f"{install} && {deploy}")
        assert "@10.213.7.11:6432/autolytiq" in run(tmp_path, ".venv/bin/pgstead", "url", "-i", "sandbox")
    finally:
        run(tmp_path, ".venv/bin/pgstead", "sandbox", "down", "-i", "sandbox", "--clean")
    assert leftovers() == []
