"""Live progress: a line per role that is done, how many tasks, elapsed time and the number of changes.

How many tasks are to come nobody knows before a playbook has run: it may include what it likes.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from pgstead.command import console


class Progress:
    """Shows an Ansible run as it goes.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar = Bar(
            BarColumn(bar_width=24),
            TextColumn("task {task.completed:.0f}"),
            TimeElapsedColumn(),
            TextColumn("[yellow]{task.fields[changed]} changed[/yellow]"),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=quiet,
        )
        self.task = self.bar.add_task("starting", total=None, changed=0)
        self.section, self.section_started, self.section_changed, self.section_failed = "", 0.0, 0, False
        self.changed = 0

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._finish_section()
        self.bar.stop()

    def on_event(self, kind: str, data: dict[str, Any]) -> None:
        """Takes one event of ansible-runner."""
        if kind == "playbook_on_task_start":
            role = data.get("role") or ""
            if role and role != self.section:
                self._finish_section()
                self.section, self.section_started = role, time.monotonic()
            name = str(data.get("task") or "")
            self.bar.update(self.task, advance=1, description=escape(f"{role}: {name}" if role else name))
        elif kind in ("runner_on_ok", "runner_on_item_on_ok") and (data.get("res") or {}).get("changed"):
            self.changed += 1
            self.section_changed += 1
            self.bar.update(self.task, changed=self.changed)
        elif kind in ("runner_on_failed", "runner_on_unreachable"):
            self.section_failed = True

    def show_diff(self, text: str) -> None:
        """What --diff says of one task."""
        if not self.quiet and text.strip():
            self.bar.console.print(escape(text.strip("\n")), soft_wrap=True)

    def _finish_section(self) -> None:
        if self.section and not self.quiet:
            mark = "[red]✗[/red]" if self.section_failed else "[green]✓[/green]"
            seconds = time.monotonic() - self.section_started
            changes = f", [yellow]{self.section_changed} changed[/yellow]" if self.section_changed else ""
            self.bar.console.print(f"{mark} {escape(self.section)} [dim]{seconds:.1f} s[/dim]{changes}")
        self.section, self.section_changed, self.section_failed = "", 0, False
