"""What every verb that runs a playbook shares: its options, and how its outcome is told."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from pgstead import inventory, paths
from pgstead.command import console
from pgstead.errors import RefusedError
from pgstead.runner import Outcome


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """-i and what is passed through to ansible-playbook; the function gets `where`, `extra`, `vault_password_file`."""

    @click.option(
        "-i",
        "--inventory",
        "inventory_name",
        metavar="NAME",
        help="Inventory: a directory, or its name under inventories/. May be left out where there is only one.",
    )
    @click.option("-l", "--limit", metavar="PATTERN", help="Only these hosts.")
    @click.option("-e", "--extra-vars", metavar="KEY=VALUE", multiple=True, help="Further variables; repeatable.")
    @click.option(
        "--vault-password-file",
        type=click.Path(exists=True, path_type=Path),
        help="File with the vault password; default is what pgstead init wrote.",
    )
    @click.option("-v", "--verbose", count=True, help="More in the log; repeatable, as with ansible-playbook.")
    @functools.wraps(function)
    def wrapper(
        inventory_name: str | None, limit: str | None, extra_vars: tuple[str, ...], verbose: int, **rest: Any
    ) -> Any:
        extra = ["--limit", limit] if limit else []
        for pair in extra_vars:
            extra += ["-e", pair]
        extra += ["-" + "v" * verbose] if verbose else []
        return function(where=chosen(inventory_name), extra=extra, **rest)

    return wrapper


def chosen(name: str | None) -> Path:
    """The inventory named, or the only one of the user's own.

    Raises:
        RefusedError: none is named and there is not exactly one.
    """
    if name:
        return inventory.locate(name)
    own = inventory.own()
    if len(own) == 1:
        return own[0]
    names = ", ".join(path.name for path in own) or "none"
    hint = f"your inventories in {paths.workspace()}: {names}; pgstead init NAME makes one"
    raise RefusedError("name an inventory with -i", hint)


def document(outcome: Outcome) -> str:
    """Reports and failures as JSON."""
    found = {
        "ok": not outcome.failures and bool(outcome.results),
        "hosts": dict(outcome.reports()),
        "failures": [{"host": f.host, "task": f.task, "message": f.message, "hint": f.hint} for f in outcome.failures],
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def tell(outcome: Outcome, done: str) -> None:
    """Failures, warnings, and where the log is."""
    for failure in outcome.failures:
        where = f"{failure.host}: " if failure.host else ""
        console.print(f"\n[bold red]failed:[/bold red] {escape(where + failure.task)}".rstrip(), soft_wrap=True)
        console.print(f"  {escape(failure.message)}", soft_wrap=True)
        if failure.problems:
            table = Table("variable", "found", "write instead", show_lines=False, pad_edge=False)
            for row in failure.problems:
                table.add_row(*map(escape, row))
            console.print(table)
        if failure.hint:
            console.print(f"[bold]next:[/bold] {escape(failure.hint)}", soft_wrap=True)
    for warning in outcome.warnings:
        console.print(f"[yellow]note:[/yellow] {escape(warning)}", soft_wrap=True)
    if not outcome.failures and done:
        console.print(done)
    console.print(f"full log: {outcome.log}", style="dim", soft_wrap=True)
