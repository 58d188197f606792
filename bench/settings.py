"""The settings that pgstead computes for a node against Debian's default configuration.

Nodes alike, the same data in each: one has the computed settings and nothing else, one Debian's default configuration.
Each keeps the files, the WAL and the rhythm of checkpoints that its own settings lead to: they, and the full pages that
follow a checkpoint, are what these settings are to save. Both are measured when they are in step: past the full pages
of their first checkpoint, which the default writes again a minute later, and the computed settings every 15 minutes.
They work in turns, in short ones because the machine's own speed comes and goes, and while one works the other is
paused: a checkpoint that goes on in the background is paid by the node whose it is. pgbench runs on the node's socket,
without TLS or pooler, which both would pay alike.
"""

from __future__ import annotations

import re

from ansible_collections.pgstead.platform.plugins.plugin_utils import tuning
from bench import pgbench
from bench.figures import Figure, at_least, at_most, ratio, require
from bench.nodes import HERE, Node, site
from pgstead.command import Steps

SCALE = 50  # 750 MB
CLIENTS = 8
NODES = {"computed": "db1", "default": "db2"}
FILES = ("10-pgstead.conf", "20-user.conf")  # of conf.d: all that pgstead sets; postgresql.conf is Debian's
CONF_D = "/etc/postgresql/16/main/conf.d"
WORKLOADS: dict[str, tuple[tuple[str, ...], int]] = {  # options of pgbench, seconds of a run
    "read-only": (("-S",), 5),
    "TPC-B-like": ((), 20),
}
IN_STEP = 75  # seconds of TPC-B after the first checkpoint, until each page that is written was written once in full
FROM_CONF_D = "SELECT count(*) FROM pg_settings WHERE sourcefile ~ '/conf.d/'"
TARGETS = {"read-only": at_least(1.0), "TPC-B-like": at_least(1.1)}  # pgstead's own targets


def run(steps: Steps, quick: bool) -> list[Figure]:
    """Figures of this benchmark.

    Raises:
        PgsteadError: the deploy or a run fails, or a configuration is not the one it should be.
    """
    rounds = 2 if quick else 9
    with site(list(NODES.values()), steps) as made:
        nodes = {configuration: made.nodes[name] for configuration, name in NODES.items()}
        with steps.step("Deploying"):
            made.deploy("-l", ",".join(NODES.values()), "--tags", "postgresql")
        memory = _memory(nodes["computed"])
        _take_settings_away(nodes["default"], ".")
        _take_settings_away(nodes["computed"], "shared_preload_libraries")
        tps: dict[tuple[str, str], list[float]] = {(w, c): [] for w in WORKLOADS for c in NODES}
        for node in nodes.values():
            node.pause()
        for configuration, node in nodes.items():
            with steps.step(f"{configuration}: filling scale {SCALE}, a first run that does not count"), node.alone():
                pgbench.fill(node, SCALE)
                node.sql("CHECKPOINT")
                pgbench.run(node, clients=CLIENTS, seconds=10 if quick else IN_STEP)
        for number in range(rounds):
            for configuration in NODES if number % 2 == 0 else reversed(NODES):
                with steps.step(f"Round {number + 1} of {rounds}: {configuration}"), nodes[configuration].alone():
                    for workload, (options, seconds) in WORKLOADS.items():
                        nodes[configuration].sql((HERE / "files" / "warm.sql").read_text(), pgbench.DATABASE)
                        done = pgbench.run(nodes[configuration], *options, clients=CLIENTS, seconds=seconds)
                        tps[workload, configuration].append(done.tps)
                        steps.say(f"{configuration}, {workload}: {done.tps:.0f} tps")
    return [
        *(
            ratio(
                f"{workload}, scale {SCALE}, {CLIENTS} clients: tps computed settings / Debian's default",
                ("computed, tps", tps[workload, "computed"]),
                ("default, tps", tps[workload, "default"]),
                TARGETS[workload],
            )
            for workload in WORKLOADS
        ),
        memory,
    ]


def _take_settings_away(node: Node, pattern: str) -> None:
    """Takes lines out of pgstead's configuration files, and makes sure that the server is without them."""
    held = f"{FROM_CONF_D} AND name ~ '{pattern}'"
    before = int(node.sql(held))
    node.run("sed", "-i", f"/^{pattern}/d", *(f"{CONF_D}/{name}" for name in FILES))
    node.run("systemctl", "restart", "postgresql@16-main")
    after = int(node.sql(held))
    require(before > 0 and after == 0, f"settings like {pattern} from conf.d: {before} before, {after} afterwards")


def _memory(node: Node) -> Figure:
    """Share of the node's memory that the deployed settings can claim in the worst case."""
    total = re.search(r"^MemTotal: +(\d+) kB", node.run("cat", "/proc/meminfo"), re.MULTILINE)
    require(total is not None, "the node does not say how much memory it has")
    memory_mb = int(total[1]) // 1024 if total else 0
    connections = int(node.sql("SHOW max_connections"))
    planned = tuning.Node(memory_mb, cores=1, storage="ssd", disk_mb=0, connections=connections, version=16)
    buffers = int(node.sql("SELECT setting::int / 128 FROM pg_settings WHERE name = 'shared_buffers'"))  # 8 kB pages
    require(
        buffers == tuning.shared_buffers_mb(planned),
        f"shared_buffers is {buffers} MB, computed is {tuning.shared_buffers_mb(planned)} MB",
    )
    worst = ("worst case of the settings, MB", [float(tuning.worst_case_mb(planned))])
    return ratio("memory: worst case of ours / the node's", worst, ("memory, MB", [float(memory_mb)]), at_most(1))
