"""pgstead: PostgreSQL 16 + pgvector behind PgBouncer, on your own hosts."""

from importlib.metadata import version

__version__ = version("pgstead")  # galaxy.yml says it
