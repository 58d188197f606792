"""The pages about clients show the programs that tests/clients runs, to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import HOME

CLIENTS = HOME / "tests" / "clients"
PAGES = [*sorted((HOME / "docs" / "how-to").glob("connect-*.md")), HOME / "docs" / "how-to" / "tenant-tokens.md"]
REGION = re.compile(r"^(?://|#) docs: begin\n(.*?)^(?://|#) docs: end$", re.M | re.S)


def shown(page: Path) -> list[str]:
    """The programs that a page links to, in its order."""
    return re.findall(r"^From \[[^]]+\]\(\.\./\.\./(tests/clients/[^)]+)\):$", page.read_text(), re.M)


def regions(path: Path) -> list[str]:
    return [found.strip() for found in REGION.findall(path.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_code_is_that_of_the_programs_it_names(page: Path) -> None:
    blocks = re.findall(r"^```(?:js|python)\n(.*?)^```$", page.read_text(), re.M | re.S)
    assert [block.strip() for block in blocks] == [text for name in shown(page) for text in regions(HOME / name)]


def test_every_program_has_its_page() -> None:
    sources = [path for path in CLIENTS.glob("*/*.*") if path.suffix in (".mjs", ".js", ".py") and regions(path)]
    named = [name for page in PAGES for name in shown(page)]
    assert sorted(named) == sorted(str(path.relative_to(HOME)) for path in sources)
