"""Deploys with --check to fresh nodes: that must succeed, and leave no trace on them.

Usage: check_fresh.py INVENTORY      run by molecule's prepare step, for every declaration
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pgstead import inventory

# What the node's own services write meanwhile, and what APT derives from its lists whenever it is asked something.
_OWN = "/var/log/journal|/var/log/wtmp|/var/lib/systemd|/var/cache/apt/(src)?pkgcache.bin|/var/log/apt/eipp.log.xz"
_STATE = f"""
find / -xdev ! -type d -printf '%p %s %m %u:%g %T@\\n' | grep -vE '^({_OWN})'
dpkg-query -W -f '${{Package}} ${{Version}} ${{Status}}\\n'
systemctl list-units --type=service --state=active --plain --no-legend | awk '{{print $1}}' | grep -v '^user'
"""


def state(node: str) -> set[str]:
    """Every file with its size, mode, owner and time; every package; every active service."""
    done = subprocess.run(["docker", "exec", node, "sh", "-c", _STATE], capture_output=True, text=True, check=True)
    lines = set(done.stdout.splitlines())
    if len(lines) < 1000:
        raise SystemExit(f"{node}: only {len(lines)} lines of state were read; this comparison would prove nothing")
    return lines


def main() -> None:
    where = Path(sys.argv[1])
    nodes = [str(variables["ansible_host"]) for variables in inventory.hosts(where).values()]
    for node in nodes:  # as in many a cloud image: no package lists
        subprocess.run(["docker", "exec", node, "sh", "-c", "rm -rf /var/lib/apt/lists/*"], check=True)
    before = {node: state(node) for node in nodes}
    subprocess.run([inventory.ansible("pgstead"), "deploy", "-i", str(where), "--check", "--diff"], check=True)
    for node in nodes:
        changes = sorted(before[node] ^ state(node))
        if changes:
            raise SystemExit(f"{node}: deploy --check changed the fresh node:\n" + "\n".join(changes[:40]))
        print(f"{node}: {len(before[node])} files, packages and services are as before")


if __name__ == "__main__":
    main()
