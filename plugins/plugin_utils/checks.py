"""What no single variable shows: contradictions inside a declaration, and between it and a host.

Pure functions over plain data: the preflight action feeds them what it declared and what the probe saw.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..module_utils import pooler
from ..module_utils.words import nearest
from . import model, tuning
from .schema import Problem

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

_SERVICE_USERS = ("postgres", "pgbouncer")

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}

# CVE-2026-107350: with verifiers of app roles in auth_file, one user's password opens every account.
USERLIST_FIXED = "1.26.1"


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


def sound(values: dict[str, Any], wrong: list[Problem], defaults: dict[str, Any]) -> dict[str, Any]:
    """The part of a declaration that is valid by itself, so that the rest can still be checked.

    Args:
        values: every variable.
        wrong: what `schema.check` found.
        defaults: what stands in for a variable that is wrong or has no value; of the lists of databases and cluster
            roles only the wrong entries are, by some that declare nothing (positions are part of messages).
    """
    kept = defaults | values
    for problem in wrong:
        if problem.found == "an unknown key":
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


def declaration(values: dict[str, Any]) -> Iterator[Problem]:
    """Contradictions inside the declaration, of which every part must be valid by `schema.check`."""
    databases = values.get("databases") or []
    cluster_roles = values.get("cluster_roles") or []
    yield from _duplicates(databases, cluster_roles)
    expanded = model.expand(databases, cluster_roles)
    yield from _owners(databases, expanded)
    if "secrets" in values:
        yield from _secrets(expanded, values["secrets"])
    yield from _kinds(databases)
    yield from _reach(databases, _unbound(expanded))
    yield from _migrators(databases)
    yield from _superusers(databases, cluster_roles)
    yield from _connections(expanded, values)
    yield from _isolation(expanded, values)
    source = values.get("postgresql_source", "pgdg")
    if source == "mirror":
        for name in ("postgresql_mirror_uri", "postgresql_mirror_key"):
            if not values.get(name):
                yield Problem(name, "nothing", "postgresql_source: mirror needs it")
    minor, version = values.get("postgresql_minor") or "", values.get("postgresql_version", 16)
    if minor and not minor.startswith(f"{version}."):
        yield Problem(
            "postgresql_minor", repr(minor), f"write a minor version of {version}, or change postgresql_version"
        )


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


def _reach(databases: list[dict[str, Any]], unbound: dict[str, str]) -> Iterator[Problem]:
    """Whose rows each role sees is said, and said only where it means something."""
    for i, database in enumerate(databases):
        tenancy = database.get("tenancy")
        schemas = {item if isinstance(item, str) else item["name"] for item in database.get("schemas") or ["public"]}
        own = (tenancy or {}).get("schema", "app")
        if tenancy and own in schemas:
            fix = "take it out of schemas; it is pgstead's and belongs to the superuser, or write tenancy.schema"
            yield Problem(f"databases[{i}].schemas", repr(own), fix)
        for j, role in enumerate(database.get("roles") or []):
            path, kind, reach = f"databases[{i}].roles[{j}]", role.get("kind") or "app", role.get("reach")
            if reach and not (tenancy and kind == "readonly"):
                yield Problem(
                    f"{path}.reach", repr(reach), "only a kind: readonly role of a database with tenancy has one"
                )
            elif tenancy and kind == "readonly" and not reach:
                fix = "write reach: tenant (the tenant whose context it sets) or reach: all_tenants (everybody's rows)"
                yield Problem(f"{path}.reach", "nothing", fix)
            sees_all = kind == "custom" and _UNBOUND & set(role.get("attributes") or [])
            if tenancy and sees_all and "pooled" in (role.get("endpoints") or []):
                fix = "it sees every tenant's rows; keep it out of the pool: endpoints: [direct]"
                yield Problem(f"{path}.endpoints", "pooled", fix)
            for k, item in enumerate(role.get("member_of") or []):
                group = item if isinstance(item, str) else item["role"]
                if tenancy and kind in ("app", "readonly") and (why := unbound.get(group)):
                    fix = f"{why}, so no policy would bind this role; take it out"
                    yield Problem(f"{path}.member_of[{k}]", repr(group), fix)


_UNBOUND = {"BYPASSRLS", "SUPERUSER"}  # attributes of roles that row-level security leaves alone


def _migrators(databases: list[dict[str, Any]]) -> Iterator[Problem]:
    """Who deploys a schema project is the migrator."""
    for i, database in enumerate(databases):
        kinds = [role.get("kind") for role in database.get("roles") or []]
        if database.get("schema_project") and "migrator" not in kinds:
            role = f"{{name: {database['name']}_migrator, kind: migrator}}"
            fix = f"a project is deployed by the migrator; add one: {role}"
            yield Problem(f"databases[{i}].roles", "no role of kind migrator", fix)


def _unbound(expanded: dict[str, Any]) -> dict[str, str]:
    """Roles that reach every tenant's rows, with the reason."""
    found = {"postgres": "it is the superuser"}
    for role in expanded["roles"]:
        for attribute in sorted(_UNBOUND & set(role["attributes"])):
            found[role["name"]] = f"it has {attribute}"
    # An owner is bound by FORCE, but it can change what binds it.
    return found | {database["owner"]: "it owns the tables" for database in expanded["databases"]}


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


_KEY = re.compile(r"[A-Za-z0-9+/=_-]+")


def _secrets(expanded: dict[str, Any], secrets: dict[str, Any]) -> Iterator[Problem]:
    """Missing, short and placeholder secrets; a secret itself is never part of a message."""
    fix = "set it with: ansible-vault edit <inventory>/group_vars/all/vault.yml"
    wanted = {role["secret"]: f"the password of role {role['name']}" for role in model.login_roles(expanded)}
    wanted |= {
        database["tenancy"]["token"]: f"the key that tenant tokens of database {database['name']} are signed with"
        for database in expanded["databases"]
        if (database["tenancy"] or {}).get("token")
    }
    wanted["pgbouncer_stats"] = "the password of the pooler's statistics role"
    wanted["scram_salt_key"] = "the key that SCRAM salts are derived from"
    for name, purpose in wanted.items():
        value = secrets.get(name)
        path = f"secrets.{name}"
        if value is None or value == "":
            yield Problem(path, "nothing", f"it is {purpose}; {fix}")
        elif not isinstance(value, str):
            kind = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "no text"
            yield Problem(path, kind, f"write a text, in quotes; {fix}")
        elif value.lower().strip() in PLACEHOLDERS:
            yield Problem(path, "a placeholder", f"choose a real secret, for example: openssl rand -base64 24; {fix}")
        elif len(value) < SECRET_LENGTH:
            yield Problem(path, f"{len(value)} characters", f"use at least {SECRET_LENGTH}; {fix}")
        elif name.endswith("_tenant_token") and not _KEY.fullmatch(value):
            yield Problem(path, "characters that a .env file takes otherwise", f"write letters, digits, +/=_-; {fix}")


def _connections(expanded: dict[str, Any], values: dict[str, Any]) -> Iterator[Problem]:
    demand = pooler.backend_demand(expanded)
    needed = demand + tuning.DIRECT_CONNECTIONS + tuning.SUPERUSER_RESERVED
    user = (values.get("postgresql_settings") or {}).get("max_connections")
    path = "postgresql_settings.max_connections" if user is not None else "postgresql_max_connections"
    asked = user if user is not None else values.get("postgresql_max_connections") or 0
    if not str(asked).isdigit():
        return  # PostgreSQL itself will say what it is
    if int(asked) and int(asked) < needed:
        yield Problem(
            path,
            str(asked),
            f"write at least {needed} ({demand} for the pools with their reserves + {tuning.DIRECT_CONNECTIONS} direct"
            f" + {tuning.SUPERUSER_RESERVED} superuser), or make the pools smaller",
        )


def _isolation(expanded: dict[str, Any], values: dict[str, Any]) -> Iterator[Problem]:
    """What the pooler clears between clients is enough for what its databases promise."""
    level = values.get("pgbouncer_isolation") or "auto"
    pooled = pooler.pooled_databases(expanded)
    tokens = [db["name"] for db in pooled if db["tenancy"] and db["tenancy"]["token"]]
    tenants = [db["name"] for db in pooled if db["tenancy"]]
    sessions = [db["name"] for db in pooled if db["pool"]["mode"] == "session"]
    if tokens and level not in ("auto", "full"):
        fix = (
            "write full, or take it out: a prepared statement that one client leaves would run as the next one's"
            " tenant, with its token"
        )
        yield Problem("pgbouncer_isolation", f"{level!r} with tenancy.token in {tokens[0]!r}", fix)
    elif tenants and level == "none":
        fix = "write session, or at least cursors: a cursor WITH HOLD shows one tenant's rows to the next client"
        yield Problem("pgbouncer_isolation", f"{level!r} with tenancy in {tenants[0]!r}", fix)
    elif sessions and level in ("cursors", "session"):
        fix = "write full: sessions would begin with the prepared statements of others"
        yield Problem("pgbouncer_isolation", f"{level!r} with pool.mode session in {sessions[0]!r}", fix)
    for name in ("server_reset_query", "server_reset_query_always"):
        if tokens and name in (values.get("pgbouncer_settings") or {}):
            found = f"{values['pgbouncer_settings'][name]!r} with tenancy.token in {tokens[0]!r}"
            fix = "take it out; what tokens promise needs pgbouncer_isolation: full"
            yield Problem(f"pgbouncer_settings.{name}", found, fix)


# ---- the host -------------------------------------------------------------------------------------------


def host(values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    """What cannot work on a host.

    Args:
        values: the declaration, every role's defaults filled in.
        seen: what the module pgstead.platform.probe returned.
    """
    release = seen["release"]
    if release["version"] not in SUPPORTED.get(release["id"], ()):
        supported = "; ".join(f"{name} {' and '.join(versions)}" for name, versions in SUPPORTED.items())
        yield Problem("operating system", release["name"], f"supported are {supported}")
    yield from _resources(values, seen)
    yield from _address(values, seen)
    yield from _ports(values, seen)
    yield from _instances(values, seen)
    yield from _packages(values, seen)
    yield from _userlist(values, seen)


def _resources(values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    memory, least = seen["memory_mb"], values["preflight_min_memory_mb"]
    if memory < least:
        yield Problem("memory", f"{memory} MB", f"the node needs {least} MB (preflight_min_memory_mb)")
    planned = int(values["postgresql_memory_mb"])
    user = str((values.get("postgresql_settings") or {}).get("max_connections", ""))
    expanded = model.expand(values.get("databases") or [], values.get("cluster_roles") or [])
    asked = int(user) if user.isdigit() else int(values["postgresql_max_connections"])
    connections = tuning.max_connections(asked, pooler.backend_demand(expanded))
    plan = tuning.Node(planned or memory, 1, "ssd", 0, connections, values["postgresql_version"])
    if tuning.worst_case_mb(plan) > (planned or memory):
        yield Problem(
            "max_connections",
            f"{connections} with {planned or memory} MB of memory",
            "that is too little for each of them; write fewer connections, smaller pools, or give the node more memory",
        )
    if planned > memory:
        yield Problem("postgresql_memory_mb", str(planned), f"the node has {memory} MB; write at most that, or 0")
    if not seen["instances"] and seen["free_mb"] < values["preflight_min_disk_mb"]:
        yield Problem(
            "disk",
            f"{seen['free_mb']} MB free at /var/lib/postgresql",
            f"free {values['preflight_min_disk_mb']} MB (preflight_min_disk_mb)",
        )


def _address(values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    if not values["client_networks"]:
        return  # loopback only
    own = [address for address in seen["addresses"] if not address.startswith(("127.", "fe80", "::1"))]
    if not set(seen["node_address"]) & set(own):
        what = ", ".join(seen["node_address"]) or "a name that does not resolve on the node"
        yield Problem(
            "node_address",
            f"{values['node_address']!r} ({what})",
            f"write an address of the node itself: {', '.join(own)}; what clients use goes into client_host",
        )


def _ports(values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    own = {
        "postgresql_port": f"postgresql@{values['postgresql_version']}-{values['postgresql_instance']}.service",
        "pgbouncer_port": "pgbouncer.service",
    }
    for path, unit in own.items():
        port = int(values[path])
        listener = seen["listeners"].get(str(port))
        # Without a unit the process is all there is to go by.
        if listener and listener["unit"] != unit and (listener["unit"] or listener["user"] not in _SERVICE_USERS):
            who = listener["program"] or listener["unit"] or f"a program of user {listener['user']}"
            yield Problem(path, f"{port}, in use by {who}", f"stop {who}, or write another port")
    if int(values["postgresql_port"]) == int(values["pgbouncer_port"]):
        yield Problem("pgbouncer_port", str(values["pgbouncer_port"]), "write another port than postgresql_port")


def _instances(values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    version, name = str(values["postgresql_version"]), values["postgresql_instance"]
    if seen["data_version"] and seen["data_version"] != version:
        yield Problem(
            "postgresql_version",
            f"{version}, but {seen['data_directory']} holds data of version {seen['data_version']}",
            f"write postgresql_version: {seen['data_version']}; moving to {version} is an upgrade, not a deploy",
        )
    for instance in seen["instances"]:
        title = f"{instance['version']}/{instance['name']}"
        if (instance["version"], instance["name"]) == (version, name):
            if instance["data_version"] and instance["data_version"] != version and not seen["data_version"]:
                yield Problem(
                    "postgresql_version",
                    f"{version}, but {instance['data_directory']} holds version {instance['data_version']}",
                    f"write postgresql_version: {instance['data_version']}",
                )
        elif instance["name"] == name:
            yield Problem(
                "postgresql_version",
                f"{version}, but the node has the instance {title} with its data",
                f"write postgresql_version: {instance['version']}; or, if its data is not needed: "
                f"pg_dropcluster --stop {instance['version']} {instance['name']}",
            )
        elif instance["port"] == int(values["postgresql_port"]):
            yield Problem(
                "postgresql_port",
                f"{instance['port']}, the port of the instance {title}",
                "write another port, or drop that instance",
            )


def _packages(values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    source = seen["source"]
    if source.get("error"):
        yield Problem(
            f"postgresql_source: {values['postgresql_source']}",
            source["error"],
            "check the URI and the node's network or proxy, or choose another postgresql_source",
        )
        return
    if source.get("unknown"):
        return  # everything is installed, or APT has no lists to ask
    version = values["postgresql_version"]
    server = f"postgresql-{version}"
    offered = source["packages"].get(server, [])
    installed = seen["packages"].get(server)
    if not offered and not installed:
        majors = sorted({name.split("-")[1] for name in source["packages"] if re.fullmatch(r"postgresql-\d+", name)})
        yield Problem(
            "postgresql_version",
            str(version),
            f"postgresql_source: {values['postgresql_source']} has "
            f"{', '.join(majors) or 'no PostgreSQL'}; write one of these, or choose another source",
        )
    else:
        for i, name in enumerate(values["postgresql_extension_packages"]):
            if name not in source["packages"] and name not in seen["packages"]:
                like = nearest(name, [known for known in source["packages"] if known.startswith(f"{server}-")])
                hint = f"did you mean {like}?" if like else "take it out, or choose another source"
                problem = f"postgresql_source: {values['postgresql_source']} does not have it; {hint}"
                yield Problem(f"postgresql_extension_packages[{i}]", repr(name), problem)
    minor = values["postgresql_minor"]
    if minor and offered and not any(found.startswith(f"{minor}-") for found in [*offered, installed or ""]):
        has = ", ".join(sorted({found.partition("-")[0] for found in offered}))
        yield Problem("postgresql_minor", repr(minor), f"the source has {has}; write one of these, or nothing")


def _userlist(values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    if values["pgbouncer_auth"] != "userlist":
        return
    # What is installed stays; else APT takes the newest that any source offers.
    offered = seen["source"]["packages"].get("pgbouncer") or [""]
    pooler = seen["packages"].get("pgbouncer") or max(offered, key=_version)
    if _version(pooler) < _version(USERLIST_FIXED) and not seen["pgbouncer_patched"]:
        yield Problem(
            "pgbouncer_auth",
            f"'userlist' with PgBouncer {pooler or '(none)'}",
            f"write auth_query, or install PgBouncer {USERLIST_FIXED} or later: before it, whoever knows one "
            "password of userlist.txt can log in as every other role (CVE-2026-107350)",
        )


def _version(text: str) -> tuple[int, ...]:
    """The upstream part of a package version, for comparing: "1.26.1-1" -> (1, 26, 1)."""
    match = re.match(r"(?:\d+:)?([\d.]+)", text)
    return tuple(int(part) for part in match[1].split(".") if part) if match else ()
