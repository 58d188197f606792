"""What a server cannot be: contradictions of its inputs, and with the host and the package source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..module_utils import pooler
from ..module_utils.words import nearest
from . import tuning
from .shape import Problem


def problems(expanded: dict[str, Any], values: dict[str, Any]) -> Iterator[Problem]:
    """Connections, package source and version."""
    yield from _connections(expanded, values)
    if values.get("postgresql_source") == "mirror":
        for name in ("postgresql_mirror_uri", "postgresql_mirror_key"):
            if not values.get(name):
                yield Problem(name, "nothing", "postgresql_source: mirror needs it")
    minor, version = values.get("postgresql_minor") or "", values.get("postgresql_version", 16)
    if minor and not minor.startswith(f"{version}."):
        yield Problem(
            "postgresql_minor", repr(minor), f"write a minor version of {version}, or change postgresql_version"
        )


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


def probe(values: dict[str, Any]) -> dict[str, Any]:
    """What to ask of a host."""
    kind = values["postgresql_source"]
    return {
        "data_directory": f"/var/lib/postgresql/{values['postgresql_version']}/{values['postgresql_instance']}",
        "minor": values["postgresql_minor"],
        "source": {
            "kind": kind,
            "uri": values.get(f"postgresql_{kind}_uri", ""),
            "suite": values.get(f"postgresql_{kind}_suite", ""),
            "components": values["postgresql_mirror_components"] if kind == "mirror" else ["main"],
        },
    }


def host(expanded: dict[str, Any], values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    """What cannot work on a host."""
    yield from _resources(expanded, values, seen)
    yield from _instances(values, seen)
    yield from _packages(values, seen)


def _resources(expanded: dict[str, Any], values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    memory = seen["memory_mb"]
    planned = int(values["postgresql_memory_mb"])
    user = str((values.get("postgresql_settings") or {}).get("max_connections", ""))
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
