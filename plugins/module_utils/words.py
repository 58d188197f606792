"""Words that people mistype."""

from __future__ import annotations

import difflib


def nearest(name: str, known: list[str]) -> str:
    """The known name most like a misspelt one, "" where none is."""
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return found[0] if found else ""
