"""Vector search under row-level security: what pgstead makes, against the index that the document asks for.

Skewed tenants in two tables with the same rows, policies and role: ours with a btree on the tenant column and HNSW
beside it, theirs with ivfflat built while the table was empty (lists 100, probes 1). Latency is the server's own, with
planning; recall is against all of a tenant's rows compared.
"""

from __future__ import annotations

import json
from typing import Any

from bench import tenants
from bench.figures import Figure, absolute, at_least, at_most, ratio, require
from bench.nodes import Node, site
from pgstead.command import Steps

ROWS = {1536: 50_000, 384: 200_000}  # by dimensions
QUICK = 20  # times fewer rows
QUESTIONS = 50  # for each of these tenants
SIZES = ("largest", "median", "smallest")
SIDES = ("ours", "theirs")
RECALL = at_least(0.95)  # pgstead's own target, of the 5 nearest
SHORT = at_most(0)  # pgstead's own target: questions that bring fewer than 5 rows where the tenant has 5
SETTINGS = {"hnsw.iterative_scan": "relaxed_order", "hnsw.ef_search": "300", "plan_cache_mode": "force_custom_plan"}


def run(steps: Steps, quick: bool) -> list[Figure]:
    """Figures of this benchmark.

    Raises:
        PgsteadError: the deploy fails, or tables or settings are not as shipped.
    """
    rounds = 2 if quick else 5
    figures = []
    with site(["db1"], steps) as made:
        node = made.nodes["db1"]
        with steps.step("Deploying db1"):
            tenants.deploy(made, "db1")
            app = tenants.coming_as(made, tenants.APP, pooled=False)
        shown = tenants.psql(node, "".join(f"SHOW {name};" for name in SETTINGS), env=app).split()
        require(shown == list(SETTINGS.values()), f"{', '.join(SETTINGS)} of {tenants.APP} are {shown}")
        for dims, full in ROWS.items():
            rows = full // QUICK if quick else full
            with steps.step(f"Filling {rows} rows of {dims} dimensions, building indexes"):
                tenants.psql(node, tenants.script("vectors"), dims=str(dims), rows=str(rows), questions=str(QUESTIONS))
                tenants.require_isolation(node)
            with steps.step(f"{rows} x {dims}: {rounds} rounds, after one that does not count"):
                answers = [_ask(node, dims, app) for _ in range(rounds + 1)][1:]
            figures += _figures(f"{rows // 1000}k x {dims}", answers)
    return figures


def _ask(node: Node, dims: int, app: dict[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
    """One round: what came of it, by side and size of the tenant."""
    rows = json.loads(tenants.psql(node, tenants.script("ask"), env=app, dims=str(dims)))
    return {(row["side"], row["size"]): row for row in rows}


def _figures(what: str, answers: list[dict[tuple[str, str], dict[str, Any]]]) -> list[Figure]:
    def samples(side: str, size: str, key: str, unit: str = "") -> tuple[str, list[float]]:
        return f"{side}, {size} tenant, {key}{unit}", [float(answer[side, size][key]) for answer in answers]

    figures = []
    for size in SIZES:
        figures += [
            absolute(f"{what}, {size} tenant: recall of 5", samples("ours", size, "recall"), "", RECALL),
            absolute(f"{what}, {size} tenant: recall of 5, ivfflat", samples("theirs", size, "recall"), ""),
            ratio(
                f"{what}, {size} tenant: latency / ivfflat's",
                samples("ours", size, "ms", ", median"),
                samples("theirs", size, "ms", ", median"),
            ),
        ]
    for side, name, target in (("ours", "", SHORT), ("theirs", ", ivfflat", None)):
        short = [float(sum(answer[side, size]["short"] for size in SIZES)) for answer in answers]
        title = f"{what}: questions of {QUESTIONS * len(SIZES)} at most with fewer than 5 rows{name}"
        figures.append(absolute(title, (f"{side}, questions", short), "", target, max))
    return figures
