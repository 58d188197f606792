"""Computed settings: they fit the node, whatever the node is."""

import re
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.plugin_utils import tuning

GB = 1024


def node(memory_mb: int = 4 * GB, **other: Any) -> tuning.Node:
    values = {"cores": 4, "storage": "ssd", "disk_mb": 100 * GB, "connections": 100, "version": 16}
    return tuning.Node(memory_mb=memory_mb, **values | other)


def values(of: tuning.Node) -> dict[str, str]:
    return {item["name"]: item["value"] for item in tuning.compute(of)}


def mb(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(kB|MB)", text).groups()  # type: ignore[union-attr]
    return int(number) / (1024 if unit == "kB" else 1)


MEMORIES = [512 * 2**n for n in range(11)]


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("share", [0.02, 0.1, 0.25])
def test_the_worst_case_fits_into_memory(memory: int, share: float) -> None:
    asked = node(memory, connections=max(100, int(memory * share)))
    assert tuning.worst_case_mb(asked) < memory
    found = values(asked)
    assert mb(found["shared_buffers"]) < mb(found["effective_cache_size"]) < memory


@pytest.mark.parametrize(("memory", "connections"), [(512, 200), (1024, 500), (2048, 1000)])
def test_one_hash_in_every_connection_fits_where_connections_are_many(memory: int, connections: int) -> None:
    assert tuning.worst_case_mb(node(memory, connections=connections)) < memory


def test_what_the_worst_case_counts_is_what_is_set() -> None:
    found = values(node(connections=200))
    counted = mb(found["shared_buffers"]) + mb(found["maintenance_work_mem"]) + 3 * mb(found["autovacuum_work_mem"])
    assert tuning.worst_case_mb(node(connections=200)) == int(counted + 2 * 200 * mb(found["work_mem"]))


@pytest.mark.parametrize("name", ["shared_buffers", "effective_cache_size", "maintenance_work_mem", "work_mem"])
def test_more_memory_never_gives_less(name: str) -> None:
    given = [mb(values(node(memory))[name]) for memory in MEMORIES]
    assert given == sorted(given)
    assert given[0] < given[-1]


def test_more_connections_never_get_more_each() -> None:
    given = [mb(values(node(connections=n))["work_mem"]) for n in (10, 100, 1000, 10_000)]
    assert given == sorted(given, reverse=True)
    assert given[0] > given[-1] >= 64 / 1024  # what PostgreSQL takes at least


@pytest.mark.parametrize(
    ("asked", "name", "value"),
    [
        (node(4 * GB), "shared_buffers", "1024MB"),
        (node(4 * GB), "effective_cache_size", "3072MB"),
        (node(4 * GB), "work_mem", "11340kB"),
        (node(512), "maintenance_work_mem", "32MB"),
        (node(512 * GB), "maintenance_work_mem", "2048MB"),
        (node(512 * GB, connections=100), "work_mem", "262144kB"),
        (node(connections=321), "max_connections", "321"),
        (node(disk_mb=10 * GB), "max_wal_size", "1024MB"),
        (node(disk_mb=1000 * GB), "max_wal_size", "8192MB"),
        (node(disk_mb=1000 * GB), "min_wal_size", "2048MB"),
        (node(storage="ssd"), "random_page_cost", "1.1"),
        (node(storage="hdd"), "random_page_cost", "4"),
        (node(storage="hdd"), "effective_io_concurrency", "2"),
        (node(version=17), "effective_io_concurrency", "200"),
        (node(version=18), "effective_io_concurrency", None),
        (node(cores=1), "max_parallel_workers_per_gather", "1"),
        (node(cores=64), "max_parallel_workers_per_gather", "4"),
        (node(cores=1), "max_worker_processes", "8"),
        (node(cores=64), "max_worker_processes", "64"),
    ],
)
def test_a_setting_follows_its_formula(asked: tuning.Node, name: str, value: str | None) -> None:
    assert values(asked).get(name) == value


@pytest.mark.parametrize("formula", tuning.FORMULAS, ids=lambda formula: formula.name)
def test_every_formula_says_what_it_is_and_where_it_comes_from(formula: tuning.Formula) -> None:
    assert formula.text.strip()
    assert formula.source.strip()
    assert [item["text"] for item in tuning.compute(node()) if item["name"] == formula.name] == [formula.text]


@pytest.mark.parametrize(("asked", "demand", "expected"), [(0, 0, 100), (0, 77, 100), (0, 78, 101), (60, 500, 60)])
def test_connections_are_what_is_asked_for_or_what_pools_need(asked: int, demand: int, expected: int) -> None:
    assert tuning.max_connections(asked, demand) == expected
