"""Row-level security as role tenancy ships it, against queries that say their tenant themselves.

1M deals of 200 tenants. The baseline comes as a role that policies do not act on (BYPASSRLS), to the same tables: same
rows, pages and indexes, the same role settings (custom plans), as many statements. Both send them as drivers do, by
protocol-level prepared statements. Queries are timed one by one on the server's socket; whole transactions go through
the pooler. Then the pooler clears more or less between clients (pgbouncer_isolation), in rounds so short that all of
them meet the same machine. Last, the same database takes tenants by signed tokens, and by their ids again, in turns.
"""

from __future__ import annotations

import yaml

from ansible_collections.pgstead.platform.plugins.module_utils import token
from bench import pgbench, tenants
from bench.figures import Figure, at_least, at_most, paired, ratio, require
from bench.nodes import BIN, INVENTORY, Node, Site, site
from pgstead.command import Steps

QUERIES = ("point lookup by id", "50 latest", "count by status", "join deals-customers")
SKIPPED = 3  # statements of the scripts before the first query: what to ask for, BEGIN, the tenant
SIDES = {"isolated": tenants.APP, "explicit": tenants.FREE}  # scripts of bench/files, and who runs them
CLIENTS = 4  # as many as the pool has server connections
SLOWER = at_most(1.15)  # pgstead's own target, for each query
THROUGHPUT = at_least(0.9)  # pgstead's own target
LEVELS = ("cursors", "session", "full")  # of pgbouncer_isolation; what the others are measured against comes first
DEFAULT = "session"  # what `auto` is without tokens
MODES = {"extended": "", "prepared": ", prepared"}  # how pgbench sends statements: each by itself, or once
CLEARED = at_least(0.85)  # pgstead's own target, for the default


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
        cleared = _cleared(made, node, steps, 10 if quick else 40)
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
        *(
            paired(
                f"whole transaction through the pooler{said}: tps with pgbouncer_isolation {level} / {LEVELS[0]}",
                (f"{level}, tps", cleared[mode][level]),
                (f"{LEVELS[0]}, tps", cleared[mode][LEVELS[0]]),
                CLEARED if level == DEFAULT else None,
            )
            for mode, said in MODES.items()
            for level in LEVELS[1:]
        ),
        ratio(
            "whole transaction through the pooler: tps with signed tokens / with ids",
            ("tokens, tps", signed["tokens"]),
            ("ids, tps", signed["tenants"]),
        ),
    ]


def _cleared(made: Site, node: Node, steps: Steps, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Transactions per second by mode and level of pgbouncer_isolation; levels take turns within a round."""
    name, resets = "isolated-transaction", {}
    with steps.step(f"Deploying pgbouncer_isolation {', '.join(LEVELS)}"):
        for level in LEVELS:
            tenants.deploy(made, "db1", "tenants", "--tags", "pgbouncer", "-e", f"pgbouncer_isolation={level}")
            resets[level] = _reset_query(node)
    require(len(set(resets.values())) == len(LEVELS), f"the levels are not different: {resets}")
    way = tenants.coming_as(made, tenants.APP, pooled=True)
    tps: dict[str, dict[str, list[float]]] = {mode: {level: [] for level in LEVELS} for mode in MODES}
    for number in range(-1, rounds):  # a first round warms up and does not count
        with steps.step(f"Round {number + 1} of {rounds}"):
            for mode in MODES:
                for level in LEVELS if number % 2 == 0 else reversed(LEVELS):
                    _console(node, f"SET server_reset_query = '{resets[level]}'")
                    done = _run(node, name, "-D", "left=0", mode=mode, clients=CLIENTS, seconds=1, env=way)
                    tps[mode][level] += [done.tps] if number >= 0 else []
    with steps.step("Deploying the default again"):
        tenants.deploy(made, "db1", "tenants", "--tags", "pgbouncer")
        require(_reset_query(node) == resets[DEFAULT], f"{DEFAULT} is not the default")
    return tps


def _reset_query(node: Node) -> str:
    """What the running pooler sends between clients."""
    rows = [line.split("|") for line in _console(node, "SHOW CONFIG").splitlines()]
    return next(row[1] for row in rows if row[0] == "server_reset_query")


def _console(node: Node, command: str) -> str:
    """What a command of the pooler's console answers, as its admin."""
    psql = (f"{BIN}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "/run/pgbouncer", "-p", "6432", "pgbouncer")
    return node.run(*psql, "-c", command, user="pgbouncer").strip()


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


def _run(
    node: Node, name: str, *options: str, clients: int, seconds: int, env: dict[str, str], mode: str = "prepared"
) -> pgbench.Run:
    """One run of a script of bench/files."""
    options = ("-M", mode, "-f", _path(name), *options)
    return pgbench.run(node, *options, clients=clients, seconds=seconds, env=env)
