"""Runs the parts of the tests it is given, and ends with how many tests each of them ran.

Usage: test.py [lint] [unit] [contract] [molecule] [long]
       test.py check      lint, unit, contract, and the scenarios that the change touches
       test.py again      tests on a node that KEEP left: of SCENARIO, those that TESTS names or all

SCENARIO=... names the molecule scenarios to run, JOBS=... how many of them at a time (2, with two cores or more).
KEEP=1 leaves their nodes as they are at the end. With CONVERGE=1 `again` deploys first.

A part that fails does not stop the others. A part without a single test, and a skipped test, count as failures:
what was not run has proved nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as ET  # our own pytest wrote what is parsed
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import touched
import yaml

from pgstead import paths
from pgstead.command import Steps, log_path
from pgstead.sandbox import engine, nodes

HOME = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
ON_PATH = {"PATH": f"{BIN}:{os.environ['PATH']}"}
KEEP = bool(os.environ.get("KEEP"))
LINTERS = {
    "ruff check": ["ruff", "check", "-q", "."],
    "ruff format": ["ruff", "format", "-q", "--check", "."],
    # By the path that bootstrap.sh links, which gives modules the names that they import each other by.
    "mypy": ["mypy", "src", "tools", "bench", ".pgstead/collections/ansible_collections/pgstead/platform/plugins"],
    "yamllint": ["yamllint", "-c", ".config/yamllint.yml", "."],
    "ansible-lint": ["ansible-lint", "--nocolor", "-qc", ".config/ansible-lint.yml"],
}  # fmt: skip
MOLECULE = [str(BIN / "molecule"), "-c", ".config/molecule/config.yml"]
LONGEST = ["tenancy", "default", "maximal", "distro"]
_TOLD = re.compile(r"^(INFO|WARNING|ERROR|CRITICAL) |=+ .*\bin \d+|^\S*(FAILED|ERROR)\b|^E  ")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass
class Result:
    """What one step of a part came to; `tests` are pytest's own counts, or 1 for a linter."""

    name: str
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    why: list[str] = field(default_factory=list)  # of each test that failed: its name and what it said first

    @property
    def ok(self) -> bool:
        return self.passed > 0 and not self.failed and not self.skipped


def execute(name: str, argv: list[str], env: Mapping[str, str] | None = None, whole: bool = False) -> int:
    """Runs a program with its whole output in a log; shows the lines that tell how it goes, led by `name`, or all.

    Returns:
        Its exit status.
    """
    log = log_path(f"test-{name.replace(' ', '-')}")
    print(f"\n==== {name}  (log: {log.relative_to(HOME)})", flush=True)
    with log.open("w") as file:
        child = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=HOME,
            env=os.environ | ON_PATH | {"PYTHONUNBUFFERED": "1"} | dict(env or {}),
        )  # fmt: skip
        for line in child.stdout or ():
            file.write(line)
            plain = _ANSI.sub("", line).strip().removeprefix("│").strip()
            if whole or _TOLD.search(plain):
                print(f"  {plain}" if whole else f"  {name}: {plain}", flush=True)
    status = child.wait()
    if status and not whole:
        print("".join(f"  | {line}\n" for line in _ANSI.sub("", log.read_text()).splitlines()[-60:]), flush=True)
    return status


def counted(name: str, argv: list[str], whole: bool = False) -> Result:
    """Runs a program in which pytest runs, and counts the tests by pytest's own report."""
    report = paths.state("junit", f"{name.replace(' ', '-')}.xml")
    report.unlink(missing_ok=True)
    begin = time.monotonic()
    status = execute(name, argv, {"PYTEST_ADDOPTS": f"--junitxml={report} -p no:cacheprovider"}, whole)
    result = Result(name, time.monotonic() - begin)
    if report.exists():
        for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - our own pytest wrote it
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            result.failed += bad
            result.skipped += skipped
            result.passed += int(suite.get("tests", 0)) - bad - skipped
            for case in suite.iter("testcase"):
                for bad_end in (*case.iter("failure"), *case.iter("error")):
                    said = " ".join((bad_end.get("message") or "").split())
                    result.why.append(f"{case.get('classname')}::{case.get('name')}: {said[:400]}")
    if status and not result.failed:
        result.failed = 1  # something else than a test: a converge, an import
        result.why.append(f"ended with status {status} outside any test: see the lines led by its name above")
    return result


def lint() -> Iterator[Result]:
    for name, argv in LINTERS.items():
        begin = time.monotonic()
        status = execute(name, [str(BIN / argv[0]), *argv[1:]], whole=True)
        yield Result(name, time.monotonic() - begin, passed=int(not status), failed=int(bool(status)))


def pytest(*folders: str) -> Iterator[Result]:
    for folder in folders:
        yield counted(folder, [sys.executable, "-m", "pytest", "-q", f"tests/{folder}"], whole=True)


def scenarios() -> list[str]:
    """The scenarios that SCENARIO names, or all."""
    known = sorted(path.parent.name for path in HOME.glob("molecule/*/molecule.yml"))
    wanted = os.environ.get("SCENARIO", "").split()
    if unknown := ", ".join(sorted(set(wanted) - set(known))):
        raise SystemExit(f"there is no scenario {unknown}; SCENARIO takes some of: {' '.join(known)}")
    return sorted(set(wanted)) or known


def scenario(name: str) -> Result:
    """One scenario from an empty node on; with KEEP the node is left, also where something failed."""
    if KEEP:  # molecule's --destroy=never would keep an old node at the beginning, too
        execute(f"molecule {name} destroy", [*MOLECULE, "destroy", "-s", name])
    end = "never" if KEEP else "always"
    return counted(f"molecule {name}", [*MOLECULE, "test", "-s", name, f"--destroy={end}"])


def molecule(names: list[str]) -> Iterator[Result]:
    """The scenarios, each on nodes and a network of its own, so that several can run at a time."""
    # The longest first: then the end is near when the last one begins.
    order = sorted(names, key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    jobs = int(os.environ.get("JOBS", min(2, os.cpu_count() or 1)))
    with ThreadPoolExecutor(jobs) as pool:
        for run in as_completed([pool.submit(scenario, name) for name in order]):
            yield run.result()


def again() -> int:
    """Tests on the node that KEEP left of a scenario, as molecule runs them; the output is theirs alone."""
    name, *others = scenarios()
    if others:
        raise SystemExit(f"make again SCENARIO=x TESTS=path::name, where x is one of: {name} {' '.join(others)}")
    where = HOME / "molecule" / name
    hosts = yaml.safe_load((where / "inventory/hosts.yml").read_text())["postgresql"]["hosts"].values()
    if not engine.running() or {nodes.state_of(host["ansible_host"]) for host in hosts} != {"running"}:
        raise SystemExit(f"no node of the scenario {name} is running: make molecule SCENARIO={name} KEEP=1 first")
    env = os.environ | ON_PATH | {"MOLECULE_SCENARIO_DIRECTORY": str(where), "MOLECULE_SCENARIO_NAME": name}
    deploy = [str(BIN / "pgstead"), "deploy", "-i", str(where / "inventory")]
    test = [*MOLECULE, "verify", "--no-command-borders", "-s", name]
    if tests := shlex.split(os.environ.get("TESTS", "")):
        test = [sys.executable, "-m", "pytest", *tests]
    for argv in [deploy, test] if os.environ.get("CONVERGE") else [test]:
        if status := subprocess.run(argv, cwd=HOME, env=env, check=False).returncode:
            return status
    return 0


PARTS: dict[str, Callable[[list[str]], Iterator[Result]]] = {
    "lint": lambda _: lint(),
    "unit": lambda _: pytest("unit"),
    "contract": lambda _: pytest("contract", "house"),
    "molecule": molecule,
    "long": lambda _: pytest("long"),
}


def main() -> int:
    wanted = sys.argv[1:]
    if wanted == ["again"]:
        return again()
    names = scenarios()
    if wanted == ["check"]:
        names = touched.selection()
        wanted = ["lint", "unit", "contract", *(["molecule"] if names else [])]
    if not wanted or set(wanted) - set(PARTS):
        print(__doc__, file=sys.stderr)
        return 2
    begin = time.monotonic()
    steps = Steps("test")
    needs_nodes = bool({"molecule", "long"} & set(wanted))
    if needs_nodes:
        engine.ensure(steps)
    results: list[Result] = []
    try:
        for part in wanted:
            found = list(PARTS[part](names))
            results += found or [Result(part, 0, failed=1)]
    finally:
        if needs_nodes:
            engine.stop(steps)
    print(f"\n{'part':<22}{'passed':>8}{'failed':>8}{'skipped':>9}{'time':>9}")
    for result in results:
        mark = "" if result.ok else "   <- not green"
        print(f"{result.name:<22}{result.passed:>8}{result.failed:>8}{result.skipped:>9}{result.seconds:>8.0f}s{mark}")
    for result in results:
        for line in result.why[:5]:
            print(f"  {result.name}: {line}")
    total = [sum(getattr(result, key) for result in results) for key in ("passed", "failed", "skipped")]
    minutes = (time.monotonic() - begin) / 60
    verdict = "ok" if all(result.ok for result in results) else "NOT OK"
    print(f"{verdict}: {total[0]} passed, {total[1]} failed, {total[2]} skipped in {minutes:.1f} min")
    return int(verdict != "ok")


if __name__ == "__main__":
    sys.exit(main())
