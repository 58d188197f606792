"""Which index fits a column of vectors."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import vectors


def index(method: str = "hnsw", **other: Any) -> dict[str, Any]:
    usual = {
        "namespace": "public", "name": "mine", "opclass": "vector_cosine_ops",
        "expression": False, "partial": False, "valid": True, "building": False,
    }  # fmt: skip
    return usual | {"method": method} | other


def column(largest: int = 0, *indexes: dict[str, Any], led: bool = True, **other: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "namespace": "public", "table": "notes", "column": "embedding", "type": "vector", "dimensions": 1536,
        "tenant": "shop", "partitioned": False, "extension": "public", "rows": largest, "largest": largest,
        "parts": [{"namespace": "public", "table": "notes", "led": led, "indexes": list(indexes)}],
    }  # fmt: skip
    return usual | other


def steps(advice: dict[str, Any]) -> list[str]:
    return [" ".join([step["sql"], step["names"].get("index", "")]).strip() for step in advice["steps"]]


HNSW = "pgstead_notes_embedding_hnsw_cosine"


@pytest.mark.parametrize(
    ("found", "fits", "todo"),
    [
        (column(0), "exact", []),
        (column(2499), "exact", []),
        (column(2500), "hnsw", [f"hnsw {HNSW}", "analyze"]),
        (column(10, led=False), "exact", ["btree pgstead_notes_shop_btree", "analyze"]),
        (column(9000, led=False), "hnsw", [f"hnsw {HNSW}", "btree pgstead_notes_shop_btree", "analyze"]),
        (column(9000, led=False, tenant=""), "hnsw", [f"hnsw {HNSW}", "analyze"]),
        (column(9000, index()), "hnsw", []),
        (column(9000, index(opclass="vector_l2_ops")), "hnsw", []),
        (column(9000, index(partial=True)), "hnsw", [f"hnsw {HNSW}", "analyze"]),
        (column(9000, index("ivfflat")), "hnsw", [f"hnsw {HNSW}", "analyze"]),
        (
            column(9000, index("ivfflat", opclass="vector_l2_ops")),
            "hnsw",
            ["hnsw pgstead_notes_embedding_hnsw_l2", "analyze"],
        ),
        (column(9000, index(name=HNSW, valid=False)), "hnsw", [f"drop {HNSW}", f"hnsw {HNSW}", "analyze"]),
        (column(10, index(name=HNSW, valid=False)), "exact", [f"drop {HNSW}"]),
        (column(9000, index(name=HNSW, valid=False, building=True)), "hnsw", []),
        (column(9000, dimensions=0), "hnsw", []),
        (column(9000, dimensions=2001), "hnsw", []),
        (column(9000, dimensions=2001, type="halfvec"), "hnsw", [f"hnsw {HNSW}", "analyze"]),
    ],
)
def test_what_fits_and_what_is_to_do(found: dict[str, Any], fits: str, todo: list[str]) -> None:
    advice = vectors.advise(found)
    assert (advice["fits"], steps(advice)) == (fits, todo)


def test_a_valid_index_is_never_dropped() -> None:
    for largest in (0, 9000):
        for method in ("hnsw", "ivfflat"):
            advice = vectors.advise(column(largest, index(method, name=HNSW)), opclass="vector_l2_ops")
            assert [step for step in steps(advice) if step.startswith("drop")] == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (column(0, index("ivfflat")), 'mine is ivfflat: built on an empty table'),
        (column(0, index("ivfflat")), 'to drop it: DROP INDEX CONCURRENTLY "public"."mine"'),
        (column(0, index()), "mine is not needed yet"),
        (column(9000, index(expression=True)), "only queries that write it so use it"),
        (column(9000, index(valid=False)), 'invalid, which a broken-off build left; to drop it: DROP INDEX'),
        (column(9000, index(name=HNSW, valid=False, building=True)), f"{HNSW} is being built at this moment"),
        (column(9000, dimensions=0), "public.notes.embedding has no dimensions and cannot be indexed"),
        (column(9000, dimensions=3072), "has 3072 dimensions, an index on vector takes 2000: a column of halfvec"),
        (column(9000, partitioned=True), "a new partition has no HNSW index until the next run"),
    ],
)  # fmt: skip
def test_what_people_must_know_is_said(found: dict[str, Any], said: str) -> None:
    assert any(said in note for note in vectors.advise(found)["notes"]), vectors.advise(found)["notes"]


def test_nothing_is_said_of_what_is_as_it_should_be() -> None:
    assert vectors.advise(column(10))["notes"] == vectors.advise(column(9000, index()))["notes"] == []


@pytest.mark.parametrize(
    ("kind", "opclass", "made"),
    [
        ("vector", "", "vector_cosine_ops"),
        ("halfvec", "", "halfvec_cosine_ops"),
        ("vector", "vector_ip_ops", "vector_ip_ops"),
        ("halfvec", "vector_ip_ops", "halfvec_ip_ops"),
    ],
)
def test_the_operator_class_is_that_of_the_columns_type(kind: str, opclass: str, made: str) -> None:
    advice = vectors.advise(column(9000, type=kind), opclass=opclass)
    assert advice["steps"][0]["names"]["opclass"] == made
    there = vectors.advise(column(9000, index(opclass=made), type=kind), opclass=opclass)
    assert there["steps"] == []


def test_another_operator_class_than_the_index_has_is_another_index() -> None:
    advice = vectors.advise(column(9000, index()), opclass="vector_l2_ops")
    assert steps(advice) == ["hnsw pgstead_notes_embedding_hnsw_l2", "analyze"]


def test_every_partition_gets_its_own_by_the_size_of_the_whole() -> None:
    found = column(9000, partitioned=True)
    found["parts"] = [found["parts"][0] | {"table": f"notes_{i}"} for i in (1, 2)]
    assert steps(vectors.advise(found)) == [
        "hnsw pgstead_notes_1_embedding_hnsw_cosine",
        "hnsw pgstead_notes_2_embedding_hnsw_cosine",
        "analyze",
    ]


def test_the_threshold_is_the_users() -> None:
    assert vectors.advise(column(10), threshold=10)["fits"] == "hnsw"
    assert vectors.advise(column(9000), threshold=9001)["fits"] == "exact"


def test_a_name_is_always_the_same_fits_and_is_no_other_ones() -> None:
    long = ["t" * 60, "e" * 60, "hnsw", "cosine"]
    assert vectors.index_name(*long) == vectors.index_name(*long)
    assert vectors.index_name(*long) != vectors.index_name(*long[:-1], "l2")
    for name in (vectors.index_name(*long), vectors.index_name("ü" * 60, "e")):
        assert len(name.encode()) <= 63


def test_roles_whose_scans_end_too_early_are_named() -> None:
    settings = [
        {"role": role, "name": "hnsw.iterative_scan", "value": value}
        for role, value in (("app", "relaxed_order"), ("old", "off"), ("bare", None))
    ]
    (note,) = vectors.role_notes("shop", settings)
    assert note.startswith("shop: hnsw.iterative_scan is off for old, bare: pgstead deploy")
    assert vectors.role_notes("shop", settings[:1]) == []
