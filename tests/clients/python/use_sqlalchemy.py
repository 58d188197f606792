"""SQLAlchemy 2 over psycopg 3."""

# docs: begin
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session, sessionmaker

engine = create_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg"),
    pool_size=50,
    max_overflow=0,
    connect_args={"prepare_threshold": 0},  # every statement is prepared at its first use
)
sessions = sessionmaker(engine)


@contextmanager
def as_tenant(tenant: Any) -> Iterator[Session]:
    """One transaction that sees and writes the rows of this tenant, and no others."""
    with sessions.begin() as session:  # commits at its end, rolls back on an error
        session.execute(text("SELECT app.set_tenant(:tenant)"), {"tenant": tenant})
        yield session


def list_tags(tenant: Any) -> list[Any]:
    with as_tenant(tenant) as session:
        return session.execute(
            text("SELECT n.body, t.label FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id")
        ).all()


# docs: end

from load import COLUMN, JOB, load
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, Uuid, func, insert, select

kind = {"uuid": Uuid, "bigint": BigInteger, "integer": Integer, "text": Text}[JOB["type"]]
metadata = MetaData()
notes = Table("client_notes", metadata, Column(COLUMN, kind), Column("id", Uuid), Column("body", Text))
tags = Table("client_tags", metadata, Column(COLUMN, kind), Column("note_id", Uuid), Column("label", Text))


def work(tenant: Any, body: str) -> Any:
    with as_tenant(tenant) as session:
        note = session.execute(insert(notes).values({COLUMN: tenant, "body": body}).returning(notes.c.id)).scalar_one()
        session.execute(insert(tags).values({COLUMN: tenant, "note_id": note, "label": "new"}))
        joined = select(notes.c[COLUMN], notes.c.body).join(tags, tags.c.note_id == notes.c.id)
        foreign = select(func.count()).select_from(notes).where(notes.c[COLUMN] != tenant)
        return session.execute(joined).all(), session.execute(foreign).scalar_one()


def raw(*statements: str) -> None:
    with sessions.begin() as session:
        for statement in statements:
            session.execute(text(statement))


load(work, list_tags, raw)
engine.dispose()
