"""`pgstead url`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from pgstead import runner
from pgstead.cli import playbook
from pgstead.command import console
from pgstead.errors import Exit


@click.command()
@playbook.options
@click.option("--database", metavar="NAME", help="Of this database alone.")
@click.option("--role", metavar="NAME", help="Of this role alone.")
@click.option("--show", is_flag=True, help="Print passwords; without it they are masked.")
@click.option(
    "--write",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the lines into this .env file: other lines stay, the old file is kept beside it.",
)
def url(
    where: Path,
    extra: list[str],
    vault_password_file: Path | None,
    database: str | None,
    role: str | None,
    show: bool,
    write: Path | None,
) -> None:
    """The .env lines your app pastes: DATABASE_URL and DIRECT_DATABASE_URL.

    DATABASE_URL goes through the pooler, for the app; DIRECT_DATABASE_URL to the server, for migrations;
    TENANT_TOKEN_KEY signs tenant tokens where the database asks for them.
    """
    extra += ["-e", f"url_database={database}"] if database else []
    extra += ["-e", f"url_role={role}"] if role else []
    with tempfile.TemporaryDirectory(prefix="pgstead-") as scratch:
        target = write.resolve() if write else Path(scratch) / "env"
        outcome = runner.run(
            "url", where, [*extra, "-e", f"url_file={target}"], vault_password_file=vault_password_file, quiet=True
        )
        text = target.read_text() if target.exists() else ""
    if outcome.exit_code is Exit.OK and write:
        console.print(f"written: {write} (mode 0600)")
    elif outcome.exit_code is Exit.OK:
        for line in text.splitlines():
            click.echo(line if show else masked(line))
        if not show:
            console.print("passwords are masked; --show prints them, --write .env writes them", style="dim")
    else:
        playbook.tell(outcome, "")
    sys.exit(outcome.exit_code)


def masked(line: str) -> str:
    """A .env line with its password, or its key, replaced."""
    head, separator, tail = line.partition("://")
    user, colon, rest = tail.partition(":")
    if separator:
        return f"{head}{separator}{user}{colon}***@{rest.partition('@')[2]}" if colon else line
    name, equals, _ = line.partition("=")
    return f'{name}="***"' if equals and not line.startswith("#") else line
