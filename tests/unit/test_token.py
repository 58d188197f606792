"""Tenant tokens: what the server computes with its two blocks is what the signer's library computes."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pgstead.platform.plugins.module_utils import token


@given(st.text(min_size=1), st.text())
def test_the_blocks_make_the_same_hmac(key: str, content: str) -> None:
    inner, outer = token.blocks(key)
    made = hashlib.sha256(outer + hashlib.sha256(inner + content.encode()).digest()).hexdigest()
    assert made == hmac.new(key.encode(), content.encode(), "sha256").hexdigest()
    signed, signature = token.sign_with((inner, outer), content, 60).rsplit(".", 1)
    assert signature == hmac.new(key.encode(), signed.encode(), "sha256").hexdigest()


@pytest.mark.parametrize(
    ("secrets", "keys"),
    [
        ({"k": "new"}, ["new"]),
        ({"k": "new", "k_previous": "old", "other": "x"}, ["new", "old"]),
        ({"k": "new", "k_previous": ""}, ["new"]),
    ],
)
def test_the_previous_key_counts_where_it_is_there(secrets: dict[str, str], keys: list[str]) -> None:
    assert token.keys("k", secrets) == keys


def test_to_compare_keys_none_of_them_is_needed() -> None:
    inner, outer = token.blocks("k")
    whole = {"digest": token.digest((inner, outer)), "inner": inner.hex(), "outer": outer.hex()}
    assert token.kept("k", whole=True) == whole
    assert token.kept("k", whole=False) == {"digest": whole["digest"]}
    assert token.kept("l", whole=False) != {"digest": whole["digest"]}
