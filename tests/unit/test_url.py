"""The .env lines: masked unless asked for."""

from pathlib import Path
from typing import Any

import pytest

from pgstead import runner
from pgstead.cli.url import masked
from pgstead.errors import Exit

LINE = "DATABASE_URL=postgresql://app:p%40ss@db1:6432/shop?sslmode=require"
MASKED = "DATABASE_URL=postgresql://app:***@db1:6432/shop?sslmode=require"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (LINE, MASKED),
        (MASKED, MASKED),
        ("export X='postgresql://a:b:c@h/d'", "export X='postgresql://a:***@h/d'"),
        ('TENANT_TOKEN_KEY="abc"', 'TENANT_TOKEN_KEY="***"'),
        ("# a comment = b", "# a comment = b"),
        ("", ""),
    ],
)
def test_a_password_is_masked_and_nothing_else(line: str, shown: str) -> None:
    assert masked(line) == shown


@pytest.fixture
def _playbook(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for playbooks/url.yml, which writes the file it is given."""

    def write(_: str, __: Path, extra: list[str], **___: Any) -> runner.Outcome:
        (target,) = [pair.removeprefix("url_file=") for pair in extra if pair.startswith("url_file=")]
        Path(target).write_text(LINE + "\n")
        return runner.Outcome()

    monkeypatch.setattr(runner, "run", write)


@pytest.mark.usefixtures("_playbook")
def test_passwords_are_printed_only_with_show(run: Any) -> None:
    assert run("url", "-i", "single")[:2] == (Exit.OK, MASKED + "\n")
    assert run("url", "-i", "single", "--show")[:2] == (Exit.OK, LINE + "\n")


@pytest.mark.usefixtures("_playbook")
def test_a_written_file_is_not_printed(run: Any, tmp_path: Path) -> None:
    code, out, err = run("url", "-i", "single", "--write", ".env")
    assert (code, out) == (Exit.OK, "")
    assert "p%40ss" not in err
    assert (tmp_path / ".env").read_text() == LINE + "\n"
