"""No-change reconcile of databases, roles and rights: against community.postgresql's loops, and as roles grow.

Everything runs over SSH and sudo. The peer shares the node, the declaration and the result with ours: both
must find nothing to change in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.declaration import as_peer, declared
from bench.figures import Figure, absolute, at_least, at_most, ratio, require
from bench.nodes import Site, site
from pgstead.command import Steps

DATABASES = 20
SIZES = {"db1": 100, "db2": 300, "db3": 1000}  # login roles on each node; each database has its owner role beside
FASTER = at_least(20)  # pgstead's own target
GROWTH = at_most(10)  # pgstead's own target: ten times the roles, at most ten times the time
THOUSAND = at_most(10)  # seconds; pgstead's own target


def run(steps: Steps, quick: bool) -> list[Figure]:
    """Figures of this benchmark.

    Raises:
        PgsteadError: a deploy fails, or ours or the peer's is not without change.
    """
    rounds = 1 if quick else 3
    with site(list(SIZES), steps) as made:
        files = {name: _write(made, name, declared(DATABASES, count // DATABASES)) for name, count in SIZES.items()}
        for name, count in SIZES.items():
            with steps.step(f"Deploying {name}: {DATABASES} databases, {count} roles"):
                made.deploy("-l", name, "--tags", "postgresql", "-e", f"@{files[name]}")
        with steps.step("The peer's first run, on what ours made"):
            made.play("peer", "-l", "db1", "-e", f"@{files['db1']}")
        times: dict[str, list[float]] = {key: [] for key in ("empty", "peer", *SIZES)}
        for number in range(1, rounds + 1):
            with steps.step(f"Round {number} of {rounds}: ours with {', '.join(map(str, SIZES.values()))} roles"):
                times["empty"].append(_unchanged(made, "empty", "db1", files["db1"]))
                for name in SIZES:
                    times[name].append(_unchanged(made, "ours", name, files[name]))
            with steps.step(f"Round {number} of {rounds}: the peer with {SIZES['db1']} roles"):
                times["peer"].append(_unchanged(made, "peer", "db1", files["db1"]))
    return _figures(times)


def _write(made: Site, name: str, variables: dict[str, Any]) -> Path:
    """Extra variables of a node in both forms; with passwords, so in the scratch directory alone."""
    path = made.scratch / f"{name}.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(variables | as_peer(variables)))
    return path


def _unchanged(made: Site, play: str, name: str, variables: Path) -> float:
    """Seconds of a play that must change nothing."""
    seconds, changed = made.play(play, "-l", name, "-e", f"@{variables}")
    require(changed == 0, f"{play} on {name} was to change nothing, but {changed} tasks changed something")
    return seconds


def _figures(times: dict[str, list[float]]) -> list[Figure]:
    small, middle, large = SIZES.values()
    net = {
        count: (
            f"{count} roles, net, s",
            [a - b for a, b in zip(times[name], times["empty"], strict=True)],
        )
        for name, count in SIZES.items()
    }
    whole = {count: (f"{count} roles, whole play, s", times[name]) for name, count in SIZES.items()}
    peer = (f"community.postgresql, {small} roles, whole play, s", times["peer"])
    empty = ("empty play, s", times["empty"])
    require(min(net[small][1]) > 0, "the empty play took longer than a reconcile: the machine is too busy to measure")
    return [
        ratio(f"no change, {DATABASES} databases, {small} roles: loops / ours", peer, whole[small], FASTER),
        absolute("an empty play, which net times are without", empty, "s"),
        absolute(f"no change, {small} roles, whole play", whole[small], "s"),
        ratio(f"growth {small} to {middle} roles, whole play", whole[middle], whole[small]),
        ratio(f"growth {small} to {large} roles, whole play", whole[large], whole[small], GROWTH),
        ratio(f"growth {small} to {middle} roles, net", net[middle], net[small]),
        ratio(f"growth {small} to {large} roles, net", net[large], net[small], GROWTH),
        absolute(f"no change, {large} roles, whole play", whole[large], "s", THOUSAND),
    ]
