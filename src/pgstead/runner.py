"""Runs a playbook through ansible-runner and turns its events into progress and results.

Nothing is decided here: the same playbook with the same inventory does the same under plain
`ansible-playbook`.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from pgstead import inventory, paths
from pgstead.command import console, log_path
from pgstead.errors import Exit
from pgstead.explain import Failure, explain
from pgstead.progress import Progress

GRACE = 15  # seconds that an interrupted ansible-playbook has to end by itself
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Outcome:
    """What a run left.

    Args:
        exit_code: of the verb.
        results: results of tasks that carry `checklist` or `report`, by host.
        hosts: those in which a task ran, or tried to.
        changed: changed tasks by host.
        failures: what went wrong, in plain words.
        log: the full output.
    """

    exit_code: Exit = Exit.OK
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    changed: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    log: Path = Path()

    def reports(self) -> list[tuple[str, Any]]:
        """Host and `report` of those that have one."""
        return [(host, result["report"]) for host, result in self.results.items() if "report" in result]


def run(
    verb: str,
    where: Path,
    extra: list[str],
    *,
    vault_password_file: Path | None = None,
    quiet: bool = False,
) -> Outcome:
    """Runs playbooks/<verb>.yml against an inventory: the workspace's own where it has one, else the collection's.

    Args:
        verb: name of the playbook; "deploy" is site.yml.
        where: the inventory.
        extra: further arguments of ansible-playbook.
        vault_password_file: where the default one does not apply.
        quiet: no progress, for verbs that print their result for machines.

    Returns:
        What happened; the caller prints it.
    """
    name = "site.yml" if verb == "deploy" else f"{verb}.yml"
    own = paths.workspace() / "playbooks" / name
    playbook = own if own.is_file() else paths.content("playbooks", name)
    arguments = [*vault_arguments(where, vault_password_file), *extra]
    outcome = Outcome(log=log_path(verb))
    progress = Progress(quiet=quiet)
    told = f"workspace {paths.workspace()}, content {paths.content()}"
    outcome.log.write_text(f"{told}, playbook {playbook}\n")
    if not quiet:
        console.print(told, style="dim", soft_wrap=True)

    def on_event(event: dict[str, Any]) -> bool:
        text = _ANSI.sub("", event.get("stdout") or "")
        if text:
            with outcome.log.open("a") as log:
                log.write(text + "\n")
        data = event.get("event_data") or {}
        _collect(event["event"], data, outcome)
        progress.on_event(event["event"], data)
        if event["event"] == "runner_on_file_diff":
            progress.show_diff(text)
        return False  # nothing is kept on disk: the log has it

    # ansible-runner keeps its artefacts (arguments, environment, events) in a directory that goes with the run.
    with tempfile.TemporaryDirectory(prefix="pgstead-") as scratch, progress, _interruptible() as interrupted:
        done = ansible_runner.run(
            private_data_dir=scratch,
            project_dir=str(paths.workspace()),
            playbook=str(playbook),
            inventory=str(where),
            cmdline=shlex.join(arguments),
            envvars={
                "ANSIBLE_CONFIG": str(paths.settings()),
                # ansible-runner switches the check of SSH host keys off where nobody says otherwise.
                "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
                "PATH": f"{Path(inventory.ansible('ansible-playbook')).parent}:{os.environ['PATH']}",
            },
            event_handler=on_event,
            cancel_callback=lambda: (
                bool(interrupted) and (len(interrupted) > 1 or time.monotonic() - interrupted[0] > GRACE)
            ),
            quiet=True,
            suppress_env_files=True,
        )
        leftover = Path(str(done.config.artifact_dir)) / "stdout"
        output = _ANSI.sub("", leftover.read_text(errors="replace")) if leftover.exists() else ""
    if interrupted:
        raise KeyboardInterrupt
    outcome.exit_code = _exit_code(done.status, outcome)
    if outcome.exit_code is Exit.OK and not outcome.hosts:
        wrong = "\n".join(inventory.unreadable(where)) or f"no host of {where.name} is in the group postgresql"
        outcome.failures.append(explain("", "", "", {"msg": wrong}))
        outcome.exit_code = Exit.REFUSED
    if outcome.exit_code is not Exit.OK and not outcome.failures and not outcome.results:
        with outcome.log.open("a") as log:
            log.write(output)
        unreadable = inventory.unreadable(where)
        outcome.failures.append(explain("", "", "", {"msg": "\n".join([*unreadable, _message(output)])}))
        outcome.exit_code = outcome.failures[0].exit_code
    outcome.log.chmod(0o600) if outcome.log.exists() else None
    return outcome


def vault_arguments(where: Path, given: Path | None) -> list[str]:
    """How Ansible gets the vault password: the file given, Ansible's own setting, or the one `pgstead init` made."""
    if given:
        return ["--vault-password-file", str(given)]
    if "ANSIBLE_VAULT_PASSWORD_FILE" in os.environ:
        return []
    generated = inventory.vault_password_file(where)
    return ["--vault-password-file", str(generated)] if generated.exists() else []


@contextmanager
def _interruptible() -> Iterator[list[float]]:
    """Ctrl-C ends the run in good order: ansible-playbook is told first, so that it ends its workers.

    ansible-runner alone would kill it, and leave the workers, which have sessions of their own, behind.
    """
    interrupted: list[float] = []

    def on_signal(*_: Any) -> None:
        interrupted.append(time.monotonic())
        children = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=False)
        for child in children.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGINT)

    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


def _collect(kind: str, data: dict[str, Any], outcome: Outcome) -> None:
    host, result = data.get("host", ""), data.get("res") or {}
    if host:
        outcome.hosts.add(host)
    if kind in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable"):
        for warning in result.get("warnings") or []:
            if warning not in outcome.warnings and "not declared" in warning:
                outcome.warnings.append(warning)
        if "checklist" in result or "report" in result:
            outcome.results[host] = result
    if kind == "runner_on_ok" and result.get("changed"):
        outcome.changed[host] = outcome.changed.get(host, 0) + 1
    if kind in ("runner_on_failed", "runner_on_unreachable") and "checklist" not in result:
        failure = explain(host, data.get("role", ""), data.get("task", ""), result)
        if failure not in outcome.failures:
            outcome.failures.append(failure)


def _exit_code(status: str, outcome: Outcome) -> Exit:
    if status == "successful":
        return Exit.OK
    if outcome.failures:
        return max((failure.exit_code for failure in outcome.failures), key=_severity)
    return Exit.FAILED


def _severity(code: Exit) -> int:
    """Which of several failures names the exit code: what stops a user first."""
    return [Exit.FAILED, Exit.UNREACHABLE, Exit.LOCKED, Exit.REFUSED].index(code)


def _message(output: str) -> str:
    """What ansible-playbook said before it ran any task."""
    lines = [line for line in output.splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if line.startswith(("[ERROR]", "ERROR!")):
            return "\n".join(lines[index : index + 6])
    return "\n".join(lines[-6:]) or "ansible-playbook ended without saying why"
