"""SQL files as statements by name."""

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
