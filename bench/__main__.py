"""`python -m bench [--quick] [NAME...]`: runs benchmarks, prints one table, keeps the result as JSON."""

from __future__ import annotations

import importlib
import json
import os
import platform
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from bench.figures import Figure
from pgstead import __version__
from pgstead.command import Steps, console, output_of
from pgstead.errors import Exit, PgsteadError

NAMES = ("reconcile", "settings", "pooling", "deploy", "isolation", "vectors", "guard")
RESULTS = Path(__file__).resolve().parent / "results"
QUIET = 0.5  # load average over a minute, above which something else runs


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--quick", is_flag=True, help="Short rounds, for working on a benchmark; its figures prove nothing.")
def main(names: tuple[str, ...], quick: bool) -> None:
    """Measure speed as ratios against peers and baselines; all benchmarks, or those of NAMES.

    Exits with 1 where a target is missed or a benchmark could not be run.
    """
    signal.signal(signal.SIGTERM, _terminated)
    document: dict[str, Any] = {"version": __version__, "quick": quick, "machine": _machine(), "benchmarks": {}}
    table = Table("figure", "median", "rounds", "target", "met", pad_edge=False)
    good = True
    for name in names or NAMES:
        console.rule(name)
        begin, load = time.monotonic(), os.getloadavg()[0]
        if load > QUIET:
            console.print(f"[yellow]note:[/yellow] load is {load:.1f}: something else runs on this machine")
        figures, failure = _run(name, quick)
        document["benchmarks"][name] = {
            "seconds": round(time.monotonic() - begin),
            "load_before": round(load, 2),
            "figures": [figure.document() for figure in figures],
            "failure": failure,
        }
        table.add_row(f"[bold]{name}[/bold]")
        for figure in figures:
            table.add_row(escape(figure.title), *_cells(figure))
        if failure:
            table.add_row(f"[red]not measured: {escape(failure.splitlines()[0])}[/red]", "", "", "", "[red]NO[/red]")
        table.add_section()
        good = good and not failure and all(figure.met is not False for figure in figures)
    console.print(table)
    console.print(
        "pgbench and servers share this machine's cores, in ours and in the baselines; ratios travel, seconds do not",
        style="dim",
    )
    console.print(f"result: {_keep(document)}", style="dim", soft_wrap=True)
    sys.exit(Exit.OK if good else Exit.FAILED)


def _terminated(*_: object) -> None:
    """Leaves by way of every `finally`: what a benchmark made is removed."""
    console.print("[bold red]terminated[/bold red]")
    sys.exit(Exit.INTERRUPTED)


def _run(name: str, quick: bool) -> tuple[list[Figure], str]:
    """Figures of a benchmark, or why there are none."""
    try:
        figures: list[Figure] = importlib.import_module(f"bench.{name}").run(Steps(f"bench-{name}"), quick)
        return figures, ""
    except PgsteadError as problem:
        console.print(f"[bold red]{name}:[/bold red] {escape(str(problem))} {escape(problem.hint)}", soft_wrap=True)
        return [], str(problem)


def _machine() -> dict[str, Any]:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": pages * size // 1024**2,
        "kernel": platform.release(),
        "docker": output_of("docker", "version", "--format", "{{.Client.Version}}").strip(),
    }


def _cells(figure: Figure) -> tuple[str, str, str, str]:
    low, high = figure.spread
    mark = {True: "[green]yes[/green]", False: "[red]NO[/red]", None: ""}[figure.met]
    return f"{figure.value:.2f} {figure.unit}", f"{low:.2f} - {high:.2f}", str(figure.target or ""), mark


def _keep(document: dict[str, Any]) -> Path:
    """Writes results/<UTC time>.json, and the same as latest.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    text = json.dumps(document, indent=2) + "\n"
    path.write_text(text)
    (RESULTS / "latest.json").write_text(text)
    return path


if __name__ == "__main__":
    main()
