"""Settings computed from the node: one table of formulas, each with its source.

docs/reference/settings.md and the comments in conf.d/10-pgstead.conf are made from this table;
bench/settings.py measures the result against Debian's defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MB_PER_GB = 1024
DIRECT_CONNECTIONS = 20  # migrations, reports, monitoring, backups: what does not come through the pooler
SUPERUSER_RESERVED = 3  # PostgreSQL's default of superuser_reserved_connections
LEAST_CONNECTIONS = 100  # PostgreSQL's own default
AUTOVACUUM_WORKERS = 3  # PostgreSQL's default of autovacuum_max_workers

_MANUAL = "PostgreSQL manual"


@dataclass(frozen=True)
class Node:
    """What settings are computed from.

    Args:
        memory_mb: memory to plan with, in MB.
        cores: cores to plan with.
        storage: "ssd" or "hdd".
        disk_mb: size of the file system that holds the data directory, in MB.
        connections: max_connections.
        version: major version of PostgreSQL.
    """

    memory_mb: int
    cores: int
    storage: str
    disk_mb: int
    connections: int
    version: int


@dataclass(frozen=True)
class Formula:
    """One setting.

    Args:
        name: of the setting.
        text: the formula in words, for people.
        source: where it comes from.
        value: computes it; None leaves PostgreSQL's default.
    """

    name: str
    text: str
    source: str
    value: Callable[[Node], str | int | None]


def shared_buffers_mb(node: Node) -> int:
    return node.memory_mb // 4


def maintenance_work_mem_mb(node: Node) -> int:
    return max(32, min(node.memory_mb // 16, 2 * MB_PER_GB))


def autovacuum_work_mem_mb(node: Node) -> int:
    return max(16, min(node.memory_mb // 64, MB_PER_GB))


def work_mem_kb(node: Node) -> int:
    """What is left when everything else is served, for one hash (two work_mem) in every connection at once."""
    system = max(128, node.memory_mb // 10)
    left = (
        node.memory_mb
        - shared_buffers_mb(node)
        - maintenance_work_mem_mb(node)
        - AUTOVACUUM_WORKERS * autovacuum_work_mem_mb(node)
        - system
    )
    return max(64, min(left * 1024 // (2 * node.connections), 256 * 1024))


def _wal_mb(node: Node) -> int:
    return max(1 * MB_PER_GB, min(node.disk_mb // 20, 8 * MB_PER_GB))


FORMULAS: tuple[Formula, ...] = (
    Formula(
        "max_connections",
        f"pools with their reserves + {DIRECT_CONNECTIONS} direct + {SUPERUSER_RESERVED} superuser, "
        f"at least {LEAST_CONNECTIONS}",
        "sum of the declaration; the floor is PostgreSQL's default",
        lambda n: n.connections,
    ),
    Formula(
        "shared_buffers",
        "memory / 4",
        f"{_MANUAL} 20.4.1: 25% of memory is a reasonable starting value",
        lambda n: f"{shared_buffers_mb(n)}MB",
    ),
    Formula(
        "effective_cache_size",
        "memory x 3/4",
        "PostgreSQL wiki, Tuning Your PostgreSQL Server: 1/2 is conservative, 3/4 is still reasonable",
        lambda n: f"{n.memory_mb * 3 // 4}MB",
    ),
    Formula(
        "maintenance_work_mem",
        "memory / 16, 32 MB to 2 GB",
        "pgtune; index builds (HNSW above all) want it large",
        lambda n: f"{maintenance_work_mem_mb(n)}MB",
    ),
    Formula(
        "autovacuum_work_mem",
        "memory / 64, 16 MB to 1 GB",
        f"{_MANUAL} 20.4.1: set it apart, up to autovacuum_max_workers of it are in use at once",
        lambda n: f"{autovacuum_work_mem_mb(n)}MB",
    ),
    Formula(
        "work_mem",
        "(memory - shared_buffers - maintenance_work_mem - 3 x autovacuum_work_mem - memory / 10) "
        "/ (2 x max_connections), 64 kB to 256 MB",
        f"{_MANUAL} 20.4.1: a hash may use hash_mem_multiplier (2) times work_mem; one per connection always fits",
        lambda n: f"{work_mem_kb(n)}kB",
    ),
    Formula(
        "max_wal_size",
        "disk / 20, 1 GB to 8 GB",
        f"{_MANUAL} 30.5: checkpoints by time, not by volume, write fewer full pages",
        lambda n: f"{_wal_mb(n)}MB",
    ),
    Formula(
        "min_wal_size",
        "max_wal_size / 4",
        f"{_MANUAL} 20.5.2: recycled instead of removed, for spikes",
        lambda n: f"{_wal_mb(n) // 4}MB",
    ),
    Formula(
        "checkpoint_timeout",
        "15 min",
        f"{_MANUAL} 30.5: fewer full-page writes; recovery stays in minutes",
        lambda n: "15min",
    ),
    Formula(
        "wal_buffers",
        "16 MB",
        f"{_MANUAL} 20.5.1: the size of a WAL segment, what the automatic choice ends at",
        lambda n: "16MB",
    ),
    Formula(
        "random_page_cost",
        "ssd 1.1, hdd 4",
        f"{_MANUAL} 20.7.2: lower where random reads cost about as much as sequential ones",
        lambda n: "1.1" if n.storage == "ssd" else "4",
    ),
    Formula(
        "effective_io_concurrency",
        "ssd 200, hdd 2; PostgreSQL 18 keeps its own default",
        f"{_MANUAL} 20.4.6: SSDs process many requests at once",
        lambda n: None if n.version >= 18 else (200 if n.storage == "ssd" else 2),
    ),
    Formula(
        "max_worker_processes",
        "cores, at least 8",
        f"{_MANUAL} 20.4.6: the default, or a process per core",
        lambda n: max(8, n.cores),
    ),
    Formula(
        "max_parallel_workers",
        "cores",
        f"{_MANUAL} 20.4.6: more than cores cannot run",
        lambda n: n.cores,
    ),
    Formula(
        "max_parallel_workers_per_gather",
        "cores / 2, 1 to 4",
        "pgtune: a single query leaves cores to the others",
        lambda n: max(1, min(n.cores // 2, 4)),
    ),
    Formula(
        "max_parallel_maintenance_workers",
        "cores / 2, 1 to 4",
        "pgtune; HNSW builds use them",
        lambda n: max(1, min(n.cores // 2, 4)),
    ),
    Formula(
        "jit",
        "off",
        "short queries through a pooler pay for compilation and rarely earn it back",
        lambda n: "off",
    ),
    Formula(
        "log_lock_waits",
        "on",
        f"{_MANUAL} 20.8.3: names who waits for whom after deadlock_timeout",
        lambda n: "on",
    ),
)


def max_connections(asked: int, backend_demand: int) -> int:
    """max_connections: what was asked for, else what the pools and direct connections need, at least 100."""
    needed = backend_demand + DIRECT_CONNECTIONS + SUPERUSER_RESERVED
    return asked or max(LEAST_CONNECTIONS, needed)


def compute(node: Node) -> list[dict[str, Any]]:
    """Every computed setting with its formula: [{"name", "value", "text"}]."""
    computed = []
    for formula in FORMULAS:
        value = formula.value(node)
        if value is not None:
            computed.append({"name": formula.name, "value": str(value), "text": formula.text})
    return computed


def worst_case_mb(node: Node) -> int:
    """Memory that the computed settings can claim at once: what must stay below the node's.

    One hash of hash_mem_multiplier x work_mem in every connection, every autovacuum worker, one index build.
    """
    return (
        shared_buffers_mb(node)
        + maintenance_work_mem_mb(node)
        + AUTOVACUUM_WORKERS * autovacuum_work_mem_mb(node)
        + 2 * work_mem_kb(node) * node.connections // 1024
    )
