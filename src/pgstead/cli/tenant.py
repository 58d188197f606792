"""`pgstead tenant`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from pgstead import runner
from pgstead.cli import playbook
from pgstead.command import console

LONG = 40  # characters of a value in a table

database_option = click.option(
    "--database", metavar="NAME", help="The database; may be left out where only one has tenants."
)
json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.group()
def tenant() -> None:
    """Tenants of a database: rows of the table that its `tenancy` names.

    The same as: ansible-playbook pgstead.platform.tenant
    """


@tenant.command("list")
@playbook.options
@database_option
@json_option
def list_(database: str | None, as_json: bool, **common: Any) -> None:
    """All tenants: key, name, and what else fits."""
    outcome = _run(common, as_json, "list", database)
    for host, report in [] if as_json else outcome.reports():
        console.print(_title(host, report), soft_wrap=True)
        table = Table(pad_edge=False)
        key, rows = report["key"], report["tenants"]
        shown = [name for name in report["columns"] if name == key or any(row[name] is not None for row in rows)]
        for name in shown:
            table.add_column(escape(name), no_wrap=name == key)  # a key is there to be copied
        for row in rows:
            table.add_row(*(_short(row[name]) for name in shown))
        console.print(table)
    _end(outcome, as_json)


@tenant.command()
@click.argument("key")
@playbook.options
@database_option
@json_option
def show(key: str, database: str | None, as_json: bool, **common: Any) -> None:
    """The tenant KEY: its row, and how many rows each table has of it."""
    outcome = _run(common, as_json, "show", database, key=key)
    for host, report in [] if as_json else outcome.reports():
        console.print(_title(host, report), soft_wrap=True)
        console.print(_pairs("column", "value", report["tenant"]))
        console.print(_pairs("table", "rows", report["rows"]))
    _end(outcome, as_json)


@tenant.command()
@playbook.options
@database_option
@click.option("--set", "pairs", metavar="COLUMN=VALUE", multiple=True, help="A value of the new row; repeatable.")
@click.option("--key", metavar="KEY", help="The new tenant's key, where the table does not make one.")
@click.option("--check", is_flag=True, help="Change nothing; say what would be added.")
@json_option
def add(
    database: str | None, pairs: tuple[str, ...], key: str | None, check: bool, as_json: bool, **common: Any
) -> None:
    """Add a tenant; prints its key."""
    values = dict(_pair(pair) for pair in pairs)
    outcome = _run(common, as_json, "add", database, check=check, key=key, values=values)
    for host, report in [] if as_json else outcome.reports():
        console.print("would be added:" if check else "added:", _title(host, report), soft_wrap=True)
        console.print(_pairs("column", "value", report["tenant"]))
        if not check:
            click.echo(report["tenant"][report["key"]])
    _end(outcome, as_json)


@tenant.command()
@click.argument("key")
@playbook.options
@database_option
@click.option("--seconds", type=click.IntRange(1), default=300, show_default=True, help="How long it is good for.")
def token(key: str, database: str | None, seconds: int, **common: Any) -> None:
    """Print a token for the tenant KEY, for a migration or a look by hand.

    For databases with `tenancy.token`: SELECT app.set_tenant('TOKEN'). Whoever has it is that tenant.
    The same as: ansible-playbook pgstead.platform.token
    """
    with tempfile.TemporaryDirectory(prefix="pgstead-") as scratch:
        target = Path(scratch) / "token"
        told = {"tenant": key, "database": database or "", "file": str(target)}
        given = ", ".join(f"token_{name}: {_unsafe(value)}" for name, value in told.items())
        extra = [*common["extra"], "-e", f"{{{given}, token_seconds: {seconds}}}"]
        outcome = runner.run(
            "token", common["where"], extra, vault_password_file=common["vault_password_file"], quiet=True
        )
        if target.exists():
            click.echo(target.read_text().strip())
    if outcome.failures:
        playbook.tell(outcome, "")
    sys.exit(outcome.exit_code)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not COLUMN=VALUE", param_hint="--set")
    return name, value


def _run(
    common: dict[str, Any], quiet: bool, action: str, database: str | None, check: bool = False, **given: Any
) -> runner.Outcome:
    """Runs the playbook; what people typed is data, whatever it looks like to Jinja."""
    given = {"action": action, "database": database, **given}
    told = ", ".join(f"tenant_{name}: {_unsafe(value)}" for name, value in given.items() if value)
    where: Path = common["where"]
    extra = [*common["extra"], "-e", f"{{{told}}}"] + (["--check"] if check else [])
    return runner.run("tenant", where, extra, vault_password_file=common["vault_password_file"], quiet=quiet)


def _unsafe(value: Any) -> str:
    """YAML of a text, or of texts by name, that Ansible does not take for templates."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_unsafe(text)}" for name, text in value.items()) + "}"
    return f"!unsafe {json.dumps(value, ensure_ascii=False)}"


def _title(host: str, report: dict[str, Any]) -> str:
    return escape(f"{report['table']} of {report['database']} on {host}")


def _pairs(left: str, right: str, rows: dict[str, Any]) -> Table:
    table = Table(left, right, pad_edge=False)
    for name, value in rows.items():
        table.add_row(escape(name), _short(value))
    return table


def _short(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= LONG else text[: LONG - 1] + "…")


def _end(outcome: runner.Outcome, as_json: bool) -> None:
    if as_json:
        click.echo(playbook.document(outcome))
    if outcome.failures or not as_json:
        playbook.tell(outcome, "")
    sys.exit(outcome.exit_code)
