"""A psql session on a node that is asked now and then while something else runs: no process per question."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from bench.figures import require
from bench.nodes import BIN, Node


class Watch:
    """One statement, asked again and again.

    Args:
        session: psql, reading statements from its input.
        statement: ending in a newline.
    """

    def __init__(self, session: subprocess.Popen[str], statement: str) -> None:
        self.session, self.statement = session, statement

    def ask(self) -> None:
        """Asks, without waiting for the answer."""
        if self.session.stdin:
            self.session.stdin.write(self.statement)
            self.session.stdin.flush()

    def answers(self) -> list[dict[str, str]]:
        """Ends the session: every row of every answer.

        Raises:
            PreconditionError: a question was refused, or none was asked.
        """
        output, errors = self.session.communicate(timeout=30)
        require(self.session.returncode == 0 and not errors, f"watching failed: {errors}")
        lines = list(csv.reader(output.splitlines()))
        require(bool(lines), "nothing was watched")
        header = lines[0]  # comes again with every answer
        return [dict(zip(header, line, strict=True)) for line in lines if line != header]


@contextmanager
def watching(node: Node, statement: str, database: str, socket: str, port: int) -> Iterator[Watch]:
    """A session for the time of the block, as the OS user whose name is the database's: postgres or pgbouncer."""
    psql = (f"{BIN}/psql", "-Xq", "--csv", "-v", "ON_ERROR_STOP=1", "-h", socket, "-p", str(port), "-d", database)
    argv = node.argv(*psql, user=database)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as session:
        try:
            yield Watch(session, statement)
        finally:
            if session.stdin and not session.stdin.closed:
                session.stdin.close()  # ends psql
