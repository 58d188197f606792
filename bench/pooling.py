"""1,000 clients through the pooler on 25 server connections against 1,000 direct connections.

One instance with room for 1,000 connections serves both, so that nothing differs but the way in: TLS and SCRAM
in both, the app role in both, in turns. pgbench's figure of transactions leaves out the time that connecting
takes; that time is a figure of its own.
"""

from __future__ import annotations

import json

from bench import pgbench
from bench.figures import Figure, absolute, at_least, at_most, ratio, require
from bench.nodes import HERE, SOCKET, Node, site
from bench.watch import watching
from pgstead.command import Steps

CLIENTS = 1000
ROOM = 1100  # max_connections and max_client_conn: the clients, and who watches them
SCALE = 10  # 150 MB: fits into memory, so that connections are what differs
ROLE = "bench_app"
PORTS = {"pooled": 6432, "direct": 5432}
SERVERS = at_most(25)  # pgstead's own target, and the pool's size in platform.yml
FASTER = at_least(1.0)  # pgstead's own target
COUNTING = (HERE / "files" / "server-connections.sql").read_text()


def run(steps: Steps, quick: bool) -> list[Figure]:
    """Figures of this benchmark.

    Raises:
        PgsteadError: the deploy or a run fails, or the clients are not held as they should be.
    """
    rounds, seconds = (1, 15) if quick else (4, 40)
    with site(["db1"], steps) as made:
        node = made.nodes["db1"]
        with steps.step(f"Deploying db1 with room for {ROOM} connections"):
            room = {"postgresql_max_connections": ROOM, "pgbouncer_max_client_conn": ROOM}
            made.deploy("-l", "db1", "-e", json.dumps(room))
            pgbench.fill(node, SCALE)
            urls = made.urls(ROLE)
        runs: dict[str, list[pgbench.Run]] = {way: [] for way in PORTS}
        servers: dict[str, list[float]] = {way: [] for way in PORTS}
        for number in range(rounds):
            for way in PORTS if number % 2 == 0 else reversed(PORTS):
                with steps.step(f"Round {number + 1} of {rounds}: {CLIENTS} clients, {way}"):
                    done, used = _measure(node, way, urls[PORTS[way]], seconds)
                    runs[way].append(done)
                    servers[way].append(used)
                    steps.say(
                        f"{way}: {done.tps:.0f} tps, {done.latency_ms:.0f} ms, "
                        f"connected in {done.connecting_ms / 1000:.1f} s, {used} server connections"
                    )
    tps = {way: (f"{way}, tps", [one.tps for one in runs[way]]) for way in PORTS}
    connecting = {way: (f"{way}, connecting, s", [one.connecting_ms / 1000 for one in runs[way]]) for way in PORTS}
    return [
        ratio(f"{CLIENTS} clients, select-only: tps pooled / direct", tps["pooled"], tps["direct"], FASTER),
        ratio("time to connect them all: pooled / direct", connecting["pooled"], connecting["direct"]),
        absolute(
            f"server connections for {CLIENTS} pooled clients, at most",
            ("pooled, server connections", servers["pooled"]),
            "",
            SERVERS,
            max,
        ),
        absolute(
            f"server connections for {CLIENTS} direct clients",
            ("direct, server connections", servers["direct"]),
            "",
        ),
    ]


def _measure(node: Node, way: str, url: str, seconds: int) -> tuple[pgbench.Run, int]:
    """One run, and the most server connections seen in it.

    Raises:
        PreconditionError: at no time all clients were connected.
    """
    environment = pgbench.coming_as(url)
    with (
        watching(node, COUNTING, "postgres", SOCKET, 5432) as server,
        watching(node, "SHOW POOLS;\n", "pgbouncer", "/run/pgbouncer", 6432) as pooler,
    ):

        def look() -> None:
            server.ask()
            pooler.ask()

        done = pgbench.run(node, "-S", clients=CLIENTS, seconds=seconds, user="nobody", env=environment, meanwhile=look)
        servers = max(int(row[way]) for row in server.answers())
        pools = [row for row in pooler.answers() if row["user"] == ROLE]
    held = max(int(row["cl_active"]) + int(row["cl_waiting"]) for row in pools) if way == "pooled" else servers
    require(held == CLIENTS, f"{way}: {held} clients were connected at once, not {CLIENTS}")
    return done, servers
