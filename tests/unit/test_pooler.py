"""What the pooler's files and answers say."""

from typing import Any

import pytest

from pgstead_platform import pooler

USERLIST = '''\
;; Ansible managed: "not" "a user"
"stats" "SCRAM-SHA-256$4096:c2FsdA==$a:b"
"odd ""name""" "plain"
  "indented" "x"
"unfinished" "y
'''


def test_users_of_an_auth_file_are_read_with_their_verifiers() -> None:
    assert pooler.userlist(USERLIST) == {"stats": "SCRAM-SHA-256$4096:c2FsdA==$a:b", 'odd "name"': "plain"}
    assert pooler.userlist("") == {}


@pytest.mark.parametrize(
    ("declared", "running", "equal"),
    [
        ("transaction", "transaction", True),
        ("127.0.0.1, 10.0.0.5", "127.0.0.1,10.0.0.5", True),
        (" 1000", "1000 ", True),
        ("1000", "100", False),
        ("10.0.0.5,127.0.0.1", "127.0.0.1,10.0.0.5", False),
        ("a b", "ab", False),
    ],
)
def test_two_spellings_of_a_setting_are_compared_by_meaning(declared: str, running: str, equal: bool) -> None:
    assert pooler.same(declared, running) is equal


def test_settings_that_differ_or_are_unknown_are_named() -> None:
    config: dict[str, Any] = {"max_client_conn": {"value": "1000"}, "listen_addr": {"value": "127.0.0.1"}}
    assert pooler.differing({"max_client_conn": 1000, "listen_addr": "127.0.0.1"}, config) == []
    assert pooler.differing({"max_client_conn": 999, "nonsense": 1}, config) == ["max_client_conn", "nonsense"]
