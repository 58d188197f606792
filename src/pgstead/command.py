"""Runs other programs: quietly, with the whole output in the log, and loudly when they fail."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pgstead import paths
from pgstead.errors import CommandError

console = Console(stderr=True, highlight=False)


def log_path(verb: str) -> Path:
    """A new log file of this verb under `.pgstead/logs/`, named by UTC time."""
    begun = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for number in itertools.count(1):
        path = paths.state("logs", f"{begun}-{verb}{f'-{number}' if number > 1 else ''}.log")
        with suppress(FileExistsError):  # of another run in the same second
            path.touch(exist_ok=False)
            break
    return path


class Steps:
    """Numbered progress with elapsed time, for work that is not an Ansible run.

    Args:
        verb: names the log file.
    """

    def __init__(self, verb: str) -> None:
        self.started = time.monotonic()
        self.log = log_path(verb)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Shows `title` with a spinner, then a line with what it took; a failure says where it stopped."""
        begin = time.monotonic()
        with self.log.open("a") as log:
            log.write(f"== {title}\n")
        try:
            with console.status(f"{title} …"):
                yield
        except BaseException:
            console.print(f"[red]✗[/red] {title} [dim]({time.monotonic() - begin:.1f} s)[/dim]")
            console.print(f"  full log: {self.log}", style="dim", soft_wrap=True)
            raise
        now = time.monotonic()
        console.print(f"[green]✓[/green] {title} [dim]{now - begin:.1f} s, {now - self.started:.0f} s in all[/dim]")

    def say(self, text: str) -> None:
        """A plain line, also in the log."""
        with self.log.open("a") as log:
            log.write(f"-- {text}\n")
        console.print(f"  {text}", style="dim")

    def run(self, *argv: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, hint: str = "") -> str:
        """Runs a program to its end, its output in the log.

        Returns:
            Its output, stdout and stderr together.

        Raises:
            CommandError: it exited with another status than 0.
        """
        done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, check=False)
        output = done.stdout.decode(errors="replace")
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(argv)}\n{output}")
        if done.returncode:
            raise CommandError(list(argv), done.returncode, output, hint)
        return output


def succeeds(*argv: str, timeout: float = 60) -> bool:
    """Whether a program exits with 0 within `timeout` seconds; its output is not kept."""
    try:
        done = subprocess.run(argv, capture_output=True, timeout=timeout, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def output_of(*argv: str) -> str:
    """stdout of a program that only reads.

    Raises:
        CommandError: it exited with another status than 0.
    """
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(list(argv), done.returncode, done.stderr or done.stdout)
    return done.stdout
