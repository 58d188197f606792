"""`pgstead verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from pgstead import runner
from pgstead.cli import playbook
from pgstead.command import console
from pgstead.errors import Exit


@click.command()
@playbook.options
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify(where: Path, extra: list[str], vault_password_file: Path | None, as_json: bool) -> None:
    """Answer the setup checklist by asking the running system. Read-only.

    Exits with 1 where a line does not hold. The same as: ansible-playbook pgstead.platform.verify
    """
    outcome = runner.run("verify", where, extra, vault_password_file=vault_password_file, quiet=as_json)
    red = sum(not line["ok"] for result in outcome.results.values() for line in result["checklist"])
    if as_json:
        click.echo(json.dumps(_document(outcome, red), indent=2))
    else:
        for host, result in outcome.results.items():
            _show(host, result)
    if outcome.failures or not as_json:
        playbook.tell(
            outcome,
            f"[bold red]{red} lines do not hold[/bold red]" if red else "[bold green]every line holds[/bold green]",
        )
    sys.exit(outcome.exit_code if outcome.failures else Exit.FAILED if red or not outcome.results else Exit.OK)


def _document(outcome: runner.Outcome, red: int) -> dict[str, Any]:
    return {
        "ok": not red and not outcome.failures and bool(outcome.results),
        "hosts": {
            host: {"lines": result["checklist"], "urls": result["urls"]} for host, result in outcome.results.items()
        },
        "failures": [{"host": f.host, "task": f.task, "message": f.message} for f in outcome.failures],
    }


def _show(host: str, result: dict[str, Any]) -> None:
    table = Table("", "", "statement", "found", title=f"checklist of {host}", title_justify="left", pad_edge=False)
    previous = ""
    for line in sorted(result["checklist"], key=lambda line: _order(line["area"])):
        look = line.get("look", False)
        mark = "[red]✗[/red]" if not line["ok"] else "[yellow]![/yellow]" if look else "[green]✓[/green]"
        area = line["area"] if line["area"] != previous else ""
        previous = line["area"]
        found = line["found"] if line["ok"] and not look else f"{line['found']}\n-> {line['fix']}"
        table.add_row(mark, escape(area), escape(line["title"]), escape(found))
    console.print(table)
    for url in result["urls"]:
        # With several databases each name begins with its database's.
        own = url["name"].removeprefix(url["database"].upper().replace("-", "_") + "_")
        if own in ("DATABASE_URL", "DIRECT_DATABASE_URL"):
            console.print(f"{url['name']}={url['url']}", soft_wrap=True)
    console.print("the lines to paste, with passwords: pgstead url --show, or --write .env", style="dim")


def _order(area: str) -> tuple[int, str]:
    kind, order = area.split(maxsplit=1)[0], ["server", "pooler", "database", "tenants", "role"]
    return (order.index(kind) if kind in order else len(order), area)
