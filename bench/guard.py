"""What the guard costs where there are many tables: its sweep of 2,000, and one CREATE TABLE beside them.

Server-side time of what `pgstead deploy` does with tables that are there, each step a transaction of its own. A first
sweep starts from tables that the guard has not seen; the next ones find nothing to do.
"""

from __future__ import annotations

import json
from statistics import median

from bench import tenants
from bench.figures import Figure, absolute, at_most, require
from bench.nodes import Node, site
from pgstead.command import Steps

SESSIONS = 3  # with the guard and without, in each round
SWEEP = at_most(5)  # seconds; pgstead's own target
CREATE = at_most(10)  # milliseconds; pgstead's own target
BARE = "SELECT count(*) FROM app.tenant_tables WHERE NOT (enabled AND forced AND armed)"


def run(steps: Steps, quick: bool) -> list[Figure]:
    """Figures of this benchmark.

    Raises:
        PgsteadError: the deploy or a sweep fails, or tables are not protected by it.
    """
    tables, rounds, times = (200, 1, 10) if quick else (2000, 3, 30)
    first: list[float] = []
    again: list[float] = []
    differences: list[float] = []
    new: list[float] = []  # of a session's first CREATE TABLE, which fills its caches
    with site(["db1"], steps) as made:
        node = made.nodes["db1"]
        with steps.step("Deploying db1"):
            tenants.deploy(made, "db1")
        for number in range(1, rounds + 1):
            with steps.step(f"Round {number} of {rounds}: {tables} tables that the guard has not seen"):
                tenants.psql(node, tenants.script("tables"), tables=str(tables))
                bare = tenants.psql(node, BARE)
                require(bare == str(tables), f"{bare} tables were bare before the sweep, not {tables}")
            with steps.step("Sweeping, and again with nothing to do"):
                first.append(float(tenants.psql(node, tenants.script("sweep"), which="bare")))
                tenants.require_isolation(node)
                again.append(float(tenants.psql(node, tenants.script("sweep"), which="true")))
            for _ in range(SESSIONS):
                with steps.step("Creating tables with the guard, and without"):
                    took = {mode: _create(node, mode, times) for mode in ("origin", "replica")}
                    new.append(took["origin"][0] - took["replica"][0])
                    differences.append(median(took["origin"][1:]) - median(took["replica"][1:]))
            steps.say(f"{first[-1]:.1f} s, {again[-1]:.1f} s; {differences[-1]:.1f} ms a table")
    return [
        absolute(f"{tables} tables: sweep that protects all of them", ("first sweep, s", first), "s", SWEEP),
        absolute(f"{tables} tables: sweep with nothing to do", ("sweep, s", again), "s", SWEEP),
        absolute(
            f"a CREATE TABLE beside {tables}: slower by, with the guard", ("slower by, ms", differences), "ms", CREATE
        ),
        absolute("the first CREATE TABLE of a session: slower by", ("first of a session, slower by, ms", new), "ms"),
    ]


def _create(node: Node, mode: str, times: int) -> list[float]:
    """Milliseconds of each CREATE TABLE in one session; in mode `replica` the guard does not fire."""
    took: list[float] = json.loads(tenants.psql(node, tenants.script("create-table"), times=str(times), mode=mode))
    return took
