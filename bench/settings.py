"""The settings that pgstead computes for a node against Debian's default configuration: one instance, one data set.

The server restarts with one configuration, then with the other, round by round; pgbench runs on the node's socket,
without TLS or pooler, which both would pay alike. A run that writes is long enough for the checkpoints that Debian's
default max_wal_size brings: they, and the full pages that follow them, are what these settings are to save.
"""

from __future__ import annotations

import re
import sys

from bench import pgbench
from bench.figures import Figure, at_least, at_most, ratio, require
from bench.nodes import HERE, Node, site
from pgstead.command import Steps

sys.path.insert(0, str(HERE.parent / "plugins" / "module_utils"))

from pgstead_platform import tuning

SCALE = 50  # 750 MB
CLIENTS = 8
CONFIGURATIONS = ("ours", "default")
FILES = ("10-pgstead", "20-user")  # of conf.d: all that pgstead sets; postgresql.conf is Debian's
WORKLOADS: dict[str, tuple[tuple[str, ...], int]] = {  # options of pgbench, seconds of a run
    "read-only": (("-S",), 30),
    "TPC-B-like": ((), 90),
}
QUICK = 6  # seconds of a run
TARGETS = {"read-only": at_least(1.0), "TPC-B-like": at_least(1.1)}  # pgstead's own targets


def run(steps: Steps, quick: bool) -> list[Figure]:
    """Figures of this benchmark.

    Raises:
        PgsteadError: the deploy or a run fails, or a configuration is not the one it should be.
    """
    rounds = 2 if quick else 4
    with site(["db1"], steps) as made:
        node = made.nodes["db1"]
        with steps.step("Deploying db1"):
            made.deploy("-l", "db1", "--tags", "postgresql")
        with steps.step(f"Filling scale {SCALE}"):
            pgbench.fill(node, SCALE)
        memory = _memory(node)
        tps: dict[tuple[str, str], list[float]] = {(w, c): [] for w in WORKLOADS for c in CONFIGURATIONS}
        for number in range(rounds):
            for configuration in CONFIGURATIONS if number % 2 == 0 else reversed(CONFIGURATIONS):
                with steps.step(f"Round {number + 1} of {rounds}: {configuration}"):
                    _use(node, configuration)
                    for workload, (options, seconds) in WORKLOADS.items():
                        node.sql((HERE / "files" / "warm.sql").read_text(), pgbench.DATABASE)
                        done = pgbench.run(node, *options, clients=CLIENTS, seconds=QUICK if quick else seconds)
                        tps[workload, configuration].append(done.tps)
                        steps.say(f"{configuration}, {workload}: {done.tps:.0f} tps")
    return [
        *(
            ratio(
                f"{workload}, scale {SCALE}, {CLIENTS} clients: tps ours / Debian's default",
                ("ours, tps", tps[workload, "ours"]),
                ("default, tps", tps[workload, "default"]),
                TARGETS[workload],
            )
            for workload in WORKLOADS
        ),
        memory,
    ]


def _use(node: Node, configuration: str) -> None:
    """Restarts the server with our settings or without them, and asks it which it has."""
    here, there = (".conf", ".conf.off") if configuration == "default" else (".conf.off", ".conf")
    for name in FILES:
        path = f"/etc/postgresql/16/main/conf.d/{name}"
        node.run("sh", "-c", 'if [ -e "$1" ]; then mv "$1" "$2"; fi', "sh", path + here, path + there)
    node.run("systemctl", "restart", "postgresql@16-main")
    found = int(node.sql("SELECT count(*) FROM pg_settings WHERE sourcefile ~ '/conf.d/'"))
    require((found > 0) == (configuration == "ours"), f"{configuration}: {found} settings come from conf.d")


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
