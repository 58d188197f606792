"""What an APT repository offers, asked without changing APT's own state."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import subprocess
import urllib.error
import urllib.request
import zlib
from collections.abc import Collection
from typing import Any

TIMEOUT = 15  # seconds for each request
_WANTED = re.compile(r"postgresql-\d+(-.+)?|pgbouncer")


def offered(
    uri: str, suite: str, components: list[str], architecture: str, others: Collection[str] = ()
) -> dict[str, Any]:
    """The versions of PostgreSQL, its extensions, PgBouncer, and of packages by these names in a repository.

    Returns:
        {"packages": {name: [version, ...]}, "error": ""}; with an error where it cannot be read.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(_proxies()))
    found: dict[str, list[str]] = {}
    base = f"{uri.rstrip('/')}/dists/{suite}"
    for component in components:
        for ending, unpack in ((".gz", gzip.decompress), (".xz", lzma.decompress), ("", bytes)):
            address = f"{base}/{component}/binary-{architecture}/Packages{ending}"
            try:
                with opener.open(address, timeout=TIMEOUT) as answer:
                    _collect(unpack(answer.read()).decode(), found, others)
                break
            except (urllib.error.URLError, OSError, ValueError, EOFError, lzma.LZMAError, zlib.error) as problem:
                missing = getattr(problem, "code", 0) == 404 or "No such file" in str(problem)
                if missing and ending:
                    continue
                reason = getattr(problem, "reason", problem)
                return {"packages": {}, "error": f"{address} cannot be read: {reason}"}
    return {"packages": found, "error": ""}


def known_to_apt(others: Collection[str] = ()) -> dict[str, list[str]]:
    """The same from the package lists that APT already has; empty where it has none."""
    found: dict[str, list[str]] = {}
    done = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=False)
    _collect(done.stdout, found, others)
    return found


def _collect(index: str, found: dict[str, list[str]], others: Collection[str]) -> None:
    name = ""
    for line in index.splitlines():
        if line.startswith("Package: "):
            name = line[9:]
        elif line.startswith("Version: ") and (name in others or _WANTED.fullmatch(name)):
            versions = found.setdefault(name, [])
            if line[9:] not in versions:
                versions.append(line[9:])


def _proxies() -> dict[str, str]:
    """APT's own proxies, and those of the environment."""
    found = urllib.request.getproxies()
    done = subprocess.run(
        ["apt-config", "dump", "Acquire"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )
    for scheme, proxy in re.findall(r'^Acquire::(https?)::Proxy "(.+)";$', done.stdout, re.M):
        if proxy != "DIRECT":
            found[scheme] = proxy
    return found
