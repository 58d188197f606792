"""One door for errors: what went wrong, and what to do next.

Only `pgstead.cli.main` turns these into output and exit codes.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every verb; docs/reference/cli.md is generated from these comments."""

    OK = 0  #: everything asked for holds
    FAILED = 1  #: a task failed, or a line of the checklist is red
    USAGE = 2  #: the command line itself is wrong
    REFUSED = 3  #: what is asked for cannot be; nothing was changed
    UNREACHABLE = 4  #: a node could not be reached
    LOCKED = 5  #: another deploy holds the node
    INTERRUPTED = 130  #: Ctrl-C


class PgsteadError(Exception):
    """Base of everything pgstead raises on purpose.

    Args:
        message: what is wrong, in words a newcomer understands.
        hint: what to do next; printed below the message.
    """

    exit_code: Exit = Exit.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class RefusedError(PgsteadError):
    """The declaration or the machine cannot work; nothing was changed."""

    exit_code = Exit.REFUSED


class CommandError(PgsteadError):
    """A program that pgstead started failed.

    Args:
        argv: the command, for the message.
        returncode: its exit status.
        output: its output; the last lines are shown.
    """

    def __init__(self, argv: list[str], returncode: int, output: str, hint: str = "") -> None:
        tail = "\n".join(output.strip().splitlines()[-8:])
        super().__init__(f"`{' '.join(argv[:4])}` exited with {returncode}:\n{tail}", hint)
        self.returncode = returncode
        self.output = output
