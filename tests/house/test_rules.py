"""Rules of the house that a slip breaks without anybody's seeing it.

(1) What runs on nodes imports nothing that they need not have, and a room no other room.
(2) Who asks rooms names none of them.
(3) A default, a range, a choice stands once.
(6) A module is documented, and every file of plugins is imported by a unit test.
A waiver has its reason beside it, and goes where the reason goes.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.plugin_utils import rooms

HOME = Path(__file__).resolve().parents[2]
PLUGINS = HOME / "plugins"
ROOMS = [room.name for room in rooms.own()]
# The house is PostgreSQL's and the platform's: what all rooms are about.
GUESTS = sorted(set(ROOMS) - {"postgresql", "preflight"})


def imports(path: Path) -> Iterator[str]:
    """Full names of what a file imports."""
    package = ["ansible_collections", "pgstead", "platform", "plugins", path.parent.name]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


# ---- (1) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(PLUGINS.glob("module_utils/*.py")), ids=lambda path: path.stem)
def test_the_ground_floor_imports_nothing_from_above(path: Path) -> None:
    above = ("ansible.plugins", "yaml", "ansible_collections.pgstead.platform.plugins.plugin_utils")
    assert [name for name in imports(path) if name.startswith(above)] == []


@pytest.mark.parametrize("path", [path for name in ROOMS for path in PLUGINS.glob(f"*_utils/{name}.py")], ids=str)
def test_a_room_imports_no_other_room(path: Path) -> None:
    others = set(ROOMS) - {path.stem}
    assert [name for name in imports(path) if set(name.split(".")[4:]) & others] == []


# ---- (2) ------------------------------------------------------------------------------------------------

# Also as the beginning of a word; `schema` alone is a database's.
NAMED = rf"(?<![A-Za-z-])_*({'|'.join(name + '(?=_)' * (name == 'schema') for name in GUESTS)})"
# Who asks, guests that it names all the same, and why.
WAIVED_NAMES = {
    "playbooks/verify.yml": ({"pgbouncer"}, "the URLs that it shows have that port"),
    "plugins/plugin_utils/shape.py": ({"pgbouncer"}, "names that no role and no database may have"),
    "roles/preflight/meta/argument_specs.yml": ({"pgbouncer"}, "says which names those are"),
    "src/pgstead/cli/deploy.py": ({"pgbouncer"}, "an example in the help of --tags"),
    "src/pgstead/cli/tenant.py": ({"tenancy"}, "the verb of that room: its help says which key it is about"),
    "src/pgstead/mirror/__init__.py": ({"pgbouncer"}, "a sandbox's mirror takes it from Debian testing"),
}


def askers() -> list[Path]:
    floor = ("declaration", "host", "model", "rooms", "shape")
    files = [PLUGINS / "plugin_utils" / f"{name}.py" for name in floor]
    files += [PLUGINS / folder / "preflight.py" for folder in ("action", "modules")]
    files.append(HOME / "playbooks" / "verify.yml")
    return [*files, *HOME.glob("roles/preflight/*/*.yml"), *HOME.glob("src/pgstead/**/*.py")]


def test_who_asks_rooms_names_none() -> None:
    found = {}
    for path in askers():
        if named := set(re.findall(NAMED, path.read_text())):
            found[str(path.relative_to(HOME))] = named
    assert found == {path: names for path, (names, _) in WAIVED_NAMES.items()}


# ---- (3) ------------------------------------------------------------------------------------------------

WAIVED_CHOICES = {
    "cluster_roles[].attributes": "as databases[].roles[].attributes",
    "cluster_roles[].endpoints": "as databases[].roles[].endpoints",
}


WAIVED_LISTS = {
    "reconcile": "attributes by the order in which ALTER ROLE writes them, on the node",
    "model": "what each kind of role may do: a table for docs/reference/roles.md as well",
    "tenancy": "types of the tenant key, as the catalog names them on the node",
}


def options(level: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, option in level.items():
        yield f"{prefix}{name}", option
        yield from options(option.get("options") or {}, f"{prefix}{name}{'[]' * (option['type'] == 'list')}.")


def literals(path: Path) -> Iterator[Any]:
    for node in ast.walk(ast.parse(path.read_text())):
        with suppress(ValueError):
            yield ast.literal_eval(node) if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict) else None


def test_no_choice_and_no_default_stands_twice() -> None:
    """Choices in two options; choices of three and more, or two defaults of one option together, in Python."""
    every = dict(options(rooms.inputs(rooms.own())))
    choices = [
        frozenset(map(str, option["choices"])) for option in every.values() if len(option.get("choices", [])) > 1
    ]
    assert {found for found, count in Counter(choices).items() if count > 1} == {
        frozenset(every[path]["choices"]) for path in WAIVED_CHOICES
    }
    nested = [option["options"] for option in every.values() if "options" in option]
    defaults = [
        {(name, inner["default"]) for name, inner in level.items() if isinstance(inner.get("default"), str | int)}
        for level in nested
    ]
    for path in PLUGINS.glob("*/*.py"):
        for value in literals(path):
            if isinstance(value, list | tuple | set | dict) and len(value) > 2:
                assert frozenset(map(str, value)) not in choices or path.stem in WAIVED_LISTS, path
            if isinstance(value, dict):
                pairs = {(key, inner) for key, inner in value.items() if isinstance(inner, str | int)}
                assert all(len(pairs & given) < 2 for given in defaults), path


# ---- (6) ------------------------------------------------------------------------------------------------

# Files that no unit test imports (* as in a shell), and why.
WAIVED_UNTESTED = {
    "modules/*": "not all are doors yet, whose decisions are functions of module_utils with tests of their own",
    "action/*": "they run modules: seen by the scenarios, preflight by tests/contract/test_room.py",
    **{f"plugin_utils/{name}": "test_declaration.py and test_host.py ask it by its name" for name in ROOMS},
    "module_utils/applied": "compares a catalog with itself: seen by every scenario that deploys twice",
    "module_utils/schema_project": "asks a database and runs sqitch: tests/schema, on a node",
}


def test_every_module_is_documented_with_examples() -> None:
    for path in PLUGINS.glob("modules/*.py"):
        text = path.read_text()
        assert "DOCUMENTATION = r" in text and "EXAMPLES = r" in text and "RETURN = r" in text, path


def test_every_file_of_plugins_is_imported_by_a_unit_test() -> None:
    start = "ansible_collections.pgstead.platform.plugins."
    tested = {n for path in HOME.glob("tests/unit/*.py") for n in imports(path) if n.startswith(start)}
    tested |= {name.rpartition(".")[0] for name in tested}
    files = {
        f"{path.parent.name}/{path.stem}": path
        for path in PLUGINS.glob("*/*.py")
        if path.parent.name != "doc_fragments"
    }
    missing = [name for name in files if f"{start}{name.replace('/', '.')}" not in tested]
    assert [name for name in missing if not any(fnmatch(name, pattern) for pattern in WAIVED_UNTESTED)] == []


def test_waivers_have_a_reason() -> None:
    reasons = [
        *(why for _, why in WAIVED_NAMES.values()),
        *WAIVED_CHOICES.values(),
        *WAIVED_LISTS.values(),
        *WAIVED_UNTESTED.values(),
    ]
    assert all(len(reason.split()) > 1 for reason in reasons)
