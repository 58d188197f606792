"""What no single variable shows: contradictions inside a declaration, misspelt variables, secrets that are none.

Pure functions over plain data. What a room knows of its own inputs is in the file of its name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ..module_utils.words import nearest
from . import model, rooms
from .rooms import Room
from .shape import UNKNOWN_KEY, Problem

SECRET_LENGTH = 12
NAME_LENGTH = 63  # bytes; PostgreSQL silently cuts longer names (NAMEDATALEN)
PLACEHOLDERS = {
    "changeme",
    "change_me",
    "changeit",
    "password",
    "passwort",
    "secret",
    "secure_password",
    "postgres",
    "replace_me",
    "replaceme",
    "todo",
    "example",
    "test",
    "admin",
    "123456789012",
}


def unknown_variables(
    names: list[str], platform_names: list[str], known: list[str], prefixes: list[str], ignore: list[str]
) -> Iterator[Problem]:
    """Variables that no role knows but that look as if one should.

    Args:
        names: every variable of the host.
        platform_names: those written in platform.yml: all of them must be known.
        known: every input of every role, and the names pgstead's own tools read.
        prefixes: the roles' prefixes.
        ignore: names the user vouches for.
    """
    for name in sorted({*names, *platform_names} - {*known, *ignore}):
        like = nearest(name, known)
        if name in platform_names or name.startswith(tuple(prefixes)):
            expected = f"did you mean {like}?" if like else "no role has this input"
            yield Problem(name, "an unknown variable", expected)
        elif like and _resembles(name, like):
            yield Problem(
                name, "an unknown variable", f"did you mean {like}? If it is your own, add it to preflight_ignore"
            )


def _resembles(name: str, other: str) -> bool:
    """Whether one is the other with a letter or two wrong (a longer own name is not)."""
    return (
        bool(nearest(name, [other]))
        and abs(len(name) - len(other)) <= 1
        and name[0] == other[0]
        and _distance(name, other) <= 2
    )


def _distance(left: str, right: str) -> int:
    """Edit distance (Levenshtein)."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def explained(wrong: list[Problem], known: Iterable[Room], guests: Iterable[Room]) -> list[Problem]:
    """The same; of keys that a room declares and does not bring, because it is not enabled, with the reason."""
    absent = {key: room for room in known if room not in guests for key in room.says.get("declares") or {}}
    found = []
    for problem in wrong:
        room = absent.get(re.sub(r"\[\d+\]", "[]", problem.path))
        if room and problem.found == UNKNOWN_KEY:
            why = f"it is the role {room.name}'s, which is not enabled: {room.says['enabled']}"
            found.append(Problem(problem.path, problem.found, why))
        else:
            found.append(problem)
    return found


def sound(values: dict[str, Any], wrong: list[Problem], defaults: dict[str, Any]) -> dict[str, Any]:
    """The part of a declaration that is valid by itself, so that the rest can still be checked.

    Args:
        values: every variable.
        wrong: what `shape.check` found.
        defaults: what stands in for a variable that is wrong or has no value; of the lists of databases and cluster
            roles only the wrong entries are, by some that declare nothing (positions are part of messages).
    """
    kept = defaults | values
    for problem in wrong:
        if problem.found == UNKNOWN_KEY:
            continue
        entry = re.match(r"(databases|cluster_roles)\[(\d+)\]", problem.path)
        if entry:
            number = int(entry[2])
            inert = {"name": f"(wrong: {number})"} | ({"login": False} if entry[1] == "cluster_roles" else {})
            kept[entry[1]] = [inert if i == number else item for i, item in enumerate(kept[entry[1]])]
        else:
            name = re.split(r"[.\[]", problem.path)[0]
            kept.pop(name, None)
            if name in defaults:
                kept[name] = defaults[name]
    return kept


def problems(values: dict[str, Any], guests: Iterable[Room]) -> Iterator[Problem]:
    """Contradictions inside the declaration, of which every part must be valid by `shape.check`."""
    guests = list(guests)
    databases = values.get("databases") or []
    cluster_roles = values.get("cluster_roles") or []
    yield from _duplicates(databases, cluster_roles)
    expanded = model.expand(databases, cluster_roles, guests)
    yield from _owners(databases, expanded)
    if "secrets" in values:
        yield from _secrets(wanted(expanded, guests), values["secrets"])
    yield from _kinds(databases)
    yield from _superusers(databases, cluster_roles)
    for room in guests:
        if contradictions := room.code("problems"):
            yield from contradictions(expanded, values)


def _duplicates(databases: list[dict[str, Any]], cluster_roles: list[dict[str, Any]]) -> Iterator[Problem]:
    for name, count in Counter(database["name"] for database in databases).items():
        if count > 1:
            yield Problem("databases", f"{name!r} {count} times", "declare each database once")
    names = [
        (role["name"], f"databases[{i}].roles[{j}]")
        for i, database in enumerate(databases)
        for j, role in enumerate(database.get("roles") or [])
    ]
    names += [(role["name"], f"cluster_roles[{i}]") for i, role in enumerate(cluster_roles)]
    owners = {database.get("owner") or f"{database['name']}_owner": i for i, database in enumerate(databases)}
    seen: dict[str, str] = {}
    for name, path in names:
        if name in seen:
            yield Problem(f"{path}.name", repr(name), f"already declared at {seen[name]}; declare each role once")
        seen.setdefault(name, path)
        if name in owners and path.startswith("databases"):
            yield Problem(
                f"{path}.name",
                repr(name),
                f"it is the owner of databases[{owners[name]}]; the owner never logs in, name another role",
            )


def _owners(databases: list[dict[str, Any]], expanded: dict[str, Any]) -> Iterator[Problem]:
    """Owners that PostgreSQL would cut short, or that would log in."""
    logins = {role["name"] for role in expanded["roles"] if role["kind"] == "cluster" and role["login"]}
    for i, (entry, database) in enumerate(zip(databases, expanded["databases"], strict=True)):
        owner, path = database["owner"], f"databases[{i}].owner"
        if not entry.get("owner") and len(owner.encode()) > NAME_LENGTH:
            yield Problem(
                path,
                f"{owner!r}, {len(owner.encode())} bytes, made of the database's name",
                f"write owner: explicitly, at most {NAME_LENGTH} bytes",
            )
        if owner in logins:
            yield Problem(
                path, repr(owner), "it is a cluster role that logs in, an owner never does: write login: false there"
            )


def _kinds(databases: list[dict[str, Any]]) -> Iterator[Problem]:
    for i, database in enumerate(databases):
        schemas = {item if isinstance(item, str) else item["name"] for item in database.get("schemas") or ["public"]}
        for j, role in enumerate(database.get("roles") or []):
            path = f"databases[{i}].roles[{j}]"
            if role.get("attributes") and role.get("kind", "app") != "custom":
                yield Problem(
                    f"{path}.attributes",
                    repr(role["attributes"]),
                    f"kind {role.get('kind', 'app')} has none beyond LOGIN; write kind: custom",
                )
            for k, item in enumerate(role.get("privileges") or []):
                if item.get("schema", "public") not in schemas:
                    yield Problem(
                        f"{path}.privileges[{k}].schema",
                        repr(item.get("schema", "public")),
                        f"write one of the database's schemas: {', '.join(sorted(schemas))}",
                    )


def _superusers(databases: list[dict[str, Any]], cluster_roles: list[dict[str, Any]]) -> Iterator[Problem]:
    """Whoever is superuser comes over the node's own socket, as postgres."""
    roles = [
        (f"databases[{i}].roles[{j}]", role)
        for i, database in enumerate(databases)
        for j, role in enumerate(database.get("roles") or [])
    ]
    roles += [(f"cluster_roles[{i}]", role) for i, role in enumerate(cluster_roles)]
    for path, role in roles:
        if "SUPERUSER" in (role.get("attributes") or []) and role.get("login", True):
            yield Problem(
                f"{path}.attributes",
                "SUPERUSER for a role that logs in",
                "take it out, or write login: false; the superuser is postgres, over the node's socket alone",
            )


def wanted(expanded: dict[str, Any], guests: Iterable[Room]) -> list[rooms.Secret]:
    """The secrets that a declaration needs, each once: passwords of who logs in, and what rooms need."""
    logins = [rooms.Secret(r["secret"], f"the password of role {r['name']}") for r in model.login_roles(expanded)]
    found = {secret.name: secret for secret in [*logins, *rooms.secrets(guests, expanded["databases"])]}
    return list(found.values())


def _secrets(secrets: list[rooms.Secret], given: dict[str, Any]) -> Iterator[Problem]:
    """Missing, short and placeholder secrets; a secret itself is never part of a message."""
    fix = "set it with: ansible-vault edit <inventory>/group_vars/all/vault.yml"
    for secret in secrets:
        value = given.get(secret.name)
        path = f"secrets.{secret.name}"
        if value is None or value == "":
            yield Problem(path, "nothing", f"it is {secret.purpose}; {fix}")
        elif not isinstance(value, str):
            kind = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "no text"
            yield Problem(path, kind, f"write a text, in quotes; {fix}")
        elif value.lower().strip() in PLACEHOLDERS:
            yield Problem(path, "a placeholder", f"choose a real secret, for example: openssl rand -base64 24; {fix}")
        elif len(value) < SECRET_LENGTH:
            yield Problem(path, f"{len(value)} characters", f"use at least {SECRET_LENGTH}; {fix}")
        elif secret.match and not re.fullmatch(secret.match, value):
            yield Problem(path, secret.found, f"write {secret.write}; {fix}")
