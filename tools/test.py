"""Runs the parts of the tests it is given, and ends with how many tests each of them ran.

Usage: test.py [lint] [unit] [contract] [molecule] [long]

SCENARIO=... names the molecule scenarios to run, JOBS=... how many of them at a time (2, with two cores or more).

A part that fails does not stop the others. A part without a single test, and a skipped test, count as failures:
what was not run has proved nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET  # our own pytest wrote what is parsed
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from pgstead import paths
from pgstead.command import Steps, log_path
from pgstead.sandbox import engine

HOME = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
LINTERS = {
    "ruff check": ["ruff", "check", "-q", "."],
    "ruff format": ["ruff", "format", "-q", "--check", "."],
    "mypy": ["mypy", "src", "tools", "bench", "plugins/module_utils/pgstead_platform", "plugins/filter",
             "plugins/action", "plugins/modules"],
    "yamllint": ["yamllint", "-c", ".config/yamllint.yml", "."],
    "ansible-lint": ["ansible-lint", "--nocolor", "-qc", ".config/ansible-lint.yml"],
}  # fmt: skip
MOLECULE = ["-c", ".config/molecule/config.yml"]
LONGEST = ["tenancy", "mistakes", "default"]
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
            env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"} | dict(env or {}),
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


def pytest(folder: str) -> Iterator[Result]:
    yield counted(folder, [sys.executable, "-m", "pytest", "-q", f"tests/{folder}"], whole=True)


def molecule() -> Iterator[Result]:
    """The scenarios, each on nodes and a network of its own, so that several can run at a time."""
    wanted = os.environ.get("SCENARIO", "").split()
    found = {path.parent.name for path in HOME.glob("molecule/*/molecule.yml")}
    # The longest first: then the end is near when the last one begins.
    order = sorted(found, key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    jobs = int(os.environ.get("JOBS", min(2, os.cpu_count() or 1)))
    with ThreadPoolExecutor(jobs) as pool:
        runs = [
            pool.submit(counted, f"molecule {name}", [str(BIN / "molecule"), *MOLECULE, "test", "-s", name])
            for name in order
            if not wanted or name in wanted
        ]
        for run in as_completed(runs):
            yield run.result()


PARTS: dict[str, Callable[[], Iterator[Result]]] = {
    "lint": lint,
    "unit": lambda: pytest("unit"),
    "contract": lambda: pytest("contract"),
    "molecule": molecule,
    "long": lambda: pytest("long"),
}


def main() -> int:
    wanted = sys.argv[1:]
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
            found = list(PARTS[part]())
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
