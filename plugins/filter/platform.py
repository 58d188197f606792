"""Filters that turn the declaration into what templates and modules take."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ansible.errors import AnsibleFilterError
from jinja2 import pass_context
from jinja2.runtime import Context

from ansible_collections.pgstead.platform.plugins.module_utils import pooler, sqitch, tenants, token
from ansible_collections.pgstead.platform.plugins.plugin_utils import hba, model, rooms, scram, tuning


@pass_context
def expanded(context: Context, databases: list[dict[str, Any]], cluster_roles: list[dict[str, Any]]) -> dict[str, Any]:
    """The declaration with nothing left implicit, the keys of all roles that the play finds among it."""
    return model.expand(databases, cluster_roles, rooms.of_play(context))


def computed_settings(
    node: dict[str, Any],
    expanded: dict[str, Any],
    version: int,
    memory_mb: int = 0,
    cores: int = 0,
    storage: str = "auto",
    connections: int = 0,
) -> list[dict[str, Any]]:
    """Computed settings for a node; see plugin_utils/tuning.py."""
    return tuning.compute(
        tuning.Node(
            memory_mb=int(memory_mb) or node["memory_mb"],
            cores=int(cores) or node["cores"],
            storage=node["storage"] if storage == "auto" else storage,
            disk_mb=node["disk_mb"],
            connections=tuning.max_connections(int(connections), pooler.backend_demand(expanded)),
            version=int(version),
        )
    )


def quoted_setting(value: Any) -> str:
    """A value as postgresql.conf takes it, in single quotes (PostgreSQL manual, 20.1.2)."""
    return "'" + model.setting_text(value).replace("\\", "\\\\").replace("'", "''") + "'"


def verifier(passwords: dict[str, str], role: str, secret: str = "", iterations: int = 4096) -> str:
    """The SCRAM-SHA-256 verifier of a role's password; see plugin_utils/scram.py."""
    try:
        return scram.of_role(passwords, role, secret or role, int(iterations))
    except ValueError as problem:
        raise AnsibleFilterError(str(problem)) from problem


def passwords(roles: list[dict[str, Any]], secrets: dict[str, str]) -> dict[str, str]:
    """The passwords of these roles by the names of their secrets, and no other secret: for who logs in on the node."""
    try:
        return {role["secret"]: secrets[role["secret"]] for role in roles}
    except KeyError as problem:
        raise AnsibleFilterError(f"secrets.{problem.args[0]} is missing from vault.yml") from problem


def logins(expanded: dict[str, Any], endpoint: str) -> list[dict[str, Any]]:
    """Every login that a role can try at an endpoint, as a check of C(login) takes it but for the address."""
    return [
        {
            "role": role["name"],
            "secret": role["secret"],
            "database": database["name"],
            "expected": "in" if endpoint in role["endpoints"] else "refused",
            # Whether it is tried what the role can do inside, and become.
            "powerless": role["kind"] in ("app", "readonly"),
            "owner": database["owner"],
            "writers": role["writers"],
        }
        for role in model.login_roles(expanded)
        for database in expanded["databases"]
        if role["database"] in ("", database["name"])
    ]


def projects(databases: list[dict[str, Any]], roles: list[dict[str, Any]], inventory: str) -> list[dict[str, Any]]:
    """The sqitch projects of these databases with their files, each with the migrator who deploys it."""
    migrators = {role["database"]: role for role in reversed(roles) if role["kind"] == "migrator"}
    found = []
    for database in databases:
        name, where = database["name"], database["schema_project"]
        try:
            files = sqitch.read(sqitch.locate(where, sqitch.bases(inventory)))
        except ValueError as problem:
            raise AnsibleFilterError(f"schema_project {where!r} of database {name}: {problem}") from problem
        if name not in migrators:
            why = "no role of kind migrator, who deploys its schema_project; declare one"
            raise AnsibleFilterError(f"database {name}: {why}")
        by = {"migrator": migrators[name]["name"], "secret": migrators[name]["secret"]}
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        found.append(by | {"database": name, "owner": database["owner"], "files": files, "who": who})
    return found


def token_keys(
    databases: list[dict[str, Any]], secrets: dict[str, str], whole: bool = False
) -> dict[str, list[dict[str, str]]]:
    """What databases check tenant tokens with, by database; `whole` for who writes it, else only for comparing."""
    return {
        entry["name"]: [token.kept(key, whole) for key in token.keys(_key_name(entry), secrets)]
        for entry in databases
        if _key_name(entry)
    }


def url(role: str, password: str, host: str, port: int, database: str, parameters: dict[str, str] | None = None) -> str:
    """A connection URI (PostgreSQL manual, 34.1.1.2), every part percent-encoded."""
    query = "&".join(f"{quote(k, safe='')}={quote(str(v), safe='/')}" for k, v in (parameters or {}).items())
    netloc = f"[{host}]" if ":" in host else host
    user = f"{quote(role, safe='')}:{quote(str(password), safe='')}"
    return f"postgresql://{user}@{netloc}:{port}/{quote(database, safe='')}" + (f"?{query}" if query else "")


def env(
    expanded: dict[str, Any],
    secrets: dict[str, str],
    host: str,
    pooled_port: int = 6432,
    direct_port: int = 5432,
    only_database: str = "",
    only_role: str = "",
    masked: bool = True,
) -> list[dict[str, str]]:
    """The .env lines of every database, or of one, or of one role.

    DATABASE_URL is for a database's first app role through the pooler, DIRECT_DATABASE_URL for its first
    migrator at the server; every further login role gets a line of its own. TENANT_TOKEN_KEY follows where the app
    signs tenant tokens. With several databases their names lead, so that all lines fit into one file.

    Returns:
        [{"database", "role", "name", "url"}], passwords shown as *** where `masked`.
    """
    lines: list[dict[str, str]] = []
    ports = {"pooled": int(pooled_port), "direct": int(direct_port)}
    main = {("app", "pooled"): "DATABASE_URL", ("migrator", "direct"): "DIRECT_DATABASE_URL"}
    prefixed = len(expanded["databases"]) > 1 and not only_database
    for database in expanded["databases"]:
        if only_database not in ("", database["name"]):
            continue
        taken: set[str] = set()
        for role in model.login_roles(expanded):
            if role["database"] not in ("", database["name"]) or only_role not in ("", role["name"]):
                continue
            for endpoint in role["endpoints"]:
                name = main.get((role["kind"], endpoint), "")
                if not name or name in taken:
                    prefix = "" if endpoint == "pooled" else "DIRECT_"
                    name = f"{_shell_name(role['name'])}_{prefix}DATABASE_URL"
                taken.add(name)
                signs = name == "DATABASE_URL" and _key_name(database)
                name = f"{_shell_name(database['name'])}_{name}" if prefixed else name
                address = url(
                    role["name"],
                    "***" if masked else secrets[role["secret"]],
                    host,
                    ports[endpoint],
                    database["name"],
                    {"sslmode": "require"},
                )
                address = address.replace("%2A%2A%2A", "***") if masked else address
                lines.append({"database": database["name"], "role": role["name"], "name": name, "url": address})
                if signs:
                    name = name.removesuffix("DATABASE_URL") + "TENANT_TOKEN_KEY"
                    key = "***" if masked else secrets[signs]
                    lines.append({"database": database["name"], "role": role["name"], "name": name, "url": key})
    return lines


def _key_name(database: dict[str, Any]) -> str:
    """Name of the secret that a database's tenant tokens are signed with, "" where it takes none."""
    return str((database["tenancy"] or {}).get("token", ""))


def tenant_token(expanded: dict[str, Any], secrets: dict[str, str], database: str, tenant: Any, seconds: int) -> str:
    """A token that sets a tenant in a database; `database` may be "" where only one takes tokens."""
    try:
        entry = tenants.choose_signed(expanded["databases"], database)
    except tenants.RefusedError as problem:
        raise AnsibleFilterError(f"{problem}; {problem.hint}") from problem
    return token.sign(secrets[_key_name(entry)], tenant, int(seconds))


def env_file(lines: list[dict[str, str]], existing: str) -> str:
    """A .env file with these lines: each in the place of the one that had its name, new ones at the end."""
    missing = {line["name"]: f'{line["name"]}="{line["url"]}"' for line in lines}
    ours, kept = set(missing), []
    for old in existing.splitlines():
        export = "export " if old.startswith("export ") else ""
        name = old.removeprefix("export ").partition("=")[0].strip()
        if name in missing:
            kept.append(export + missing.pop(name))
        elif name not in ours:  # a second line of the same name would win
            kept.append(old)
    return "".join(f"{line}\n" for line in [*kept, *missing.values()])


def _shell_name(name: str) -> str:
    return name.upper().replace("-", "_")


class FilterModule:
    """The filters by their names, each of which is pgstead.platform.<name>."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "model": expanded,
            "pooled_databases": pooler.pooled_databases,
            "tuning": computed_settings,
            "server_hba": hba.server_lines,
            "server_ident": hba.ident_lines,
            "pooler_hba": hba.pooler_lines,
            "setting": quoted_setting,
            "scram": verifier,
            "passwords": passwords,
            "logins": logins,
            "projects": projects,
            "token_keys": token_keys,
            "url": url,
            "env": env,
            "env_file": env_file,
            "tenant_token": tenant_token,
        }
