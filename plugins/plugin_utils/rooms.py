"""What each role brings to others: reads their meta/room.yml, and merges what several of them say.

A role is a room where it has that file; docs/reference/room.md says what stands in it. Whoever asks names no room.
"""

from __future__ import annotations

import copy
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from . import shape

CONTENT = Path(__file__).resolve().parents[2]
PLATFORM = "preflight"  # the role whose inputs are the declaration: `databases`, `cluster_roles` and the like
HOUSE = (PLATFORM, "postgresql")  # what all others are guests of
_CODE = Path("plugins", "plugin_utils")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Evaluate = Callable[[Any], Any]  # of a value with Jinja in it


@dataclass(frozen=True)
class Room:
    """A role that says what it brings.

    Args:
        role: its directory.
        says: its meta/room.yml.
    """

    role: Path
    says: dict[str, Any]

    @property
    def name(self) -> str:
        return self.role.name

    @property
    def known_as(self) -> str:
        """How a play names the role: in full where a collection has it."""
        if self.role.parents[1] == CONTENT:  # a checkout may be anywhere
            return f"pgstead.platform.{self.name}"
        within = re.search(r"/ansible_collections/([^/]+)/([^/]+)/roles/[^/]+$", str(self.role))
        return ".".join([*within.groups(), self.name]) if within else self.name

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """Its options as argument_specs has them, with the ranges and forms that room.yml adds."""
        specs = _read(self.role / "meta" / "argument_specs.yml").get("argument_specs") or {}
        found = next((spec.get("options") or {} for spec in specs.values()), {})
        for path, more in (self.says.get("inputs") or {}).items():
            _option(found, path).update(more)
        return found

    def code(self, function: str) -> Callable[..., Any] | None:
        """A function of plugin_utils/<room>.py in the room's collection, where it has one."""
        collection, package = self.role.parents[1], __package__
        if collection != CONTENT:
            package = ".".join([*collection.parts[-3:], "plugins", "plugin_utils"])
        if not package.startswith("ansible_collections.") or not (collection / _CODE / f"{self.name}.py").is_file():
            return None
        return getattr(importlib.import_module(f"{package}.{self.name}"), function, None)


# ---- finding them ---------------------------------------------------------------------------------------


def _read(path: Path) -> Any:
    return yaml.load(path.read_text(), _Loader) or {} if path.is_file() else {}  # noqa: S506 - a safe one


@cache
def of_role(role: Path) -> Room:
    """The room that a role is."""
    return Room(role, _read(role / "meta" / "room.yml"))


@cache
def own() -> tuple[Room, ...]:
    """Those of this collection, which every role of it may count on."""
    return find([CONTENT / "roles"])


def find(folders: Iterable[Path]) -> tuple[Room, ...]:
    """The rooms among the roles of these folders, of each name the first: the house's own, then by name."""
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.glob("*/meta/room.yml")):
            found.setdefault(file.parents[1].name, file.parents[1])
    return tuple(of_role(found[name]) for name in sorted(found, key=lambda name: (name not in HOUSE, name)))


def folders(collections: Iterable[str | Path], roles: Iterable[str | Path], workspace: Iterable[Path]) -> list[Path]:
    """Where roles are: in this collection, in all that are installed, on Ansible's path of roles, in the workspace.

    Args:
        collections: directories named ansible_collections.
        roles: directories of roles.
        workspace: directories that may have roles/ in them.
    """
    installed = [path for folder in collections for path in sorted(Path(folder).glob("*/*/roles"))]
    known = [CONTENT / "roles", *installed, *(Path(folder).expanduser() for folder in roles)]
    return [*known, *(folder / "roles" for folder in workspace)]


def of_play(variables: Any) -> tuple[Room, ...]:
    """Those that Ansible finds from a play: where its plain role names lead, and in the workspace of the inventory.

    Args:
        variables: the host's, of which inventory_dir and playbook_dir are read.
    """
    return _of_play(variables.get("inventory_dir"), variables.get("playbook_dir"))


@cache
def _of_play(inventory: str | None, playbook: str | None) -> tuple[Room, ...]:
    from ansible import constants  # noqa: PLC0415 - pgstead's own programs do without

    bases = [Path(playbook)] if playbook else []
    bases += [Path(inventory), Path(inventory).parent.parent] if inventory else []
    collections = getattr(sys.modules.get("ansible_collections"), "__path__", [])
    return find(folders(collections, constants.DEFAULT_ROLES_PATH, bases))


# ---- which of them count --------------------------------------------------------------------------------


def enabled(rooms: Iterable[Room], evaluate: Evaluate) -> list[Room]:
    """Those whose `enabled` holds for a host; without one a room always is."""
    return [room for room in rooms if shape.truth(evaluate(room.says.get("enabled", True)))]


def in_play(rooms: Iterable[Room], roles: Iterable[str]) -> list[Room]:
    """Those whose role is in a play (ansible_play_role_names): for a role that takes from others what they bring.

    Used alone it takes nothing from anybody: what was never made cannot be counted on.
    """
    names = {role.rpartition(".")[2] for role in roles}
    return [room for room in rooms if room.name in names]


def evaluator(variables: dict[str, Any]) -> Evaluate:
    """Evaluates what rooms say where no play does, by Ansible's own means; what they leave open are their defaults."""
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415 - takes half a second
    from ansible.template import Templar  # noqa: PLC0415 - likewise

    templar = Templar(DataLoader(), variables=variables)
    return lambda value: templar.template(trusted(value))


def trusted(value: Any) -> Any:
    """What stands in a file of a role, so that Ansible evaluates it."""
    from ansible.template import trust_as_template  # noqa: PLC0415 - takes half a second

    if isinstance(value, dict):
        return {key: trusted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [trusted(inner) for inner in value]
    return trust_as_template(value) if isinstance(value, str) else value


def defaults(rooms: Iterable[Room]) -> dict[str, Any]:
    """Defaults of all inputs, expressions not evaluated."""
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415 - takes half a second

    loader = DataLoader()
    found: dict[str, Any] = {}
    for room in rooms:
        if (file := room.role / "defaults" / "main.yml").is_file():
            found |= loader.load_from_file(str(file), trusted_as_template=True) or {}
    return found


# ---- what they bring ------------------------------------------------------------------------------------


def inputs(rooms: Iterable[Room], guests: Iterable[Room] | None = None) -> dict[str, Any]:
    """Every input of every room, with what guests declare inside others' (`databases[].dump`) in its place.

    Args:
        rooms: whose inputs are known.
        guests: those of them that are enabled; without them all.
    """
    rooms = list(rooms)
    options = copy.deepcopy({name: option for room in rooms for name, option in room.inputs.items()})
    for room in rooms if guests is None else guests:
        for path, option in (room.says.get("declares") or {}).items():
            way, _, key = path.rpartition(".")
            _option(options, way)["options"][key] = copy.deepcopy(option)
    return options


def _option(options: dict[str, Any], path: str) -> dict[str, Any]:
    """The option at a path; of `client_networks[]`, a list without options, what is said of each element."""
    option: dict[str, Any] = {"options": options}
    for part in path.split("."):
        option = option.get("options", {}).get(part.removesuffix("[]"))
        if option is None:
            raise ValueError(f"a meta/room.yml speaks of {path}, which no role has")
    return option.setdefault("each", {}) if path.endswith("[]") and "options" not in option else option


@dataclass(frozen=True)
class Secret:
    """A secret that must be there.

    Args:
        name: its key in `secrets`.
        purpose: what it is for.
        match: a regular expression that it must match; one that does not is `found`, and what to write is `write`.
    """

    name: str
    purpose: str
    match: str = ""
    found: str = ""
    write: str = ""


def secrets(rooms: Iterable[Room], databases: list[dict[str, Any]]) -> Iterator[Secret]:
    """What rooms need; `databases` as expanded."""
    for room in rooms:
        for entry in room.says.get("secrets") or []:
            for names in _where(entry, databases):
                name, purpose = entry["name"].format(**names), entry["for"].format(**names)
                yield Secret(name, purpose, *(entry.get(key, "") for key in ("match", "found", "write")))


def packages(rooms: Iterable[Room], evaluate: Evaluate, databases: list[dict[str, Any]] | None = None) -> list[str]:
    """What rooms install; without `databases` what they may."""
    found: list[str] = []
    for room in rooms:
        for entry in room.says.get("packages") or []:
            plain = entry if isinstance(entry, dict) else {"name": entry}
            if databases is None or list(_where(plain, databases)):
                names = evaluate(plain["name"])
                found += [names] if isinstance(names, str) else names
    return list(dict.fromkeys(found))


def _where(entry: dict[str, Any], databases: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Once, or for every database or role that has what `where` names (`databases[].dump.upload`): their names."""
    if "where" not in entry:
        yield {}
        return
    _, *way = entry["where"].split(".")
    for database in databases:
        holders = [(database, way)]
        if way[:1] == ["roles[]"]:
            holders = [(role, way[1:]) for role in database["roles"]]
        for holder, keys in holders:
            value: Any = holder
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            if value:
                yield {"database": database["name"], "role": "" if holder is database else holder["name"]}


def ports(rooms: Iterable[Room]) -> list[dict[str, Any]]:
    """The ports that rooms listen on: the input that says which, the systemd unit and the OS user that may be there."""
    return [port for room in rooms for port in room.says.get("ports") or []]


def server(rooms: Iterable[Room]) -> dict[str, Any]:
    """What the server must have for rooms; lists of a setting are united.

    Raises:
        ValueError: two rooms want another value of a setting.
    """
    settings: dict[str, Any] = {}
    by: dict[str, str] = {}
    found: dict[str, list[str]] = {"hba_before": [], "hba_after": [], "peer_roles": []}
    for room in rooms:
        says = room.says.get("server") or {}
        for name, value in (says.get("settings") or {}).items():
            if isinstance(value, list) and isinstance(settings.get(name, []), list):
                settings[name] = list(dict.fromkeys([*settings.get(name, []), *value]))
            elif settings.setdefault(name, value) != value:
                raise ValueError(f"{name}: {by[name]} wants {settings[name]!r}, {room.name} wants {value!r}")
            by.setdefault(name, room.name)
        for key, items in found.items():
            items += [item for item in says.get(key) or [] if item not in items]
    return {"settings": settings, **found}
