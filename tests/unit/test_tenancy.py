"""Names in the SQL of tenant isolation, and what is said of a database that cannot be isolated yet."""

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import tenancy
from ansible_collections.pgstead.platform.plugins.plugin_utils import model

TENANCY = {"table": "shops", "column": "shop_id"}
DATABASE = model.expand([{"name": "d", "tenancy": TENANCY}], [])["databases"][0]


def table(name: str, **state: Any) -> dict[str, Any]:
    return {"name": f"public.{name}", "column": "shop_id", "type": "uuid", "fits": True} | state


def test_names_are_quoted_where_they_stand() -> None:
    sql = """CREATE FUNCTION :"schema".f() AS $$ SELECT x::text, :'setting', ':odd', a[1:2], CAST(y AS :"type") $$"""
    values = {"schema": 'a"b', "setting": "it's", "type": "int8"}
    assert tenancy.render(sql, values) == (
        """CREATE FUNCTION "a""b".f() AS $$ SELECT x::text, 'it''s', ':odd', a[1:2], CAST(y AS "int8") $$"""
    )


def test_a_name_without_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        tenancy.render(':"nobody"', {})


def test_types_are_the_catalogs() -> None:
    bigint = model.expand([{"name": "d", "tenancy": TENANCY | {"type": "bigint"}}], [])["databases"][0]
    assert tenancy.names(bigint)["type"] == "int8"
    assert tenancy.names(bigint)["owner"] == "d_owner"


def test_the_guards_role_has_a_name_of_its_own_for_each_database() -> None:
    assert tenancy.guard_role("shop") == "pgstead_guard_shop"
    long = [tenancy.guard_role("x" * 62 + end) for end in "ab"]
    assert len(set(long)) == 2
    assert max(map(len, long)) <= 63  # PostgreSQL would cut off the rest


def test_a_table_may_be_in_another_schema() -> None:
    other = model.expand([{"name": "d", "tenancy": TENANCY | {"table": "crm.shops"}}], [])["databases"][0]
    assert (other["tenancy"]["namespace"], other["tenancy"]["table"]) == ("crm", "shops")


def test_shared_tables_are_named_with_their_schema_and_isolated_ones_are_none_of_them() -> None:
    shared = TENANCY | {"shared": ["makes", 'crm."x"']}
    (database,) = model.expand([{"name": "d", "tenancy": shared}], [])["databases"]
    assert tenancy.names(database)["shared"] == r'{"public.makes","crm.\"x\""}'
    assert tenancy.obstacles(database, [table("shops"), table("makes")], [], {}) == [
        "databases[d].tenancy.shared: public.makes has the tenant column shop_id and is isolated; take it out"
    ]


OBSTACLES: dict[str, tuple[list[dict[str, Any]], list[str], dict[str, int], str]] = {
    "a table that is not there": (
        [table("goods"), table("orders")], ["public.shop"], {},
        "databases[d].tenancy.table: there is no table public.shops, but public.goods, public.orders have the column "
        "shop_id; did you mean shop?",
    ),
    "a key that is not there": (
        [table("goods")], ["public.shops"], {},
        "databases[d].tenancy.key: table public.shops has no column id; write the name of its primary key",
    ),
    "another type": (
        [table("shops"), table("goods", type="text", fits=False)], [], {},
        "databases[d].tenancy.type: column shop_id of public.goods is text, declared is uuid; "
        "write its type, or change the column's",
    ),
    "rows of nobody": (
        [table("shops"), table("goods")], [], {"public.goods": 3},
        "databases[d].tenancy.column: 3 rows of public.goods have no shop_id; say whose they are, or delete them",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tables", "others", "nulls", "said"), OBSTACLES.values(), ids=OBSTACLES)
def test_an_obstacle_is_told_with_the_way_out(
    tables: list[dict[str, Any]], others: list[str], nulls: dict[str, int], said: str
) -> None:
    assert tenancy.obstacles(DATABASE, tables, others, nulls) == [said]


def test_nothing_is_in_the_way_of_a_database_that_is_right_or_empty() -> None:
    assert (
        tenancy.obstacles(DATABASE, [table("shops"), table("goods")], ["public.countries"], {"public.goods": 0}) == []
    )
    assert tenancy.obstacles(DATABASE, [], [], {}) == []
