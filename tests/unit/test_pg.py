"""SQL files as statements by name; where a server is."""

from pathlib import Path

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import pg

SQL = """\
-- About the file; belongs to no statement.

-- name: roles
SELECT 1
-- a comment inside
FROM x;

-- name: empty
-- name:last
"""


def test_statements_are_found_by_their_names() -> None:
    found = pg.blocks(SQL)
    assert found["roles"] == "SELECT 1\n-- a comment inside\nFROM x;\n\n"
    assert found["empty"] == "-- name:last\n"
    assert list(found) == ["roles", "empty"]


def test_text_without_names_has_no_statements() -> None:
    assert pg.blocks("SELECT 1;\n") == pg.blocks("") == {}


def test_a_server_is_at_its_socket_and_absent_where_it_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"port": 5433, "socket": str(tmp_path), "managed": None}
    assert pg.place(own) == {"host": str(tmp_path), "port": 5433}
    assert pg.is_absent(own)
    (tmp_path / ".s.PGSQL.5433").touch()
    assert not pg.is_absent(own)
    monkeypatch.setattr(pg, "psycopg2", None)
    assert pg.is_absent(own)


def test_a_managed_server_is_where_its_admin_is_sent(tmp_path: Path) -> None:
    admin = {
        "host": "db.example.com",
        "port": 5434,
        "user": "a",
        "password": "x",
        "sslmode": "require",
        "sslrootcert": None,
    }
    server = {"port": 5433, "socket": str(tmp_path), "managed": admin}
    assert pg.place(server) == {"host": "db.example.com", "port": 5434, "sslmode": "require"}
    assert not pg.is_absent(server)
