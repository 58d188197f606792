"""pgbench on a node. Client and server share the node's cores."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.figures import require
from bench.nodes import BIN, SOCKET, Node

DATABASE = "bench"
FILES = 4096  # open files that pgbench may have: a socket per client


@dataclass(frozen=True)
class Run:
    """One run of pgbench.

    Args:
        tps: transactions per second, without the time that connecting took.
        latency_ms: mean.
        connecting_ms: until every client was connected.
        statements_ms: mean of each statement of the script, in its order; only with option -r.
    """

    tps: float
    latency_ms: float
    connecting_ms: float
    statements_ms: tuple[float, ...]


def fill(node: Node, scale: int) -> None:
    """Makes pgbench's tables (about 15 MB per unit of scale), owned by the owner role as a migration leaves them."""
    env = {"PGHOST": SOCKET, "PGOPTIONS": f"-c role={DATABASE}_owner"}
    node.run(f"{BIN}/pgbench", "-i", "-q", "-s", str(scale), DATABASE, user="postgres", env=env)
    node.sql("VACUUM ANALYZE", DATABASE)


def run(
    node: Node,
    *options: str,
    clients: int,
    seconds: int,
    user: str = "postgres",
    env: Mapping[str, str] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Run:
    """One run with two threads.

    Args:
        node: where it runs.
        options: of pgbench.
        clients: connections held at once.
        seconds: duration with the time that connecting takes; long enough that most of it is left.
        user: OS user on the node.
        env: how to reach the server, as libpq's variables.
        meanwhile: called every second while it runs.

    Raises:
        PreconditionError: pgbench failed, or a transaction did.
    """
    environment = {"PGHOST": SOCKET} | dict(env or {})
    pgbench = (f"{BIN}/pgbench", "-n", "-j", "2", "-c", str(clients), "-T", str(seconds), *options, DATABASE)
    argv = node.argv("sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh", *pgbench, user=user, env=environment)
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
    ) as child:
        while True:
            try:
                output, _ = child.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                meanwhile()
    with node.steps.log.open("a") as log:
        log.write(f"$ {' '.join(pgbench)}\n{output}")
    require(child.returncode == 0, f"pgbench failed:\n{output[-1000:]}")
    require(" 0 (0.000%)" in output, f"transactions failed:\n{output[-1000:]}")
    return Run(
        tps=_number(r"^tps = ([\d.]+) \(without initial connection time\)", output),
        latency_ms=_number(r"^latency average = ([\d.]+) ms", output),
        connecting_ms=_number(r"^initial connection time = ([\d.]+) ms", output),
        statements_ms=tuple(map(float, re.findall(r"^ +([\d.]+) +\d+ +(?!\\)\S", output, re.MULTILINE))),
    )


def coming_as(url: str) -> dict[str, str]:
    """libpq's variables for a URL that `pgstead url` prints."""
    parts = urlsplit(url)
    return {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGSSLMODE": "require",
    }


def _number(pattern: str, output: str) -> float:
    found = re.search(pattern, output, re.MULTILINE)
    require(found is not None, f"pgbench did not say {pattern}:\n{output[-1000:]}")
    return float(found[1]) if found else 0.0
