"""`pgstead mirror`: an APT repository of your own."""

from __future__ import annotations

from pathlib import Path

import click

from pgstead import mirror as builder
from pgstead.command import Steps, console
from pgstead.sandbox import engine
from pgstead.sandbox.image import RELEASES


@click.group()
def mirror() -> None:
    """A directory that serves as APT repository, for hosts without internet access."""


@mirror.command()
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--release", type=click.Choice(sorted(RELEASES)), default="debian-13", show_default=True, help="What the hosts run."
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["auto", "pgdg", "registry"]),
    default="auto",
    show_default=True,
    help="Where packages come from; registry is for sandboxes, never for production.",
)
@click.option(
    "--postgresql",
    "majors",
    type=click.IntRange(15, 18),
    multiple=True,
    default=[16],
    show_default=True,
    help="Major version; repeatable.",
)
@click.option("--pgdg-uri", default=builder.PGDG_URI, show_default=True, help="A copy of PGDG.")
@click.option(
    "--pgdg-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Signing key of that copy, where it is not PGDG's own.",
)
def build(
    output: Path, release: str, source: str, majors: tuple[int, ...], pgdg_uri: str, pgdg_key: Path | None
) -> None:
    """Build the repository into the directory OUTPUT.

    Serve the directory over HTTP or copy it to the hosts, and declare in platform.yml what this prints.
    """
    steps = Steps("mirror-build")
    engine.ensure(steps)
    manifest = builder.build(RELEASES[release], output.resolve(), steps, source, majors, pgdg_uri, pgdg_key)
    console.print("\nIn platform.yml:", style="bold")
    click.echo(
        f"postgresql_source: mirror\n"
        f"postgresql_mirror_uri: file://{output.resolve()}   # or http://… where you serve it\n"
        f"postgresql_mirror_suite: {manifest['suite']}\n"
        f"postgresql_mirror_key: {output.resolve() / 'pgstead-mirror.asc'}"
    )
