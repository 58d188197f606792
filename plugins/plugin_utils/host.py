"""What cannot work on a host, whatever room is on it; what a room knows of hosts is in the file of its name.

Pure functions over what is declared and what the module pgstead.platform.probe saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from . import model
from .rooms import Room
from .shape import Problem

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}


def problems(
    values: dict[str, Any], seen: dict[str, Any], guests: Iterable[Room], ports: list[dict[str, Any]]
) -> Iterator[Problem]:
    """What cannot work on a host.

    Args:
        values: the declaration, every role's defaults filled in.
        seen: what the module pgstead.platform.probe returned.
        guests: the rooms that are enabled on it.
        ports: what those listen on, expressions evaluated.
    """
    release = seen["release"]
    if release["version"] not in SUPPORTED.get(release["id"], ()):
        supported = "; ".join(f"{name} {' and '.join(versions)}" for name, versions in SUPPORTED.items())
        yield Problem("operating system", release["name"], f"supported are {supported}")
    memory, least = seen["memory_mb"], values["preflight_min_memory_mb"]
    if memory < least:
        yield Problem("memory", f"{memory} MB", f"the node needs {least} MB (preflight_min_memory_mb)")
    yield from _address(values, seen)
    yield from _ports(values, seen, ports)
    guests = list(guests)
    expanded = model.expand(values.get("databases") or [], values.get("cluster_roles") or [], guests)
    for room in guests:
        if judge := room.code("host"):
            yield from judge(expanded, values, seen)


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


def _ports(values: dict[str, Any], seen: dict[str, Any], ports: list[dict[str, Any]]) -> Iterator[Problem]:
    ports = [port for port in ports if values.get(port["input"]) is not None]
    users = [port["user"] for port in ports]
    for entry in ports:
        port = int(values[entry["input"]])
        listener = seen["listeners"].get(str(port))
        # Without a unit the process is all there is to go by.
        if listener and listener["unit"] != entry["unit"] and (listener["unit"] or listener["user"] not in users):
            who = listener["program"] or listener["unit"] or f"a program of user {listener['user']}"
            yield Problem(entry["input"], f"{port}, in use by {who}", f"stop {who}, or write another port")
    for one, other in combinations([entry["input"] for entry in reversed(ports)], 2):  # the guest's is to change
        if int(values[one]) == int(values[other]):
            yield Problem(one, str(values[one]), f"write another port than {other}")
