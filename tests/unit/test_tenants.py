"""Which database and which columns are meant, and what a new tenant lacks."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import tenants
from ansible_collections.pgstead.platform.plugins.module_utils.tenants import RefusedError


def databases(**isolated: bool) -> list[dict[str, Any]]:
    return [{"name": name, "tenancy": {"table": "t"} if has else None} for name, has in isolated.items()]


def test_tokens_are_for_the_database_that_takes_them() -> None:
    three = [*databases(shop=True, logs=False, signed=True)]
    for entry in three[::2]:
        entry["tenancy"]["token"] = "k" if entry["name"] == "signed" else ""
    assert tenants.choose_signed(three, "")["name"] == tenants.choose_signed(three, "signed")["name"] == "signed"
    for name, said in (("shop", "takes a tenant's id, no token"), ("logs", "has no tenancy")):
        with pytest.raises(RefusedError, match=said):
            tenants.choose_signed(three, name)


def columns(*names: str, needed: str = "") -> list[dict[str, Any]]:
    return [{"name": name, "type": "text", "needed": name in needed.split()} for name in names]


def test_the_only_database_with_tenants_needs_no_name() -> None:
    assert tenants.choose(databases(shop=True, logs=False), "")["name"] == "shop"
    assert tenants.choose(databases(shop=True, other=True), "other")["name"] == "other"


@pytest.mark.parametrize(
    ("declared", "name", "said", "hint"),
    [
        ({"shop": True, "other": True}, "", "several databases have tenants", "--database: shop, other"),
        ({"shop": True, "logs": False}, "logs", "database logs has no tenancy", "those with tenants: shop"),
        ({"shop": True}, "shpo", "database shpo is not declared", "those with tenants: shop"),
        ({"logs": False}, "", "no database declares tenancy", "databases[].tenancy in platform.yml"),
    ],
)
def test_another_one_is_refused_and_those_that_fit_are_named(
    declared: dict[str, bool], name: str, said: str, hint: str
) -> None:
    with pytest.raises(RefusedError, match=said) as raised:
        tenants.choose(databases(**declared), name)
    assert hint in raised.value.hint


def test_a_list_has_the_key_then_names_then_what_fits_and_no_secret() -> None:
    found = columns("id", "city", "api_key", "name", "stripe_secret", "zone", "phone", "display_title")
    found.append({"name": "logo", "type": "bytea", "needed": False})
    assert tenants.few(found, "id") == ["id", "name", "display_title", "city", "zone", "phone"]
    assert tenants.order(found, "id") == "name"
    assert tenants.order(columns("id", "city"), "id") == "id"


COLUMNS = columns("id", "name", "city", "zone", needed="name zone")


def test_a_new_row_has_what_is_given_and_no_more() -> None:
    given = {"name": "North", "zone": "UTC"}
    assert tenants.new_row(COLUMNS, "id", given, "") == given
    assert tenants.new_row(COLUMNS, "id", given, "7") == {"id": "7"} | given


@pytest.mark.parametrize(
    ("given", "key", "said", "hint"),
    [
        ({"nmae": "x"}, "", "no column nmae", "did you mean name? known columns: id, name, city, zone"),
        ({"qqqqq": "x"}, "", "no column qqqqq", "known columns: id, name, city, zone"),
        ({}, "", "needs a value for name, zone", "add --set name=VALUE --set zone=VALUE"),
        ({"name": None, "zone": "x"}, "", "needs a value for name", "--set name=VALUE"),
        ({"id": "1", "name": "x", "zone": "x"}, "2", "the key is given twice", "leave one out"),
    ],
)
def test_a_row_that_cannot_be_is_refused(given: dict[str, Any], key: str, said: str, hint: str) -> None:
    with pytest.raises(RefusedError, match=said) as raised:
        tenants.new_row(COLUMNS, "id", given, key)
    assert raised.value.hint.startswith(hint) or hint in raised.value.hint


def test_a_key_that_the_table_does_not_make_is_asked_for() -> None:
    with pytest.raises(RefusedError) as raised:
        tenants.new_row(columns("id", needed="id"), "id", {}, "")
    assert raised.value.hint == "add --key KEY"
