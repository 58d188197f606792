"""Which molecule scenarios a change touches: the table of paths stands here and nowhere else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
ALL = "default distro interrupted maximal mistakes own-repo tenancy"

# Scenarios, and the paths that touch them (* matches / too). The first row that matches a path decides, and no row
# matches everything: tests/contract refuses a file that nobody has thought of. A row has the scenarios whose tests can
# tell that the path broke, not all that deploy it; CI runs every scenario for every change.
TABLE = (
    # What no deploy reads, or what lint, unit and contract, make up, make bench and tests/long try.
    ("", """*.md docs/* LICENSE Makefile galaxy.yml .gitignore .ci/* .config/ansible-lint* .config/yamllint.yml bench/*
            inventories/sandbox/* src/pgstead/cli/completion.py tests/unit/* tests/contract/* tests/long/*
            tests/house/* plugins/doc_fragments/* tools/bootstrap.sh tools/generate.py tools/touched.py"""),
    # Its own tests deploy an inventory that `init` made, and build a mirror.
    ("default", """molecule/default/* tests/infra/default/* inventories/single/* src/pgstead/cli/init.py
            src/pgstead/cli/mirror.py src/pgstead/mirror/*"""),
    # The shortest with a converge: enough to see that scenarios are still run.
    ("distro", "molecule/distro/* tools/test.py"),
    ("interrupted", "molecule/interrupted/* tests/infra/interrupted/*"),
    ("maximal", "molecule/maximal/* tests/infra/maximal/*"),
    ("interrupted mistakes tenancy", "tests/infra/mistakes/wrong.py"),  # what the others import of it
    ("mistakes", "molecule/mistakes/* tests/infra/mistakes/*"),
    ("own-repo", "molecule/own-repo/* tests/own_repo/* tools/from_wheel.py tools/wheel.py"),
    # The only one with tenants and with schema projects.
    ("tenancy", """molecule/tenancy/* roles/tenancy/* roles/schema/* schemas/* playbooks/t*.yml
            plugins/*tenan* plugins/*token* plugins/*vectors* plugins/*sqitch*
            plugins/modules/schema.py plugins/*schema_project* src/pgstead/cli/tenant.py src/pgstead/cli/tune.py
            tests/isolation/* tests/tenancy/* tests/schema/* tests/schemas/* tests/clients/*"""),
    # The newest PgBouncer with both ways of authentication; the oldest with nearly every input changed; with tenants;
    # in front of a server that is not ours.
    ("default maximal own-repo tenancy", "roles/pgbouncer/* plugins/*pooler*"),
    # As their molecule.yml name them.
    ("default distro maximal tenancy", """tests/infra/every/test_32_leftovers.py tests/infra/every/test_40_secrets.py
            tests/infra/every/callback/* tests/infra/every/test_51_drift.py tests/infra/every/test_52_checks.py
            tests/infra/every/titles.yml"""),
    ("default distro maximal", "tests/infra/every/*"),
    # One for each source of packages; mistakes has the configurations that the server refuses, interrupted the
    # instances that are half made, own-repo an instance and a template that are not ours.
    ("default distro interrupted maximal mistakes own-repo", "roles/postgresql/*"),
    (ALL, """.config/molecule/* ansible.cfg meta/runtime.yml playbooks/* plugins/* pyproject.toml requirements.yml
            roles/preflight/* src/* tests/infra/conftest.py tools/check_fresh.py"""),
)  # fmt: skip


def row(path: str) -> int | None:
    """Number of the row of TABLE that decides for this path of the repository."""
    for number, (_, patterns) in enumerate(TABLE):
        if any(fnmatchcase(path, pattern) for pattern in patterns.split()):
            return number
    return None


def touched(paths: Iterable[str]) -> dict[str, list[str]]:
    """Scenario -> the paths that touch it; a path of no row touches all of them."""
    found: dict[str, list[str]] = {}
    for path in paths:
        number = row(path)
        for scenario in (ALL if number is None else TABLE[number][0]).split():
            found.setdefault(scenario, []).append(path)
    return found


def _git(*argv: str, check: bool = True) -> str:
    done = subprocess.run(["git", *argv], cwd=HOME, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"git cannot say what changed: {done.stderr.strip()}\nmake test runs everything")
    return done.stdout.strip() if done.returncode == 0 else ""


def changed() -> tuple[str, list[str]]:
    """What the change is compared with, in words, and its paths: committed, uncommitted, untracked and removed ones.

    That is the last commit it shares with main of the remote `upstream` or else `origin`. Without either it is the
    commit before the last.
    """
    for name in ("upstream/main", "origin/main"):
        if base := _git("merge-base", "HEAD", name, check=False):
            break
    else:
        name, base = "HEAD~1: no remote has a main", _git("rev-parse", "HEAD~1")
    differ = _git("diff", "--name-only", "--no-renames", "-z", base)
    unknown = _git("ls-files", "--others", "--exclude-standard", "-z")
    return f"{base[:7]} ({name})", sorted({*differ.split("\0"), *unknown.split("\0")} - {""})


def selection() -> list[str]:
    """The scenarios that the change touches; says which, and which paths chose each."""
    base, paths = changed()
    found = touched(paths)
    print(f"what changed since {base} touches, by the table in tools/touched.py:")
    for scenario in ALL.split():
        chose = found.get(scenario, [])
        more = f" and {len(chose) - 3} more" if len(chose) > 3 else ""
        print(f"  {scenario:<10}{', '.join(chose[:3]) or '-'}{more}")
    return list(found)
