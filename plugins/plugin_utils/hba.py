"""Who may connect, from where, to what: the lines of the server's and the pooler's hba files.

Both are made from the same declaration. What no line admits is refused, so there is no line for
superusers over TCP.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

_WIDTHS = (8, 24, 48, 20)
_MAP = "pgstead_pooler"  # of pg_ident.conf: who comes in over the socket as a pooled role


def _line(kind: str, databases: list[str], roles: list[str], address: str, method: str) -> str:
    fields = (kind, ",".join(map(_quoted, databases)) or "all", ",".join(map(_quoted, roles)), address)
    return " ".join(field.ljust(width) for field, width in zip(fields, _WIDTHS, strict=True)) + f" {method}"


def _quoted(name: str) -> str:
    # Quotes take the special meaning from words like `all` and `replication`.
    return f'"{name}"'


def server_lines(
    model: dict[str, Any],
    networks: list[str],
    peer_roles: list[str],
    own: Sequence[str | dict[str, str]] = (),
    rooms_before: Sequence[str] = (),
    rooms_after: Sequence[str] = (),
) -> list[str]:
    """pg_hba.conf for the declared roles.

    What stands before pgstead's own lines stands after the superuser's and the services': no line of the user's keeps a
    deploy from the server.

    Args:
        model: as `model.expand` returns it.
        networks: CIDRs that clients may come from; the node itself (`samehost`) always may.
        peer_roles: OS users that log in over the socket as the role of their name.
        own: lines of the user's: a text is one that comes after pgstead's, else its `place` is "before" or "after".
        rooms_before: lines that other roles of the play need before those of the declared roles.
        rooms_after: likewise after them.

    Returns:
        Lines and comments, in the order the server must see them.
    """
    lines = [
        "# The superuser, and the services of this node, over the local socket alone.",
        *(_line("local", [], [role], "", "peer") for role in ["postgres", *peer_roles]),
        *_titled("What other roles of the play need.", rooms_before),
        *_own(own, "before"),
    ]
    for title, databases, roles in _groups(model):
        pooled = [role["name"] for role in roles if "pooled" in role["endpoints"]]
        direct = [role["name"] for role in roles if "direct" in role["endpoints"]]
        lines += ["", f"# {title}: pooled roles over the socket (from the pooler), direct roles over TLS."]
        if pooled:
            lines.append(_line("local", databases, pooled, "", f"peer map={_MAP}"))
        if only_direct := [name for name in direct if name not in pooled]:
            lines.append(_line("local", databases, only_direct, "", "scram-sha-256"))
        if direct:
            lines += [
                _line("hostssl", databases, direct, address, "scram-sha-256") for address in ["samehost", *networks]
            ]
    return [*lines, *_titled("What other roles of the play need.", rooms_after), *_own(own, "after")]


def _own(lines: Sequence[str | dict[str, str]], place: str) -> list[str]:
    """The user's lines with this place, under a title."""
    long = [{"line": line} if isinstance(line, str) else line for line in lines]
    found = [line["line"] for line in long if (line.get("place") or "after") == place]
    return _titled("postgresql_hba, as asked for.", found)


def _titled(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"# {title}", *lines] if lines else []


def ident_lines(model: dict[str, Any], pooler_user: str) -> list[str]:
    """pg_ident.conf: the OS users that come in over the socket as a pooled role, without a password.

    What a role could change in the server, its own password above all, must not lock out the pooler's clients: it is
    the pooler that asks them for their password. Root and the superuser could become any role anyhow.
    """
    users = dict.fromkeys([pooler_user, "postgres", "root"])
    pooled = [role["name"] for role in model["roles"] if "pooled" in role["endpoints"]]
    return [f"{_MAP} {user.ljust(12)} {_quoted(name)}" for user in users for name in pooled]


def pooler_lines(model: dict[str, Any], networks: list[str], own_addresses: list[str], stats_role: str) -> list[str]:
    """PgBouncer's hba file for the declared roles.

    Args:
        model: as `model.expand` returns it.
        networks: CIDRs that clients may come from.
        own_addresses: the node's own IP addresses, IPv4 or IPv6.
        stats_role: the role that may read the admin console, from the node itself.

    Returns:
        Lines and comments.
    """
    own = dict.fromkeys(["127.0.0.1", *sorted(own_addresses)])
    local = [str(ipaddress.ip_network(address)) for address in own]  # each with the full length of its prefix
    lines = ["# Statistics, from this node alone. Administration is left to the pooler's own OS user."]
    lines.append(_line("local", ["pgbouncer"], [stats_role], "", "scram-sha-256"))
    lines += [_line("hostssl", ["pgbouncer"], [stats_role], address, "scram-sha-256") for address in local]
    for title, databases, roles in _groups(model):
        pooled = [role["name"] for role in roles if "pooled" in role["endpoints"]]
        if pooled:
            lines += ["", f"# {title}"]
            lines.append(_line("local", databases, pooled, "", "scram-sha-256"))
            lines += [_line("hostssl", databases, pooled, address, "scram-sha-256") for address in [*local, *networks]]
    return lines


def _groups(model: dict[str, Any]) -> list[tuple[str, list[str], list[dict[str, Any]]]]:
    """(title, databases, login roles): each database with its own roles, then all of them with the cluster roles."""
    groups = []
    for database in model["databases"]:
        roles = [role for role in model["roles"] if role["login"] and role["database"] == database["name"]]
        if roles:
            groups.append((f"database {database['name']}", [database["name"]], roles))
    everywhere = [role for role in model["roles"] if role["login"] and not role["database"]]
    if everywhere:
        groups.append(("cluster roles", [db["name"] for db in model["databases"]] + ["postgres"], everywhere))
    return groups
