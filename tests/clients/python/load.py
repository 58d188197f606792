"""The load that tests/clients/test_clients.py asks for on standard input, put on a client in Python."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

JOB: dict[str, Any] = json.load(sys.stdin)
TENANTS: list[Any] = [uuid.UUID(tenant) if JOB["type"] == "uuid" else tenant for tenant in JOB["tenants"]]
COLUMN = JOB["column"]

ADD_NOTE = f"INSERT INTO client_notes ({COLUMN}, body) VALUES (%s, %s) RETURNING id"
ADD_TAG = f"INSERT INTO client_tags ({COLUMN}, note_id, label) VALUES (%s, %s, %s)"
NOTES = f"SELECT n.{COLUMN}, n.body FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id"
FOREIGN = f"SELECT count(*) FROM client_notes WHERE {COLUMN} <> %s"

READ = "SELECT body FROM client_notes"
MISTAKES = {"none": [READ], "plain SET": [f"SET {JOB['setting']} = '{TENANTS[0]}'", READ]}

# One transaction of a tenant, which adds a note with a tag: (tenant, body) -> the notes it then sees as
# (tenant, body), and how many rows of other tenants it counted.
Work = Callable[[Any, str], Any]
# A tenant's rows, one a note.
ListTags = Callable[[Any], Any]
# One transaction without tenant context, of these statements.
Raw = Callable[..., Any]
# What a client does next: a function with its arguments, and who is told how it ended.
Step = tuple[Callable[..., Any], tuple[Any, ...], Callable[[Any], None]]

result = Counter({"transactions": 0, "errors": 0, "foreign_rows": 0, "own_rows": 0})
refused: Counter[str] = Counter()
errors: list[str] = []


def steps(number: int, work: Work, raw: Raw) -> Iterator[Step]:
    """What one client does."""
    tenant = TENANTS[number % len(TENANTS)]

    def worked(body: str, seen: Any) -> None:
        if isinstance(seen, Exception):
            result["errors"] += 1
            errors.append(repr(seen))
            return
        notes, foreign = seen
        own = [note for note in notes if str(note[0]) == str(tenant)]
        result["transactions"] += 1
        result["own_rows"] += sum(note[1] == body for note in own)
        result["foreign_rows"] += len(notes) - len(own) + foreign

    def answered(mistake: str, answer: Any) -> None:
        """SQLSTATE and hint, wherever the library keeps them."""
        found = getattr(answer, "orig", answer)
        code = getattr(found, "sqlstate", None) or getattr(found, "pgcode", None)
        hint = found.diag.message_hint if hasattr(found, "diag") else getattr(found, "hint", None)
        refused[f"{mistake}: {code} {hint}"] += 1

    for turn in range(JOB["transactions"]):
        body = f"client {number}, turn {turn}"
        yield work, (tenant, body), lambda seen, body=body: worked(body, seen)
        if turn == 1:
            for mistake, statements in MISTAKES.items():
                yield raw, tuple(statements), lambda answer, mistake=mistake: answered(mistake, answer)


def tell(tags: list[Any]) -> None:
    print(json.dumps({**result, "refused": refused, "tags": len(tags), "error": errors[:1]}))


def load(work: Work, list_tags: ListTags, raw: Raw) -> None:
    """Runs the load in threads, and prints what came of it as one line of JSON."""
    # Adding to a counter reads, counts and writes: two threads at once would lose what one of them found.
    counting = Lock()

    def client(number: int) -> None:
        for function, arguments, told in steps(number, work, raw):
            try:
                outcome = function(*arguments)
            except Exception as error:
                outcome = error
            with counting:
                told(outcome)

    with ThreadPoolExecutor(JOB["clients"]) as pool:
        list(pool.map(client, range(JOB["clients"])))
    tell(list_tags(TENANTS[0]))


async def load_async(work: Work, list_tags: ListTags, raw: Raw) -> None:
    """The same in tasks of one event loop."""

    async def client(number: int) -> None:
        for function, arguments, told in steps(number, work, raw):
            try:
                outcome = await function(*arguments)
            except Exception as error:
                outcome = error
            told(outcome)

    await asyncio.gather(*(client(number) for number in range(JOB["clients"])))
    tell(await list_tags(TENANTS[0]))
