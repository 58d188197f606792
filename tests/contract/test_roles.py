"""Every role keeps the house rules: inputs declared once in two equal ways, prefixes, one writer per file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import HOME, ROLES, load, options

from ansible_collections.pgstead.platform.plugins.plugin_utils import rooms
from pgstead import mirror


def plain(value: Any) -> Any:
    """Expressions that are folded differently are the same."""
    return re.sub(r"\s+", " ", value.strip()) if isinstance(value, str) else value


def test_there_are_roles() -> None:
    assert {"preflight", "postgresql", "pgbouncer"} <= {role.name for role in ROLES}


def test_argument_specs_equal_defaults_in_keys_and_values(role: Path) -> None:
    defaults, specs = load(role / "defaults" / "main.yml"), options(role)
    without = {name for name, option in specs.items() if option.get("required")}
    assert set(specs) - without == set(defaults)
    assert {name: plain(specs[name].get("default", {})) for name in defaults} == {
        k: plain(v) for k, v in defaults.items()
    }


def test_a_secret_has_no_default(role: Path) -> None:
    for name, value in load(role / "defaults" / "main.yml").items():
        if re.search(r"password|secret|_key$", name) and not name.endswith("_tls_key"):
            assert value == "" or str(value).startswith("{{ secrets"), name


def test_every_input_is_described(role: Path) -> None:
    def walk(prefix: str, level: dict[str, Any]) -> list[str]:
        missing = [f"{prefix}{name}" for name, option in level.items() if not option.get("description")]
        for name, option in level.items():
            missing += walk(f"{prefix}{name}.", option.get("options") or {})
        return missing

    assert walk("", options(role)) == []


def test_inputs_have_the_roles_prefix(role: Path) -> None:
    if role.name != "preflight":  # whose inputs are the platform's
        assert [name for name in options(role) if not name.startswith(f"{role.name}_")] == []


def test_no_role_reads_another_roles_variables(role: Path) -> None:
    others = "|".join(other.name for other in ROLES if other != role)
    found = []
    for path in [*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml"), *role.glob("templates/**/*.j2")]:
        # A variable, not a package, unit or path of that name.
        found += re.findall(rf"(?<![\w./'\"-])((?:__)?(?:{others})_\w+)", path.read_text())
    assert found == []


def test_every_template_says_that_it_is_managed_and_by_whom(role: Path) -> None:
    for template in role.glob("templates/**/*.j2"):
        text = template.read_text()
        assert "ansible_managed" in text.splitlines()[0], template
        assert f"role {role.name}" in text.lower(), template


def test_every_file_has_one_writer() -> None:
    templates = [path.relative_to(role / "templates") for role in ROLES for path in role.glob("templates/**/*.j2")]
    assert [path for path, count in Counter(templates).items() if count > 1] == []
    assert len(templates) >= 9


def test_every_task_has_a_name_and_no_failure_is_hidden() -> None:
    hiding = re.compile(r"ignore_errors|failed_when:\s*false|ignore_unreachable")
    for path in [*HOME.glob("roles/*/*/*.yml"), *HOME.glob("playbooks/*.yml")]:
        assert not hiding.search(path.read_text()), path


def test_a_role_says_what_it_brings_of_inputs_that_exist_and_in_words_that_are_known(role: Path) -> None:
    said = load(role / "meta/room.yml")
    assert set(said) <= {"enabled", "inputs", "declares", "secrets", "packages", "server", "ports", "checks"}
    assert rooms.of_role(role).inputs  # fails where an input does not exist
    shown = {key for option in _all(said.get("declares") or {}) for key in option}
    ours = {"between", "unit", "also", "match", "write", "keys", "form", "each"}
    assert shown <= ours | {"type", "elements", "default", "choices", "required", "description", "options"}
    assert all(option.get("description") for option in _all(said.get("declares") or {}))


def _all(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for option in options.values():
        yield option
        yield from _all(option.get("options") or {})


def test_the_mirror_has_what_the_roles_install_and_tasks_name_no_package_themselves() -> None:
    offered = mirror.packages((16, 17))
    assert {f"postgresql-{v}{more}" for v in (16, 17) for more in ("", "-pgvector")} <= set(offered)
    assert {"pgbouncer", "sqitch", "python3-psycopg2", "postgresql-common"} <= set(offered)
    named = set()
    for path in HOME.glob("roles/*/tasks/*.yml"):
        named |= set(re.findall(r"ansible\.builtin\.apt:\n\s+name: (.+)", path.read_text()))
    assert {name for name in named if "{{" not in name} == {"ca-certificates"}  # only to reach PGDG over TLS
