"""The shape of declared variables: checks them against options, all at once, and fills in what they leave out.

Options are those of Ansible's argument_specs, and what these cannot say (docs/reference/room.md):
    between: [least, most], either of them null; `unit` follows the numbers in messages; `also` is a number beside them
    match: a regular expression, with `write`, which says what to write instead
    keys: a name, or a mapping with these keys of which the first is required
    form: one of FORMS
    each: the same of every element of a list
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
UNKNOWN_KEY = "an unknown key"


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
    if expected := _wrong(value, option):
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
        element |= {"type": option.get("elements", "raw")} | option.get("each", {})
        for index, item in enumerate(value):
            yield from _value(f"{path}[{index}]", item, element)


def _keys(path: str, value: dict[str, Any], options: dict[str, Any]) -> Iterator[Problem]:
    for key in value:
        if key not in options:
            like = nearest(str(key), list(options))
            expected = f"did you mean {like}?" if like else f"known keys are {', '.join(options)}"
            yield Problem(f"{path}.{key}", UNKNOWN_KEY, expected)
    for key, option in options.items():
        if key in value and (value[key] is not None or option.get("required")):
            yield from _value(f"{path}.{key}", value[key], option)
        elif option.get("required"):
            yield Problem(f"{path}.{key}", "nothing", _required(key, option))


# ---- ranges and forms -----------------------------------------------------------------------------------


def _wrong(value: Any, option: dict[str, Any]) -> str:
    """What to write instead of a value of the right type; "" where it is good."""
    expected = ""
    if "between" in option:
        expected = _outside(int(value), option)
    if not expected and "match" in option and not re.fullmatch(option["match"], str(value)):
        expected = f"write {option['write']}"
    if not expected and "keys" in option:
        expected = _named(value, option["keys"])
    return expected or (FORMS[option["form"]](value) if "form" in option else "")


def _outside(value: int, option: dict[str, Any]) -> str:
    least, most = option["between"]
    if value == option.get("also") or ((least is None or least <= value) and (most is None or value <= most)):
        return ""
    also, unit = f"{option['also']}, or " if "also" in option else "", option.get("unit", "")
    if least is None or most is None:
        return f"write {also}at {f'most {most}' if least is None else f'least {least}'}{unit and f' {unit}'}"
    return f"write {also}a number from {least} to {most}{unit and f' {unit}'}"


def _named(value: Any, keys: list[str]) -> str:
    if isinstance(value, str):
        return "" if value else "write a name"
    form = "{" + ", ".join(keys) + "}"
    if not isinstance(value, dict) or not value.get(keys[0]):
        return f"write a name, or {form}"
    unknown = [str(key) for key in value if key not in keys]
    return f"unknown key {unknown[0]}; write {form}" if unknown else ""


def _name(value: Any) -> str:
    """A name that becomes part of SQL; short enough to be kept whole."""
    return "" if NAME.fullmatch(value) else f"write a name of {NAME_HELP}"


def _role(value: Any) -> str:
    if wrong := _name(value):
        return wrong
    if value.startswith("pg_") or value in ("postgres", "public", "none", "pgbouncer", "pgbouncer_stats"):
        return "this name belongs to PostgreSQL or the pooler; choose another"
    if value.startswith("pgstead_"):
        return "names that begin with pgstead_ are pgstead's own; choose another"
    return ""


def _database(value: Any) -> str:
    if wrong := _name(value):
        return wrong
    if value in ("postgres", "template0", "template1", "pgbouncer", "pgbouncer_lookup"):
        return "this name belongs to PostgreSQL or the pooler; choose another"
    return ""


def _own_schema(value: Any) -> str:
    if value == "public" or value.startswith("pg_"):
        return "a schema of its own, not one of PostgreSQL's"
    return _name(value)


def _table(value: Any) -> str:
    parts = value.split(".")
    return "" if len(parts) <= 2 and all(map(NAME.fullmatch, parts)) else "write a table's name, or schema.table"


def _network(value: Any) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as problem:
        return f"write a network in CIDR form, like 10.0.0.0/24 ({problem})"
    return "" if network.prefixlen else "this is the whole internet; name the networks your clients are in"


def _timestamp(value: Any) -> str:
    if isinstance(value, date):
        return ""
    try:
        datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return "write a date or time like 2027-01-31 or 2027-01-31 12:00+00"
    return ""


def _hba_line(value: Any) -> str:
    line = value if isinstance(value, dict) else {"line": value}
    fits = set(line) <= {"line", "place"} and line.get("place", "after") in ("before", "after")
    text = line.get("line")
    if fits and isinstance(text, str) and len(text.splitlines()) == 1:
        return ""
    return "write a line of pg_hba.conf, or {line, place} with the place before or after"


def _limits(value: Any) -> str:
    good = all(isinstance(limits, dict) for limits in value.values())
    return "" if good else "write limits by role: {shop_app: {pool_size: 5}}"


FORMS: dict[str, Callable[[Any], str]] = {
    "name": _name,
    "role": _role,
    "database": _database,
    "own_schema": _own_schema,
    "table": _table,
    "network": _network,
    "timestamp": _timestamp,
    "hba_line": _hba_line,
    "limits": _limits,
}


# ---- what is left out -----------------------------------------------------------------------------------


def filled(value: Any, option: dict[str, Any]) -> Any:
    """A valid value with every default in it, numbers and booleans no texts any more.

    A mapping with keys that must be written is None where it is left out; another one consists of its defaults.
    """
    value = option.get("default") if value is None else value
    kind, options = option.get("type", "str"), option.get("options")
    if kind == "dict" and options:
        if value is None and any(inner.get("required") for inner in options.values()):
            return None
        return {key: filled((value or {}).get(key), inner) for key, inner in options.items()}
    if kind == "dict":
        return value or {}
    if kind == "list" and options and value is not None:
        return [filled(item, {"type": "dict", "options": options}) for item in value]
    if value is None:
        return "" if kind in ("str", "path") else None
    # Quotes, and `-e` on the command line, make texts of numbers and booleans.
    casts: dict[str, Callable[[Any], Any]] = {"int": int, "bool": truth, "str": str, "path": str, "list": list}
    return casts[kind](value) if kind in casts else value


def truth(value: Any) -> bool:
    """What YAML, and texts, mean by true."""
    return str(value).lower() in ("true", "yes", "on", "1")
