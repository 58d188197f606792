"""What an APT repository offers, in every form its index may have."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import source

INDEX = """\
Package: postgresql-16
Version: 16.14-1.pgdg13+1

Package: postgresql-16
Version: 16.13-1.pgdg13+1

Package: postgresql-16
Version: 16.14-1.pgdg13+1

Package: postgresql-16-pgvector
Version: 0.8.0-1

Package: postgresql-common
Version: 281

Package: pgbadger
Version: 13.1-1

Package: pgbouncer
Version: 1.26.1-1
"""
OFFERED = {
    "postgresql-16": ["16.14-1.pgdg13+1", "16.13-1.pgdg13+1"],
    "postgresql-16-pgvector": ["0.8.0-1"],
    "pgbouncer": ["1.26.1-1"],
}


@pytest.fixture
def repository(tmp_path: Path, program: Any) -> Callable[..., dict[str, Any]]:
    """repository(main={".gz": bytes}): what such a repository offers."""
    program("apt-config")

    def ask(others: tuple[str, ...] = (), **components: dict[str, bytes]) -> dict[str, Any]:
        for component, indexes in components.items():
            folder = tmp_path / "repo/dists/trixie-pgdg" / component / "binary-amd64"
            folder.mkdir(parents=True)
            for ending, content in indexes.items():
                (folder / f"Packages{ending}").write_bytes(content)
        return source.offered(f"file://{tmp_path}/repo/", "trixie-pgdg", list(components), "amd64", others)

    return ask


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), ("", bytes)], ids=["gz", "xz", "plain"]
)
def test_an_index_is_read_in_every_form(repository: Any, ending: str, pack: Callable[[bytes], bytes]) -> None:
    assert repository(main={ending: pack(INDEX.encode())}) == {"packages": OFFERED, "error": ""}


def test_any_package_may_be_asked_for_and_is_told_only_where_it_is_there(repository: Any, program: Any) -> None:
    found = repository(others=("pgbadger", "pgbagder", "postgresql-16"), main={"": INDEX.encode()})
    assert found["packages"] == OFFERED | {"pgbadger": ["13.1-1"]}
    program("apt-cache", INDEX)
    assert source.known_to_apt(["pgbadger", "pgbagder"]) == OFFERED | {"pgbadger": ["13.1-1"]}


def test_components_are_read_together(repository: Any) -> None:
    other = b"Package: postgresql-17\nVersion: 17.5-1\n"
    found = repository(main={"": INDEX.encode()}, extra={".gz": gzip.compress(other)})
    assert found["packages"] == OFFERED | {"postgresql-17": ["17.5-1"]}


BROKEN = {
    "no index": {},
    "another page under its name": {".gz": b"<html>log in first</html>"},
    "a cut gz": {".gz": gzip.compress(INDEX.encode())[:-20]},
    "another page instead of xz": {".xz": b"<html>log in first</html>"},
    "a cut xz": {".xz": lzma.compress(INDEX.encode())[:-20]},
    "no text": {"": b"Package: \xff\xfe"},
}


@pytest.mark.parametrize("indexes", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_an_error_that_names_the_address(repository: Any, indexes: dict[str, bytes]) -> None:
    found = repository(main=indexes)
    assert found["packages"] == {}
    assert "repo/dists/trixie-pgdg/main/binary-amd64/Packages" in found["error"]
    assert "cannot be read: " in found["error"]


def test_one_component_missing_is_an_error_too(repository: Any) -> None:
    assert "/extra/" in repository(main={"": INDEX.encode()}, extra={})["error"]


def test_apt_s_own_lists_say_the_same(program: Any) -> None:
    program("apt-cache", INDEX)
    assert source.known_to_apt() == OFFERED
    program("apt-cache", "")
    assert source.known_to_apt() == {}
