"""Every role keeps the house rules: inputs declared once in two equal ways, prefixes, one writer per file."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from conftest import HOME, ROLES, load, options
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.pgstead.platform.plugins.plugin_utils.schema import RULES
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


def test_what_argument_specs_cannot_say_is_said_of_inputs_that_exist() -> None:
    known: list[str] = []

    def walk(prefix: str, level: dict[str, Any]) -> None:
        for name, option in level.items():
            many = "[0]" if option["type"] == "list" else ""
            known.extend([f"{prefix}{name}", f"{prefix}{name}{many}"])
            walk(f"{prefix}{name}{many}.", option.get("options") or {})

    for role in ROLES:
        walk("", options(role))
    assert [rule for rule in RULES if not any(re.fullmatch(rule, path) for path in known)] == []


def test_the_mirror_has_what_the_roles_install() -> None:
    variables = {"postgresql_version": 16}
    render = NativeEnvironment().from_string
    defaults = load(HOME / "roles/postgresql/defaults/main.yml")
    variables["postgresql_extension_packages"] = [
        render(name).render(variables) for name in defaults["postgresql_extension_packages"]
    ]
    wanted = set(
        render(load(HOME / "roles/postgresql/vars/main.yml")["__postgresql_packages"].strip()).render(variables)
    )
    for path in HOME.glob("roles/*/tasks/*.yml"):
        named = re.findall(r"ansible\.builtin\.apt:\n\s+name: \[(.+)\]", path.read_text())
        wanted |= {name.strip() for names in named for name in names.split(",")}
    assert {"postgresql-16", "postgresql-16-pgvector", "pgbouncer"} <= wanted
    offered = {name.format(v=16) for name in (*mirror.PACKAGES, *mirror.COMMON_PACKAGES)}
    assert wanted - {"ca-certificates"} == offered  # that one only to reach PGDG over TLS
