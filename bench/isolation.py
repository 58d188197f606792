"""Row-level security as role tenancy ships it, against queries that say their tenant themselves.

1M deals of 200 tenants. The baseline comes as a role that policies do not act on (BYPASSRLS), to the same tables: same
rows, pages and indexes, the same role settings (custom plans), as many statements. Both send them as drivers do, by
protocol-level prepared statements. Queries are timed one by one on the server's socket; whole transactions go through
the pooler. Last, the same database takes tenants by signed tokens, and by their ids again, in turns.
"""

from __future__ import annotations

import sys

import yaml

from bench import pgbench, tenants
from bench.figures import Figure, at_least, at_most, ratio
from bench.nodes import HERE, INVENTORY, Node, Site, site
from pgstead.command import Steps

sys.path.insert(0, str(HERE.parent / "plugins" / "module_utils"))

from pgstead_platform import token

QUERIES = ("point lookup by id", "50 latest", "count by status", "join deals-customers")
SKIPPED = 3  # statements of the scripts before the first query: what to ask for, BEGIN, the tenant
SIDES = {"isolated": tenants.APP, "explicit": tenants.FREE}  # scripts of bench/files, and who runs them
CLIENTS = 4  # as many as the pool has server connections
SLOWER = at_most(1.15)  # pgstead's own target, for each query
THROUGHPUT = at_least(0.9)  # pgstead's own target


def run(steps: Steps, quick: bool) -> list[Figure]:
    """Figures of this benchmark.

    Raises:
        PgsteadError: the deploy or a run fails, or a table is not protected as shipped.
    """
    rounds, seconds = (4, 2) if quick else (20, 2)  # short, for both sides to meet the same machine
    latencies: dict[str, list[tuple[float, ...]]] = {side: [] for side in SIDES}
    tps: dict[str, list[float]] = {side: [] for side in SIDES}
    with site(["db1"], steps) as made:
        node = made.nodes["db1"]
        with steps.step("Deploying db1, filling 1M deals of 200 tenants"):
            tenants.deploy(made, "db1")
            node.sql(tenants.script("deals"), pgbench.DATABASE)
            tenants.require_isolation(node)
            queries = {side: tenants.coming_as(made, role, pooled=False) for side, role in SIDES.items()}
            whole = {side: tenants.coming_as(made, role, pooled=True) for side, role in SIDES.items()}
            for side in SIDES:
                for name in (side, f"{side}-transaction"):
                    node.run("tee", _path(name), stdin=tenants.script(name).encode())
        for number in range(-1, rounds):  # a first round warms up and does not count
            order = list(SIDES) if number % 2 == 0 else list(reversed(SIDES))
            with steps.step(f"Round {number + 1} of {rounds}"):
                for side in order:
                    done = _run(node, side, "-r", clients=1, seconds=seconds, env=queries[side])
                    latencies[side] += [done.statements_ms[SKIPPED : SKIPPED + len(QUERIES)]] if number >= 0 else []
                for side in order:
                    done = _run(
                        node, f"{side}-transaction", "-D", "left=0", clients=CLIENTS, seconds=seconds, env=whole[side]
                    )
                    tps[side] += [done.tps] if number >= 0 else []
                if number >= 0:
                    steps.say("; ".join(f"{side}: {tps[side][-1]:.0f} tps, {latencies[side][-1]} ms" for side in SIDES))
        signed = _signed(made, node, steps, 1 if quick else 3, seconds)
    return [
        *(
            ratio(
                f"{query}: row-level security / WHERE dealership_id = const",
                ("isolated, ms", [one[at] for one in latencies["isolated"]]),
                ("explicit, ms", [one[at] for one in latencies["explicit"]]),
                SLOWER,
            )
            for at, query in enumerate(QUERIES)
        ),
        ratio(
            "whole transaction through the pooler: tps with policies / without",
            ("isolated, tps", tps["isolated"]),
            ("explicit, tps", tps["explicit"]),
            THROUGHPUT,
        ),
        ratio(
            "whole transaction through the pooler: tps with signed tokens / with ids",
            ("tokens, tps", signed["tokens"]),
            ("ids, tps", signed["tenants"]),
        ),
    ]


def _signed(made: Site, node: Node, steps: Steps, turns: int, seconds: int) -> dict[str, list[float]]:
    """Transactions per second by declaration: with tokens (tokens.yml), and with ids (tenants.yml)."""
    key = yaml.safe_load((INVENTORY / "sandbox_secrets.yml").read_text()).popitem()[1]
    ids = node.sql("SELECT id FROM dealerships", pgbench.DATABASE).splitlines()
    rows = "".join(f"{tenant}\t{token.sign(key, tenant, 86400)}\n" for tenant in ids)
    node.sql(tenants.script("tokens") + rows + "\\.\n", pgbench.DATABASE)
    way = tenants.coming_as(made, tenants.APP, pooled=True)
    scripts = {"tokens": "signed-transaction", "tenants": "isolated-transaction"}
    node.run("tee", _path(scripts["tokens"]), stdin=tenants.script(scripts["tokens"]).encode())
    tps: dict[str, list[float]] = {declared: [] for declared in scripts}
    for turn in range(turns):
        for declared, name in scripts.items():
            with steps.step(f"Turn {turn + 1} of {turns}: {declared}.yml"):
                tenants.deploy(made, "db1", declared, "--tags", "tenancy,pgbouncer")
                for _ in range(4):
                    done = _run(node, name, "-D", "left=0", clients=CLIENTS, seconds=seconds, env=way)
                    tps[declared].append(done.tps)
    return tps


def _path(name: str) -> str:
    return f"/var/lib/postgresql/{name}.sql"


def _run(node: Node, name: str, *options: str, clients: int, seconds: int, env: dict[str, str]) -> pgbench.Run:
    """One run of a script of bench/files."""
    options = ("-M", "prepared", "-f", _path(name), *options)
    return pgbench.run(node, *options, clients=clients, seconds=seconds, env=env)
