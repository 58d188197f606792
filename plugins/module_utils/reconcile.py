"""What must change in an instance so that it holds what is declared: a plan, computed without touching anything.

Observed state comes in as plain data (observe-*.sql of role postgresql), a list of steps goes out.
A step that removes something carries `prune`: without being asked for it is only reported, as drift.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# Functions of PostgreSQL itself that write where no right on a table is asked for, with the version from which PUBLIC
# loses them. The owner keeps them (pg_restore makes large objects), and so does `"writers": True`: JDBC and Hibernate
# keep a Blob as a large object. lo_import and lo_export are the superuser's alone since ever; lo_open, loread and
# lo_get ask for rights on the object. Signatures must be those of every later version, or a dump, which carries
# these rights, would not restore there: that of pg_logical_emit_message changed in 17.
WRITERS = {
    "lo_creat": 15,
    "lo_create": 15,
    "lo_from_bytea": 15,
    "lo_put": 15,
    "lo_truncate": 15,
    "lo_truncate64": 15,
    "lo_unlink": 15,
    "lowrite": 15,
    "pg_logical_emit_message": 17,
}

PATH = "SET LOCAL search_path = pg_catalog, pg_temp"  # as pg.py has it for every session of an administrator
MANAGED_COMMENT = "pgstead: "  # comment of database roles that another role of pgstead made for itself

# Settings whose value is a list of names: each is quoted alone (PostgreSQL source, GUC_LIST_QUOTE).
_LISTS = {"search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"}

_PLURALS = {
    "TABLE": "TABLES",
    "SEQUENCE": "SEQUENCES",
    "ROUTINE": "FUNCTIONS",
    "TYPE": "TYPES",
    "SCHEMA": "SCHEMAS",
    "LARGE OBJECT": "LARGE OBJECTS",
}


@dataclass(frozen=True)
class Step:
    """One statement of a plan.

    Args:
        object: what it is about, for people.
        before: the state it finds, "" where there is none.
        after: the state it leaves, "" where it removes.
        sql: the statement; "" where only a person can act.
        database: where to run it, "" is the maintenance database.
        prune: whether it removes something undeclared.
        alone: whether it must run outside a transaction.
    """

    object: str
    before: str
    after: str
    sql: str
    database: str = ""
    prune: bool = False
    alone: bool = False


def ident(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def who(grantee: str) -> str:
    """Whom a right is given to, as SQL: "" is PUBLIC."""
    return ident(grantee) if grantee else "PUBLIC"


def literal(text: str) -> str:
    """A quoted string constant (standard_conforming_strings is on)."""
    return "'" + text.replace("'", "''") + "'"


# ---- cluster-wide: roles, memberships, databases, settings ------------------------------------------


def cluster(desired: dict[str, Any], observed: dict[str, Any], decisions: dict[str, str]) -> list[Step]:
    """Steps for everything that belongs to no single database.

    Args:
        desired: the expanded declaration (model), each role with its `verifier`, "" for none.
        observed: result sets of observe-cluster.sql by name, and `version`, the server's major version.
        decisions: role -> "keep" or "set", for stored verifiers that are not the computed one.

    Returns:
        Steps in the order they must run.
    """
    return [
        *_roles(desired, observed, decisions),
        *_memberships(desired, observed),
        *_databases(desired, observed),
        *_database_grants(desired, observed),
        *_settings(desired, observed),
        *_parameter_grants(desired, observed),
    ]


def undecided_passwords(desired: dict[str, Any], observed: dict[str, Any]) -> dict[str, str]:
    """Roles whose stored SCRAM verifier is not the computed one: it may still be of the declared password."""
    stored = {role["name"]: role["verifier"] or "" for role in observed["roles"]}
    return {
        role["name"]: stored[role["name"]]
        for role in desired["roles"]
        if role["verifier"]
        and stored.get(role["name"], "").startswith("SCRAM-SHA-256$")
        and stored[role["name"]] != role["verifier"]
    }


def proof(verifier: str, nonce: str) -> dict[str, Any]:
    """What the control node needs to compare a stored verifier with a declared password, and no more.

    Salt and iterations are what the server tells every client that logs in; the rest goes out as an HMAC under
    a nonce that only this run knows, so that nothing printed anywhere is worth attacking.
    """
    _scheme, count_salt, _keys = verifier.split("$")
    iterations, salt = count_salt.split(":")
    mac = hmac.new(nonce.encode(), verifier.encode(), hashlib.sha256).digest()
    return {"salt": salt, "iterations": int(iterations), "mac": base64.b64encode(mac).decode()}


def _attributes(role: dict[str, Any], version: int) -> dict[str, str]:
    """Attribute clauses of CREATE and ALTER ROLE by topic, as declared."""
    clauses = {"LOGIN": "LOGIN" if role["login"] else "NOLOGIN"}
    for name in ("SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS"):
        clauses[name] = name if name in role["attributes"] else f"NO{name}"
    # Before PostgreSQL 16 inheritance was an attribute of the member, not an option of the membership.
    inherits = role.get("inherit", version >= 16 or all(item["inherit"] for item in role.get("memberships", [])))
    clauses["INHERIT"] = "INHERIT" if inherits else "NOINHERIT"
    clauses["CONNECTION LIMIT"] = f"CONNECTION LIMIT {role['connection_limit']}"
    clauses["VALID UNTIL"] = f"VALID UNTIL {literal(role['valid_until'] or 'infinity')}"
    return clauses


def _roles(desired: dict[str, Any], observed: dict[str, Any], decisions: dict[str, str]) -> Iterator[Step]:
    version = observed["version"]
    meant = {row["declared"]: row["meant"] for row in observed["valid_until"]}
    present = {role["name"]: role for role in observed["roles"]}
    for declared_role in desired["roles"]:
        declared_until = declared_role["valid_until"]
        role = declared_role | {"valid_until": meant.get(declared_until, declared_until)}
        title = f"role {role['name']}"
        wanted = _attributes(role, version)
        shown = " ".join(wanted.values())
        verifier = role.get("verifier", "")
        password = f" PASSWORD {literal(verifier)}" if verifier else ""
        if role["name"] not in present:
            yield Step(title, "", shown, f"CREATE ROLE {ident(role['name'])} {shown}{password}")
            continue
        found = present[role["name"]]
        has = _attributes(found, version)
        changed = [topic for topic in wanted if wanted[topic] != has[topic]]
        if changed:
            clauses = " ".join(wanted[topic] for topic in changed)
            before = " ".join(has[topic] for topic in changed)
            yield Step(title, before, clauses, f"ALTER ROLE {ident(role['name'])} {clauses}")
        stored = found["verifier"] or ""
        if not verifier and stored:
            yield Step(title, "a password", "no password", f"ALTER ROLE {ident(role['name'])} PASSWORD NULL")
        elif verifier and stored != verifier and decisions.get(role["name"]) != "keep":
            before = "another password" if stored else "no password"
            yield Step(title, before, "the declared password", f"ALTER ROLE {ident(role['name'])}{password}")


def stale_roles(desired: dict[str, Any], observed: dict[str, Any]) -> list[Step]:
    """Steps that drop undeclared roles, run after all others, each in the database it names.

    A role that owns anything is only reported: what it owns is data, and somebody must say who gets it.
    DROP OWNED takes rights away from a role that owns nothing, and drops nothing else.
    """
    declared = {role["name"] for role in desired["roles"]}
    holds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in observed["dependencies"]:
        holds[row["role"]].append(row)
    steps: list[Step] = []
    for found in observed["roles"]:
        name = found["name"]
        if name in declared or found["is_bootstrap"] or found["comment"].startswith(MANAGED_COMMENT):
            continue
        title, rows = f"role {name}", holds[name]
        if kept := sorted(row["database"] or "the cluster" for row in rows if row["owned"] or row["policies"]):
            before = f"exists, undeclared; owns objects or is named in policies in {', '.join(kept)}"
            steps.append(Step(title, before, "", "", prune=True))
            continue
        steps += [
            Step(
                f"rights of {name}", f"in {row['database']}", "", f"DROP OWNED BY {ident(name)}", row["database"], True
            )
            for row in rows
            if row["rights"] and row["database"]
        ]
        # Rights on shared objects (databases) go with DROP OWNED in any database.
        if any(row["rights"] and not row["database"] for row in rows):
            steps.append(Step(f"rights of {name}", "on databases", "", f"DROP OWNED BY {ident(name)}", prune=True))
        steps.append(Step(title, "exists, undeclared", "", f"DROP ROLE {ident(name)}", prune=True))
    return steps


def _membership_text(item: dict[str, Any], version: int) -> str:
    if version < 16:
        return "WITH ADMIN OPTION" if item["admin"] else ""
    return "WITH " + ", ".join(
        f"{option.upper()} {'TRUE' if item[option] else 'FALSE'}" for option in ("admin", "inherit", "set")
    )


def _memberships(desired: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    """Every declared membership is granted by the bootstrap superuser, so that it hangs by nobody's ADMIN OPTION.

    From PostgreSQL 16 on others may have granted the same one, and with more options: these are taken away. Before,
    there is one grant, and a GRANT only ever adds to it.
    """
    version = observed["version"]
    options = ("admin",) if version < 16 else ("admin", "inherit", "set")
    bootstrap = next(role["name"] for role in observed["roles"] if role["is_bootstrap"])
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in observed["memberships"]:
        found[row["role"], row["member"]].append(row)
    wanted = {(item["role"], role["name"]): item for role in desired["roles"] for item in role["memberships"]}
    declared = {role["name"] for role in desired["roles"]}
    services = _services(observed)

    def revoke(row: dict[str, Any], option: str = "") -> str:
        what = f"{option} FOR " if option else ""
        by = f" GRANTED BY {ident(row['grantor'])} CASCADE" if version >= 16 else ""
        return f"REVOKE {what}{ident(row['role'])} FROM {ident(row['member'])}{by}"

    for (group, member), item in wanted.items():
        rows = found.get((group, member), [])
        own = [row for row in rows if version < 16 or row["grantor"] == bootstrap]
        title = f"membership of {member} in {group}"
        if not own or any(row[o] != item[o] for row in own for o in options if version >= 16 or item[o]):
            text = _membership_text(item, version)
            before = _membership_text(own[0], version) if own else ""
            yield Step(title, before, text or "member", f"GRANT {ident(group)} TO {ident(member)} {text}".rstrip())
        for row in rows:
            for option in options:
                if row[option] and not item[option] and (version < 16 or row not in own):
                    name = f"{option.upper()} OPTION"
                    yield Step(title, f"{name}, granted by {row['grantor']}", "", revoke(row, name))
    for (group, member), rows in found.items():
        if (group, member) not in wanted and {group, member} & declared and member not in services:
            for row in rows:
                before = _membership_text(row, version) or "member"
                yield Step(f"membership of {member} in {group}", before, "", revoke(row), prune=True)


def _databases(desired: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    present = {database["name"]: database for database in observed["databases"]}
    for database in desired["databases"]:
        name = ident(database["name"])
        title = f"database {database['name']}"
        if database["name"] not in present:
            locale = f" LOCALE {literal(database['locale'])}" if database["locale"] else ""
            yield Step(
                title,
                "",
                f"owner {database['owner']}",
                f"CREATE DATABASE {name} OWNER {ident(database['owner'])} TEMPLATE template0"
                f" ENCODING {literal(database['encoding'])}{locale}"
                f" CONNECTION LIMIT {database['connection_limit']}",
                alone=True,
            )
            continue
        found = present[database["name"]]
        if found["owner"] != database["owner"]:
            yield Step(
                title,
                f"owner {found['owner']}",
                f"owner {database['owner']}",
                f"ALTER DATABASE {name} OWNER TO {ident(database['owner'])}",
            )
        if found["connection_limit"] != database["connection_limit"]:
            limit = f"CONNECTION LIMIT {database['connection_limit']}"
            yield Step(title, f"CONNECTION LIMIT {found['connection_limit']}", limit, f"ALTER DATABASE {name} {limit}")
        for topic in ("encoding", "locale"):
            if database[topic] and found[topic] != database[topic]:
                yield Step(title, f"{topic} {found[topic]}", f"{topic} {database[topic]} (fixed at creation)", "")
    declared = {database["name"] for database in desired["databases"]}
    for name in present:
        if name not in declared and name != "postgres":
            yield Step(f"database {name}", "exists, undeclared", "", "", prune=True)


def _services(observed: dict[str, Any]) -> set[str]:
    """Roles that another role of pgstead made for itself."""
    return {role["name"] for role in observed["roles"] if role["comment"].startswith(MANAGED_COMMENT)}


def _database_grants(desired: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    """CONNECT for the declared roles of each database, nothing for PUBLIC (who has CONNECT and TEMP by default)."""
    new = {database["name"] for database in desired["databases"]} - {db["name"] for db in observed["databases"]}
    has = {(row["database"], row["grantee"], row["privilege"]) for row in observed["database_grants"]}
    has |= {(name, "", privilege) for name in new for privilege in ("CONNECT", "TEMPORARY")}
    wanted = {
        (database["name"], role["name"], "CONNECT")
        for database in desired["databases"]
        for role in desired["roles"]
        if role["login"] and role["database"] in ("", database["name"]) and role["name"] != database["owner"]
    }
    declared = {database["name"] for database in desired["databases"]}
    services = _services(observed)
    for name, grantee, privilege in sorted(wanted - has):
        yield Step(
            f"rights on database {name}",
            "",
            f"{privilege} for {grantee}",
            f"GRANT {privilege} ON DATABASE {ident(name)} TO {ident(grantee)}",
        )
    for name, grantee, privilege in sorted(has - wanted):
        if name not in declared or grantee in services:
            continue
        yield Step(
            f"rights on database {name}",
            f"{privilege} for {grantee or 'PUBLIC'}",
            "",
            f"REVOKE {privilege} ON DATABASE {ident(name)} FROM {who(grantee)}",
            prune=bool(grantee),  # rights of PUBLIC are declared away by every database
        )


def setting_list(value: str) -> list[str]:
    """The elements of a list setting, quotes removed; a comma between quotes belongs to its element."""
    parts = re.findall(r'"((?:[^"]|"")*)"|([^,"]+)', value)
    return [quoted.replace('""', '"') or plain.strip() for quoted, plain in parts if quoted or plain.strip()] or [""]


def _dotted(name: str) -> str:
    """A setting's name, quoted part by part: one of them may be a keyword."""
    return ".".join(map(ident, name.split(".")))


def _same_setting(name: str, left: str, right: str) -> bool:
    if name in _LISTS:
        return setting_list(left) == setting_list(right)
    return left == right


def _settings(desired: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    """PostgreSQL lets every role alter itself: what it gave itself is undone, and needs no pruning.

    The server stores names in its own spelling (TimeZone), and those it does not know yet as they were written: beside
    `hnsw.ef_search` there may be an `HNSW.ef_search`, which counts as well.
    """
    wanted: dict[tuple[str, str, str], str] = {}
    for role in desired["roles"]:
        for name, value in role["settings"].items():
            wanted[role["name"], role["database"], name.lower()] = value
    for database in desired["databases"]:
        for name, value in database["settings"].items():
            wanted["", database["name"], name.lower()] = value
    has: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in observed["settings"]:
        has[row["role"], row["database"], row["name"].lower()].append(row)
    declared_roles = {role["name"] for role in desired["roles"]}
    declared_databases = {database["name"] for database in desired["databases"]}

    def target(role: str, database: str) -> tuple[str, str]:
        where = f" IN DATABASE {ident(database)}" if role and database else ""
        title = f"settings of {role or 'database ' + database}" + (f" in {database}" if where else "")
        return title, (f"ROLE {ident(role)}{where}" if role else f"DATABASE {ident(database)}")

    def reset(row: dict[str, Any]) -> Step:
        title, clause = target(row["role"], row["database"])
        sql = f"ALTER {clause} RESET {_dotted(row['name'])}"
        return Step(title, f"{row['name']} = {row['value']}", "", sql, prune=not row["role"])

    for key, value in wanted.items():
        role, database, name = key
        found = has.pop(key, [])
        if len(found) == 1 and _same_setting(name, found[0]["value"], value):
            continue
        yield from map(reset, found[1:] and found)
        title, clause = target(role, database)
        text = ", ".join(map(literal, setting_list(value))) if name in _LISTS else literal(value)
        before = f"{name} = {found[0]['value']}" if len(found) == 1 else ""
        yield Step(title, before, f"{name} = {value}", f"ALTER {clause} SET {name} TO {text}")
    for (role, database, _), rows in has.items():
        if role in declared_roles or (not role and database in declared_databases):
            yield from map(reset, rows)


def _parameter_grants(desired: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    """Rights on server settings (GRANT ... ON PARAMETER): none is ever declared."""
    grantees = {role["name"] for role in desired["roles"]} | {""}
    for row in observed["parameter_grants"]:
        if row["grantee"] in grantees:
            yield Step(
                f"rights on setting {row['parameter']}",
                f"{row['privilege']} for {row['grantee'] or 'PUBLIC'}",
                "",
                f"REVOKE {row['privilege']} ON PARAMETER {_dotted(row['parameter'])} FROM {who(row['grantee'])}",
                prune=True,
            )


# ---- one database: schemas, extensions, rights ---------------------------------------------------------


def wanted_grants(desired: dict[str, Any], database: dict[str, Any]) -> list[dict[str, str]]:
    """Declared rights on the objects of a database's schemas: [{schema, kind, grantee, privilege}].

    The owner role is lent EXECUTE on what others own in its schemas, because PUBLIC has it nowhere.
    In pg_catalog only the functions of WRITERS are looked at.
    """
    roles = [role for role in desired["roles"] if role["database"] == database["name"]]
    rights = [
        (item["schema"], kind, role["name"], privilege)
        for role in roles
        for item in role["privileges"]
        for kind, key in (("TABLE", "tables"), ("SEQUENCE", "sequences"), ("ROUTINE", "functions"))
        for privilege in item[key]
    ]
    rights += [(schema["name"], "ROUTINE", database["owner"], "EXECUTE") for schema in database["schemas"]]
    writers = [role["name"] for role in roles if role["writers"]]
    rights += [("pg_catalog", "ROUTINE", name, "EXECUTE") for name in (database["owner"], *writers)]
    return [dict(zip(("schema", "kind", "grantee", "privilege"), right, strict=True)) for right in rights]


def writers(version: int) -> list[str]:
    """Functions of pg_catalog that PUBLIC may not execute; see WRITERS."""
    return [name for name, since in WRITERS.items() if version >= since]


def fresh_database(desired: dict[str, Any], entry: dict[str, Any], version: int) -> dict[str, Any]:
    """What observe-database.sql will find in a database that is yet to be created."""
    functions = {"schema": "pg_catalog", "kind": "ROUTINE", "privilege": "EXECUTE", "objects": writers(version)}
    grantees = [item["grantee"] for item in wanted_grants(desired, entry) if item["schema"] == "pg_catalog"]
    return {
        "schemas": [{"name": "public", "owner": "pg_database_owner"}],
        "schema_grants": [],
        "extensions": [{"name": "plpgsql", "version": "", "schema": "pg_catalog"}],
        "object_grants": [functions | {"what": "missing", "grantee": grantee} for grantee in grantees]
        + [functions | {"what": "extra", "grantee": ""}],
        "default_grants": [_built_in(entry["owner"])],
    }


def _built_in(owner: str) -> dict[str, str]:
    """The right that PostgreSQL gives PUBLIC on every new function."""
    return {"schema": "", "kind": "ROUTINE", "creator": owner, "grantee": "", "privilege": "EXECUTE"}


def database(desired: dict[str, Any], entry: dict[str, Any], observed: dict[str, Any]) -> list[Step]:
    """Steps inside one database.

    Args:
        desired: the expanded declaration.
        entry: the database of it.
        observed: result sets of observe-database.sql by name; empty lists for a database yet to be created.

    Returns:
        Steps in the order they must run, all in one transaction.
    """
    steps = [
        *_schemas(entry, observed),
        *_extensions(entry, observed),
        *_schema_grants(desired, entry, observed),
        *_object_grants(observed),
        *_default_grants(desired, entry, observed),
    ]
    return [Step(s.object, s.before, s.after, s.sql, entry["name"], s.prune) for s in steps]


def _schemas(entry: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    present = {schema["name"]: schema for schema in observed["schemas"]}
    for schema in entry["schemas"]:
        name = schema["name"]
        # `public` belongs to pg_database_owner, which the owner role is a member of by being the owner.
        owner = schema["owner"] or ("" if name == "public" else entry["owner"])
        title = f"schema {entry['name']}.{name}"
        if name not in present:
            clause = f" AUTHORIZATION {ident(owner)}" if owner else ""
            yield Step(title, "", f"owner {owner}", f"CREATE SCHEMA {ident(name)}{clause}")
        elif owner and present[name]["owner"] != owner:
            before = f"owner {present[name]['owner']}"
            yield Step(title, before, f"owner {owner}", f"ALTER SCHEMA {ident(name)} OWNER TO {ident(owner)}")


def _extensions(entry: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    present = {extension["name"]: extension for extension in observed["extensions"]}
    for extension in entry["extensions"]:
        name = ident(extension["name"])
        title = f"extension {entry['name']}.{extension['name']}"
        if extension["name"] not in present:
            clauses = f" SCHEMA {ident(extension['schema'])}" if extension["schema"] else ""
            clauses += f" VERSION {literal(str(extension['version']))}" if extension["version"] else ""
            make = f"CREATE EXTENSION {name}{clauses}"
            if not extension["schema"]:  # it goes where its control file says, else to the first one of the path
                make = f"SET LOCAL search_path = public; {make}; {PATH}"
            yield Step(title, "", f"installed{clauses.lower()}", make)
            continue
        found = present[extension["name"]]
        if extension["version"] and found["version"] != str(extension["version"]):
            yield Step(
                title,
                f"version {found['version']}",
                f"version {extension['version']}",
                f"ALTER EXTENSION {name} UPDATE TO {literal(str(extension['version']))}",
            )
        if extension["schema"] and found["schema"] != extension["schema"]:
            yield Step(
                title,
                f"schema {found['schema']}",
                f"schema {extension['schema']}",
                f"ALTER EXTENSION {name} SET SCHEMA {ident(extension['schema'])}",
            )
    declared = {extension["name"] for extension in entry["extensions"]} | {"plpgsql"}
    for name in present:
        if name not in declared:
            yield Step(f"extension {entry['name']}.{name}", "installed, undeclared", "", "", prune=True)


def _schema_grants(desired: dict[str, Any], entry: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    owners = {schema["name"]: schema["owner"] or entry["owner"] for schema in entry["schemas"]}
    wanted = {
        (item["schema"], role["name"], "USAGE")
        for role in desired["roles"]
        if role["database"] == entry["name"]
        for item in role["privileges"]
        if role["name"] != owners.get(item["schema"])
    }
    has = {(row["schema"], row["grantee"], row["privilege"]) for row in observed["schema_grants"]}
    grantees = {role["name"] for role in desired["roles"]} | {""}
    for schema, grantee, privilege in sorted(wanted - has):
        yield Step(
            f"rights on schema {entry['name']}.{schema}",
            "",
            f"{privilege} for {grantee}",
            f"GRANT {privilege} ON SCHEMA {ident(schema)} TO {ident(grantee)}",
        )
    # PostgreSQL lets PUBLIC look into the schema public, where everything has rights of its own.
    for schema, grantee, privilege in sorted(has - wanted - {("public", "", "USAGE")}):
        if grantee in grantees:
            yield Step(
                f"rights on schema {entry['name']}.{schema}",
                f"{privilege} for {grantee or 'PUBLIC'}",
                "",
                f"REVOKE {privilege} ON SCHEMA {ident(schema)} FROM {who(grantee)}",
                # Every declared schema declares away that PUBLIC creates in it.
                prune=bool(grantee) or privilege != "CREATE" or schema not in owners,
            )


def _object_grants(observed: dict[str, Any]) -> Iterator[Step]:
    for row in observed["object_grants"]:
        what, count, grantee = row["kind"].lower(), len(row["objects"]), row["grantee"]
        title = f"rights of {grantee or 'PUBLIC'} on {count} {what}{'s' if count > 1 else ''} of schema {row['schema']}"
        names = ", ".join(row["objects"])
        missing = row["what"] == "missing"
        verb, to = ("GRANT", "TO") if missing else ("REVOKE", "FROM")
        text = f"{row['privilege']} on {_shortened(row['objects'])}"
        yield Step(
            title,
            "" if missing else text,
            text if missing else "",
            f"{verb} {row['privilege']} ON {row['kind']} {names} {to} {who(grantee)}",
            # That PUBLIC executes a function, which PostgreSQL lets it by default, is declared away.
            prune=not missing and (bool(grantee) or row["kind"] != "ROUTINE"),
        )


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _default_grants(desired: dict[str, Any], entry: dict[str, Any], observed: dict[str, Any]) -> Iterator[Step]:
    """Rights on what will be created, by the owner role or anyone else; one statement per creator, schema and grantee.

    Without a schema they hold in all of them: only there can a right of PUBLIC that PostgreSQL gives be taken away.
    """
    owner = entry["owner"]
    wanted = {
        (item["schema"], item["kind"], owner, item["grantee"], item["privilege"])
        for item in wanted_grants(desired, entry)
        if item["grantee"] != owner and item["schema"] != "pg_catalog"
    }
    keys = ("schema", "kind", "creator", "grantee", "privilege")
    has = {tuple(row[key] for key in keys) for row in observed["default_grants"]}
    grantees = {role["name"] for role in desired["roles"]} | {""}
    extra = {item for item in has - wanted if item[3] in grantees}
    for items, verb, to in ((wanted - has, "GRANT", "TO"), (extra, "REVOKE", "FROM")):
        for (schema, kind, creator, grantee), privileges in _grouped(items):
            text = f"{', '.join(privileges)} for {grantee or 'PUBLIC'}"
            where = f"schema {entry['name']}.{schema}" if schema else f"database {entry['name']}"
            by = "" if creator == owner else f", made by {creator}"
            grant = verb == "GRANT"
            yield Step(
                f"rights on future {_PLURALS[kind].lower()} of {where}{by}",
                "" if grant else text,
                text if grant else "",
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {ident(creator)}{f' IN SCHEMA {ident(schema)}' if schema else ''}"
                f" {verb} {', '.join(privileges)} ON {_PLURALS[kind]} {to} {who(grantee)}",
                prune=not grant and (bool(grantee) or kind != "ROUTINE" or creator != owner),
            )


def _grouped(
    items: Iterable[tuple[str, ...]],
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Privileges, the last element, by the elements before."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for *key, privilege in sorted(items):
        groups[tuple(key)].append(privilege)
    yield from groups.items()
