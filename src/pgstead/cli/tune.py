"""`pgstead tune`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from pgstead import runner
from pgstead.cli import playbook
from pgstead.command import console


@click.group()
def tune() -> None:
    """Fit what depends on live data."""


@tune.command()
@playbook.options
@click.option("--database", metavar="NAME", help="Of this database alone; default: of all with the extension vector.")
@click.option(
    "--threshold",
    metavar="ROWS",
    type=click.IntRange(min=1),
    help="From so many rows of the largest tenant on an HNSW index fits; default 2500, as measured:"
    " docs/how-to/vectors.md.",
)
@click.option(
    "--opclass",
    type=click.Choice(["vector_cosine_ops", "vector_l2_ops", "vector_ip_ops", "vector_l1_ops"]),
    help="For new indexes; default: of an index that is there, else vector_cosine_ops. Columns of halfvec get theirs.",
)
@click.option("--apply", "apply_", is_flag=True, help="Build what is recommended, concurrently; drop no valid index.")
@click.option("--check", is_flag=True, help="With --apply: change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def vectors(
    where: Path,
    extra: list[str],
    vault_password_file: Path | None,
    database: str | None,
    threshold: int | None,
    opclass: str | None,
    apply_: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Which index fits each column of vectors, by the sizes of its tenants.

    Read-only without --apply. The same as: ansible-playbook pgstead.platform.tune
    """
    given = {"database": database, "threshold": threshold, "opclass": opclass}
    for name, value in given.items():
        extra += ["-e", f"tune_{name}={value}"] if value else []
    extra += ["-e", '{"tune_apply": true}'] if apply_ else []
    extra += ["--check"] if check else []
    outcome = runner.run("tune", where, extra, vault_password_file=vault_password_file, quiet=as_json)
    if as_json:
        click.echo(playbook.document(outcome))
    else:
        for host, report in outcome.reports():
            _show(host, report, apply_ and not check)
    if outcome.failures or not as_json:
        playbook.tell(outcome, "")
    sys.exit(outcome.exit_code)


def _show(host: str, report: dict[str, Any], applied: bool) -> None:
    console.print(f"vectors on {host}")
    table = Table(pad_edge=False)
    for name in ("column", "rows", "largest tenant", "indexes", "fits"):
        table.add_column(name, overflow="fold")
    for column in report["columns"]:
        indexes = sorted({f"{i['name']} ({i['method']})" for part in column["parts"] for i in part["indexes"]})
        table.add_row(
            escape(f"{column['database']}: {column['table']}.{column['column']} {column['type']}"),
            str(column["rows"]),
            str(column["largest"]),
            escape("\n".join(indexes)) or "none",
            escape(f"{column['fits']}: {column['why']}"),
        )
    console.print(table)
    for column in report["columns"]:
        for note in column["notes"]:
            console.print(f"[yellow]note:[/yellow] {escape(note)}", soft_wrap=True)
    for note in report["notes"]:
        console.print(f"[yellow]note:[/yellow] {escape(note)}", soft_wrap=True)
    for statement in report["statements"]:
        console.print(f"[bold]{'done' if applied else 'to do'}:[/bold] {escape(statement)}", soft_wrap=True)
    if not report["statements"]:
        console.print("nothing to do")
    elif not applied:
        console.print("--apply does that", style="dim")
