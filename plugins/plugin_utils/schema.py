"""Checks declared variables against the roles' argument_specs, and finds everything wrong with them at once.

The specs say types, choices and keys; RULES below says what no argument_specs can: ranges and forms.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ..module_utils.words import nearest

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
NAME_HELP = "letters, digits, underscore and hyphen, at most 63, not starting with a digit or hyphen"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        path: where, as written in platform.yml: `databases[0].pool.size`.
        found: what stands there; never a secret.
        expected: what to write instead.
    """

    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}: found {self.found}; {self.expected}"


def shown(value: Any) -> str:
    """A value for a message: as YAML would have it, shortened."""
    if value is None:
        return "nothing"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _whole_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value) is not None)


# Type of an argument_specs option -> (whether a value is one, what to write).
_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (lambda v: isinstance(v, str), "write a text (in quotes if it looks like a number)"),
    "path": (lambda v: isinstance(v, str), "write a path"),
    "int": (_whole_number, "write a whole number"),
    "bool": (
        lambda v: isinstance(v, bool) or str(v).lower() in ("true", "false", "yes", "no", "on", "off", "1", "0"),
        "write true or false",
    ),
    "list": (lambda v: isinstance(v, list | tuple), "write a list: [a, b] or one `- item` per line"),
    "dict": (lambda v: isinstance(v, dict), "write a mapping: {key: value} or one `key: value` per line"),
    "raw": (lambda v: True, ""),
}


def check(values: dict[str, Any], options: dict[str, Any]) -> list[Problem]:
    """Everything wrong with variables.

    Args:
        values: variables by name; only those in `options` are looked at.
        options: argument_specs options by variable name.

    Returns:
        The problems, in order of `options`.
    """
    problems: list[Problem] = []
    for name, option in options.items():
        if name not in values or (values[name] is None and not option.get("required")):
            if option.get("required"):
                problems.append(Problem(name, "nothing", _required(name, option)))
            continue
        problems += _value(name, values[name], option)
    return problems


def _required(name: str, option: dict[str, Any]) -> str:
    description = option.get("description", "")
    first = description[0] if isinstance(description, list) else description
    plain = re.sub(r"\b[A-Z]\(([^)]*)\)", r"\1", " ".join(first.split()))  # C(x), M(x): documentation markup
    return f"it is required: {plain}" if plain else "it is required"


def _value(path: str, value: Any, option: dict[str, Any]) -> Iterator[Problem]:
    kind = option.get("type", "str")
    fits, expected = _TYPES[kind]
    if not fits(value):
        yield Problem(
            path, "(a secret is not shown)" if option.get("no_log") and value is not None else shown(value), expected
        )
        return
    rule = _rule(path)
    if rule and (expected := rule(value)):
        yield Problem(path, shown(value), expected)
        return
    choices = option.get("choices")
    if choices and kind != "list":
        known = [str(choice) for choice in choices]
        if str(value) not in known:
            like = nearest(str(value), known)
            yield Problem(
                path, shown(value), f"write one of {', '.join(known)}" + (f" (did you mean {like}?)" if like else "")
            )
    if kind == "dict" and option.get("options"):
        yield from _keys(path, value, option["options"])
    if kind == "list":
        element: dict[str, Any] = {key: option[key] for key in ("options", "choices") if key in option}
        element["type"] = option.get("elements", "raw")
        for index, item in enumerate(value):
            yield from _value(f"{path}[{index}]", item, element)


def _keys(path: str, value: dict[str, Any], options: dict[str, Any]) -> Iterator[Problem]:
    for key in value:
        if key not in options:
            like = nearest(str(key), list(options))
            expected = f"did you mean {like}?" if like else f"known keys are {', '.join(options)}"
            yield Problem(f"{path}.{key}", "an unknown key", expected)
    for key, option in options.items():
        if key in value and (value[key] is not None or option.get("required")):
            yield from _value(f"{path}.{key}", value[key], option)
        elif option.get("required"):
            yield Problem(f"{path}.{key}", "nothing", _required(key, option))


# ---- ranges and forms -----------------------------------------------------------------------------------

Rule = Callable[[Any], str]  # what to write instead, "" where the value is good


def _between(low: int, high: int, unit: str = "") -> Rule:
    def rule(value: Any) -> str:
        return "" if low <= int(value) <= high else f"write a number from {low} to {high}{unit}"

    return rule


def _name(value: Any) -> str:
    return "" if NAME.fullmatch(value) else f"write a name of {NAME_HELP}"


def _role_name(value: Any) -> str:
    if wrong := _name(value):
        return wrong
    if value.startswith("pg_") or value in ("postgres", "public", "none", "pgbouncer", "pgbouncer_stats"):
        return "this name belongs to PostgreSQL or the pooler; choose another"
    if value.startswith("pgstead_"):
        return "names that begin with pgstead_ are pgstead's own; choose another"
    return ""


def _database_name(value: Any) -> str:
    if wrong := _name(value):
        return wrong
    if value in ("postgres", "template0", "template1", "pgbouncer", "pgbouncer_lookup"):
        return "this name belongs to PostgreSQL or the pooler; choose another"
    return ""


def _network(value: Any) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as problem:
        return f"write a network in CIDR form, like 10.0.0.0/24 ({problem})"
    return "" if network.prefixlen else "this is the whole internet; name the networks your clients are in"


def _minor(value: Any) -> str:
    return "" if value == "" or re.fullmatch(r"\d+\.\d+", value) else "write a minor version like 16.14, or nothing"


def _timestamp(value: Any) -> str:
    if isinstance(value, date):
        return ""
    try:
        datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return "write a date or time like 2027-01-31 or 2027-01-31 12:00+00"
    return ""


def _identifier(value: Any) -> str:
    """A name that becomes part of SQL; any that PostgreSQL takes, but short enough to be kept whole."""
    return "" if NAME.fullmatch(value) else f"write a name of {NAME_HELP}"


def _table_name(value: Any) -> str:
    parts = value.split(".")
    return "" if len(parts) <= 2 and all(map(NAME.fullmatch, parts)) else "write a table's name, or schema.table"


def _setting_name(value: Any) -> str:
    # Of two parts: what PostgreSQL lets everybody invent (manual, 20.16 Customized Options).
    plain = r"[a-z_][a-z0-9_]*"
    return (
        "" if re.fullmatch(rf"{plain}\.{plain}", value) else "write two lower-case names with a dot: app.current_tenant"
    )


def _named_or(keys: tuple[str, ...]) -> Rule:
    """A name, or a mapping with `keys` of which the first is required."""

    def rule(value: Any) -> str:
        if isinstance(value, str):
            return "" if value else "write a name"
        form = "{" + ", ".join(keys) + "}"
        if not isinstance(value, dict) or not value.get(keys[0]):
            return f"write a name, or {form}"
        unknown = [str(key) for key in value if key not in keys]
        return f"unknown key {unknown[0]}; write {form}" if unknown else ""

    return rule


_PORT = _between(1, 65535)
_POOL_SIZE = _between(1, 10000, " server connections")

RULES: dict[str, Rule] = {
    r"cluster_name": lambda v: (
        ""
        if re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", v)
        else "write lower-case letters, digits, underscore and hyphen, at most 31, starting with a letter"
    ),
    r"(client_networks|postgresql_networks|pgbouncer_networks)\[\d+\]": _network,
    r"(postgresql|pgbouncer)_(server_)?port": _PORT,
    r"postgresql_minor": _minor,
    r"postgresql_instance": lambda v: (
        "" if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", v) else "write letters, digits, underscore, dot and hyphen"
    ),
    r"postgresql_memory_mb": lambda v: "" if int(v) == 0 or int(v) >= 256 else "write 0, or at least 256",
    r"postgresql_cores": _between(0, 1024),
    r"postgresql_max_connections": lambda v: "" if int(v) == 0 or int(v) >= 10 else "write 0, or at least 10",
    r"(postgresql|pgbouncer)_scram_iterations": _between(4096, 1_000_000),
    r"tenancy_lock_timeout": _between(1, 600, " seconds"),
    r"tenancy_lock_attempts": _between(1, 1000),
    r"pgbouncer_max_client_conn": _between(1, 100_000),
    r"pgbouncer_max_prepared_statements": _between(0, 100_000),
    r"pgbouncer_(reserve|query_wait)_timeout": _between(0, 86400, " seconds"),
    r"databases\[\d+\]\.name": _database_name,
    r"databases\[\d+\]\.owner": _role_name,
    r"databases\[\d+\]\.pool\.size": _POOL_SIZE,
    r"databases\[\d+\]\.pool\.reserve": _between(0, 10000, " server connections"),
    r"databases\[\d+\]\.extensions\[\d+\]": _named_or(("name", "schema", "version")),
    r"databases\[\d+\]\.schemas\[\d+\]": _named_or(("name", "owner")),
    r"databases\[\d+\]\.tenancy\.table": _table_name,
    r"databases\[\d+\]\.tenancy\.(key|column)": _identifier,
    r"databases\[\d+\]\.tenancy\.setting": _setting_name,
    r"databases\[\d+\]\.tenancy\.schema": lambda v: (
        "a schema of its own, not one of PostgreSQL's" if v == "public" or v.startswith("pg_") else _identifier(v)
    ),
    r"databases\[\d+\]\.tenancy\.policy_prefix": lambda v: (
        "" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,30}", v) else "write letters, digits and underscore, at most 31"
    ),
    r"(databases\[\d+\]\.roles|cluster_roles)\[\d+\]\.name": _role_name,
    r"(databases\[\d+\]\.roles|cluster_roles)\[\d+\]\.valid_until": _timestamp,
    r"(databases\[\d+\]\.roles|cluster_roles)\[\d+\]\.member_of\[\d+\]": _named_or(("role", "inherit", "set", "admin")),
    r"(.*\.)?connection_limit": _between(-1, 100_000),
}
_COMPILED = [(re.compile(pattern), rule) for pattern, rule in RULES.items()]


def _rule(path: str) -> Rule | None:
    return next((rule for pattern, rule in _COMPILED if pattern.fullmatch(path)), None)
