"""Sqitch projects: what is in one, what its plan says, and how that compares with what a database's registry says.

Sqitch deploys; what is decided here is whether it has to be started at all, and what it must not be let near.
Two places in its own sources are followed: Plan.pm (lines of the plan) and Plan/Change.pm (names of scripts).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

PLAN = "sqitch.plan"
SCRIPTS = ("deploy", "revert", "verify")

_PRAGMA = re.compile(r"%\s*(?P<name>[\w-]+)\s*(=\s*(?P<value>.*?)\s*)?$")
_STAMP = r"\s+\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\s+\S.*<[^>]+>\s*(#.*)?$"
_TAG = re.compile(r"@\s*(?P<name>[^\s@#]+)" + _STAMP)
_CHANGE = re.compile(r"\+?\s*(?P<name>[^\s@#%+\[\]-][^\s@#%\[\]]*)(\s+\[[^\]]*\])?" + _STAMP)
# What sqitch says after psql has said what is wrong.
_ECHO = re.compile(r'"?\S*psql"? unexpectedly returned exit value|(Deploy|Verify) failed$')


@dataclass(frozen=True)
class Change:
    """A change of a plan, or one that is in a registry.

    Args:
        name: of the change; a reworked one is there several times.
        script: path of its deploy script inside the project, "" in a registry.
        digest: SHA-1 of that script; of the one that was deployed in a registry, "" where it is not known.
    """

    name: str
    script: str
    digest: str


@dataclass(frozen=True)
class Project:
    """A project as its plan describes it.

    Args:
        name: `%project` of the plan.
        changes: in the order of the plan.
    """

    name: str
    changes: list[Change]


# ---- the files, on the control node ------------------------------------------------------------------------


def bases(inventory: str | None) -> list[Path]:
    """Where projects are looked for: an inventory's directory, the workspace that has it in inventories/, pgstead's."""
    where = Path(inventory or ".")
    return list(dict.fromkeys([where, where.parent.parent, Path(__file__).resolve().parents[2]]))


def locate(project: str, bases: list[Path]) -> Path:
    """The project's directory: absolute, or in the first of `bases` that has it.

    Raises:
        ValueError: nowhere; the message says what to write instead.
    """
    for base in bases:
        if (base / project).is_dir():
            return base / project
    looked = " or ".join(str(base) for base in bases)
    where = "" if Path(project).is_absolute() else f" in {looked}"
    raise ValueError(f"there is no such directory{where}; write where the sqitch project is")


def read(folder: Path) -> dict[str, str]:
    """What a project consists of, by path inside it: its plan, its settings, its scripts.

    Raises:
        ValueError: that is no project.
    """
    if not (folder / PLAN).is_file():
        raise ValueError(f"{folder} has no {PLAN}; write the directory of a sqitch project, or make one: sqitch init")
    paths = [folder / PLAN, folder / "sqitch.conf"]
    paths += [path for part in SCRIPTS for path in sorted((folder / part).rglob("*"))]
    try:
        return {str(path.relative_to(folder)): path.read_text("utf-8") for path in paths if path.is_file()}
    except UnicodeDecodeError as problem:
        raise ValueError(f"a file of {folder} is not UTF-8 ({problem}); take it out, or write it anew") from problem


# ---- the plan ----------------------------------------------------------------------------------------------


def parse(files: dict[str, str]) -> Project:
    """What the plan says.

    Raises:
        ValueError: a line is none, or the script of a change is missing.
    """
    project = ""
    names: list[str] = []
    tags: dict[int, list[str]] = {}  # by the number of the change that they are on
    for number, line in enumerate(files[PLAN].splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if match := _PRAGMA.match(text):
            project = match["value"] or "" if match["name"] == "project" else project
        elif (match := _TAG.match(text)) and names:
            tags.setdefault(len(names) - 1, []).append(match["name"])
        elif match := _CHANGE.match(text):
            names.append(match["name"])
        else:
            raise ValueError(
                f"{PLAN}, line {number}: {text!r} is neither a change nor a tag; lines are made by sqitch add"
            )
    if not project:
        raise ValueError(f"{PLAN} has no line %project=NAME; it is made by sqitch init")
    changes = []
    for position, name in enumerate(names):
        script = _script(name, position, names, tags, files)
        if script not in files:
            raise ValueError(f"change {name} has no script {script}; bring it back, or take the change out of {PLAN}")
        changes.append(Change(name, script, hashlib.sha1(files[script].encode()).hexdigest()))  # noqa: S324 - sqitch's
    return Project(project, changes)


def _script(name: str, position: int, names: list[str], tags: dict[int, list[str]], files: dict[str, str]) -> str:
    """The deploy script of a change; that of a reworked one has a tag in its name that came after it."""
    plain = f"deploy/{name}.sql"
    if name not in names[position + 1 :]:
        return plain
    following = names.index(name, position + 1)
    between = [tag for number in range(position, following) for tag in tags.get(number, [])]
    tagged = [f"deploy/{name}@{tag}.sql" for tag in between]
    return next((path for path in tagged if path in files), (tagged or [plain])[0])


# ---- the plan and the registry -----------------------------------------------------------------------------


def pending(project: Project, deployed: list[Change]) -> list[Change]:
    """The changes that are yet to be deployed, where `obstacle` finds none."""
    return project.changes[len(deployed) :]


def stranger(project: Project, registered: list[str]) -> str:
    """Why this is not the database's project, "" where it is one of them or the first."""
    if not registered or project.name in registered:
        return ""
    return (
        f"the database has the sqitch project {', '.join(registered)}, declared is {project.name}; "
        "write the directory of the former, or another database"
    )


def misplaced(project: Project, deployed: list[Change]) -> str:
    """Why the plan is none of what is deployed, "" where it goes on from there."""
    planned, found = [change.name for change in project.changes], [change.name for change in deployed]
    if unknown := [name for name in dict.fromkeys(found) if name not in planned]:
        return (
            f"deployed, but not in {PLAN}: {', '.join(unknown)}; deploy the project as it was then, or a later one. "
            "A change is undone by sqitch revert, before it is taken out of the plan"
        )
    for position, name in enumerate(found):
        if planned[position : position + 1] != [name]:
            there = planned[position] if position < len(planned) else "nothing"
            return (
                f"{PLAN} has {there} where {name} was deployed; put the plan's lines back in their order, "
                "new changes go to its end"
            )
    return ""


def edited(project: Project, deployed: list[Change]) -> str:
    """Which deployed scripts are not what was deployed, and what to do; "" where all are."""
    pairs = zip(project.changes, deployed, strict=False)  # the plan goes on further
    scripts = [planned for planned, found in pairs if found.digest not in ("", planned.digest)]
    if not scripts:
        return ""
    return (
        f"edited after it was deployed: {', '.join(change.script for change in scripts)}; nobody would run it again. "
        f"Put it back as it was, then add a change that does the rest (sqitch add), or sqitch rework {scripts[0].name}"
    )


def complaint(stderr: str) -> str:
    """What PostgreSQL said, out of what sqitch printed."""
    lines = [line.rstrip() for line in stderr.splitlines()]
    return "\n".join(line for line in lines if line and not _ECHO.match(line))
