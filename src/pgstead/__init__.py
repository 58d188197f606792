"""pgstead: PostgreSQL 16 + pgvector behind PgBouncer, on your own hosts."""

__version__ = "0.1.0"
