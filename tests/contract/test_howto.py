"""Pages show the programs and playbooks that tests run, to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import HOME

CLIENTS = HOME / "tests" / "clients"
PLAYBOOKS = HOME / "tests" / "own_repo" / "repository"
ROOM = PLAYBOOKS / "roles" / "audit"
PAGES = [
    *sorted((HOME / "docs" / "how-to").glob("connect-*.md")),
    *(HOME / "docs" / "how-to" / name for name in ("tenant-tokens.md", "roles.md", "add-a-room.md")),
]
REGION = re.compile(r"^(?://|#) docs: begin\n(.*?)^(?://|#) docs: end$", re.M | re.S)


def shown(page: Path) -> list[str]:
    """The programs that a page links to, in its order."""
    return re.findall(r"^From \[[^]]+\]\(\.\./\.\./(tests/(?:clients|own_repo)/[^)]+)\):$", page.read_text(), re.M)


def regions(path: Path) -> list[str]:
    """What is between the marks; of a role that has a page for itself each file as a whole."""
    text = path.read_text()
    return [found.strip() for found in ([text.removeprefix("---\n")] if ROOM in path.parents else REGION.findall(text))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_code_is_that_of_the_programs_it_names(page: Path) -> None:
    languages = "yaml|sql" if page.stem in ("roles", "add-a-room") else "js|python"
    blocks = re.findall(rf"^```(?:{languages})\n(.*?)^```$", page.read_text(), re.M | re.S)
    assert [block.strip() for block in blocks] == [text for name in shown(page) for text in regions(HOME / name)]


def test_every_program_has_its_page() -> None:
    sources = [path for path in CLIENTS.glob("*/*.*") if path.suffix in (".mjs", ".js", ".py") and regions(path)]
    sources += [*PLAYBOOKS.glob("*.yml"), *PLAYBOOKS.glob("playbooks/*.yml"), *ROOM.rglob("*.*")]
    named = [name for page in PAGES for name in shown(page)]
    assert sorted(named) == sorted(str(path.relative_to(HOME)) for path in sources)


def test_a_foreign_server_is_told_the_lines_that_the_readme_names() -> None:
    """In tests/own_repo they are what lets the pooler in."""
    alone = (HOME / "roles/pgbouncer/README.md").read_text().partition("## Alone")[2]
    lines = [line for line in re.findall(r"^```\n(.*?)^```$", alone, re.M | re.S)[0].splitlines() if line[:1] != "#"]
    told = (PLAYBOOKS / "pooler.yml").read_text()
    assert len(lines) == 3
    assert [line for line in lines if f"            {line}\n" not in told] == []
