"""What the pooler's files and answers say."""

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import pooler
from ansible_collections.pgstead.platform.plugins.plugin_utils import model

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
        ("0777", "511", True),
        ("0777", "777", False),
    ],
)
def test_two_spellings_of_a_setting_are_compared_by_meaning(declared: str, running: str, equal: bool) -> None:
    assert pooler.same(declared, running) is equal


def test_settings_that_differ_or_are_unknown_are_named() -> None:
    config: dict[str, Any] = {"max_client_conn": {"value": "1000"}, "listen_addr": {"value": "127.0.0.1"}}
    assert pooler.differing({"max_client_conn": 1000, "listen_addr": "127.0.0.1"}, config) == []
    assert pooler.differing({"max_client_conn": 999, "nonsense": 1}, config) == ["max_client_conn", "nonsense"]


@pytest.mark.parametrize(
    "message",
    [
        "syntax error in configuration (/etc/pgbouncer/pgbouncer.ini:3), stopping loading",
        "unknown parameter: pgbouncer/pool_sise",
        'invalid value "x" for parameter server_lifetime in configuration (/etc/pgbouncer/pgbouncer.ini:30)',
        "could not open auth_file /etc/pgbouncer/userlist.txt: Permission denied",
        "hba line 3: unknown type",
        "@src/main.c:123 in function load_config(): cannot load config file",
        "2026-11-23 10:00:00.123 UTC [77] ERROR unknown parameter: pgbouncer/x",
    ],
)
def test_what_pgbouncer_says_of_its_configuration_counts(message: str) -> None:
    assert pooler.is_complaint(message)


@pytest.mark.parametrize(
    "message",
    [
        "TLS handshake error: handshake failed: error:0A00009C:SSL routines::http request",
        "C-0x55: shop/app@10.0.0.9:4711 pooler error: no such user",
        "C-0x55: x\nsyntax error in configuration/x@10.0.0.9:1 pooler error: SSL required",
        "stats: 0 xacts/s, 0 queries/s",
        "RELOAD command issued",
    ],
)
def test_what_a_client_can_cause_does_not_count(message: str) -> None:
    assert not pooler.is_complaint(message)


def test_names_of_the_ini_file_are_those_of_one_section() -> None:
    ini = "[databases]\nshop = host=/run\n\n[pgbouncer]\nlisten_port = 6432\n;auth_type = trust\n\n[users]\na = 1\n"
    assert pooler.ini_names(ini) == {"listen_port"}
    assert pooler.ini_names(ini, "users") == {"a"}
    assert pooler.ini_names("[pgbouncer]\nlisten_port = 6432\n", "users") == set()


def test_what_no_file_sets_any_more_is_left_over_until_it_has_its_default() -> None:
    config: dict[str, Any] = {
        "server_lifetime": {"key": "server_lifetime", "value": "60", "default": "3600"},
        "unix_socket_mode": {"key": "unix_socket_mode", "value": "511", "default": "0777"},
        "listen_port": {"key": "listen_port", "value": "6433", "default": "6432"},
        "conffile": {"key": "conffile", "value": "/etc/x", "default": ""},
    }
    assert [row["key"] for row in pooler.left_over({"listen_port"}, config)] == ["server_lifetime"]


def test_pooled_logins_are_pairs_of_role_and_database() -> None:
    roles = [{"name": "app"}, {"name": "mig", "kind": "migrator"}, {"name": "group", "login": False}]
    databases = [{"name": "shop", "roles": roles}, {"name": "depot"}]
    everywhere = [{"name": "operator", "endpoints": ["pooled"]}]
    found = pooler.pooled_logins(model.expand(databases, everywhere))
    assert found == {("app", "shop"), ("operator", "shop"), ("operator", "depot")}
