"""Failures in plain words: what happened, and the next step."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pgstead.errors import Exit


@dataclass(frozen=True)
class Failure:
    """One failure.

    Args:
        host: where; "" before any host was reached.
        task: the task's name, its role before it.
        message: what happened.
        hint: the next step.
        exit_code: of the verb.
        problems: of the preflight: path, found, expected.
    """

    host: str
    task: str
    message: str
    hint: str
    exit_code: Exit = Exit.FAILED
    problems: tuple[tuple[str, str, str], ...] = field(default=())


# (pattern in Ansible's message, what it means, what to do); the first that fits.
_Known = tuple[tuple[str, str, str, Exit], ...]
# On the way to a node; what a task says of its own connections is not meant.
_ON_THE_WAY: _Known = (
    (
        r"Permission denied \((publickey|password)",
        "the node refused your SSH login",
        "name the right user and key: ansible_user, ansible_ssh_private_key_file in hosts.yml; or ssh-add",
        Exit.UNREACHABLE,
    ),
    (
        r"no such identity|Load key|invalid format",
        "SSH cannot use your key file",
        "check ansible_ssh_private_key_file in hosts.yml: its path, its mode (0600), and that it is the private one",
        Exit.UNREACHABLE,
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "SSH does not know the node's host key",
        "if it is new: ssh-keyscan -H ADDRESS >> ~/.ssh/known_hosts; if it changed unexpectedly, find out why",
        Exit.UNREACHABLE,
    ),
    (
        r"Could not resolve hostname|Name or service not known|nodename nor servname",
        "the node's name does not resolve",
        "check ansible_host in hosts.yml",
        Exit.UNREACHABLE,
    ),
    (
        r"Connection refused|Connection timed out|No route to host|Operation timed out|Network is unreachable",
        "the node does not answer",
        "is it up, is SSH running, does a firewall stand between? try: ssh USER@ADDRESS",
        Exit.UNREACHABLE,
    ),
)
_ANYWHERE: _Known = (
    (
        r"No such container|ontainer \S+ is not running",
        "the sandbox node does not run",
        "pgstead sandbox up",
        Exit.UNREACHABLE,
    ),
    (
        r"Missing sudo password|a password is required",
        "the node's user needs a password for sudo",
        "allow it NOPASSWD in sudoers, or put ansible_become_password into vault.yml",
        Exit.UNREACHABLE,
    ),
    (
        r"Decryption failed|was unable to decrypt|HMAC verification failed",
        "the vault password is wrong",
        "name the right file: --vault-password-file FILE",
        Exit.REFUSED,
    ),
    (
        r"Attempting to decrypt but no vault|no vault secrets",
        "the inventory is encrypted and no vault password is known",
        "name the file that holds it: --vault-password-file FILE",
        Exit.REFUSED,
    ),
    (
        r"\.ya?ml, line \d+: |YAML parsing failed",
        "a file of the inventory is not YAML",
        "mend that line, or the one above it: indentation, a missing colon, an odd quote",
        Exit.REFUSED,
    ),
    (
        r"No space left on device|not have enough free space|Disk quota exceeded",
        "the node's disk is full",
        "free space on the node, then run this again: it continues where it stopped",
        Exit.FAILED,
    ),
    (
        r"Could not get lock|Unable to acquire the dpkg frontend lock|is another process using it",
        "another program is installing packages on the node",
        "wait for it (often unattended-upgrades), then run this again",
        Exit.FAILED,
    ),
    (
        r"/usr/bin/python3: (not found|No such file)",
        "the node has no Python",
        "install it: apt-get install python3 python3-apt",
        Exit.UNREACHABLE,
    ),
)


def explain(host: str, role: str, task: str, result: dict[str, Any]) -> Failure:
    """A failed task as a person would tell it.

    Args:
        host: where it failed.
        role: of the task, "" outside roles.
        task: its name.
        result: its result as Ansible reports it.
    """
    title = f"{role}: {task}" if role and not task.startswith(role) else task
    if problems := result.get("problems"):
        rows = tuple((p["path"], p["found"], p["expected"]) for p in problems)
        count = f"{len(rows)} problem{'s' if len(rows) > 1 else ''} found; nothing was changed"
        return Failure(host, title, count, "correct these in the inventory, then run this again", Exit.REFUSED, rows)
    message = _text(result)
    if result.get("locked"):
        return Failure(host, title, message, "", Exit.LOCKED)
    if hint := result.get("refused"):
        return Failure(host, title, message, str(hint), Exit.REFUSED)
    everything = f"{message}\n{result.get('stdout') or ''}"  # apt says there why dpkg failed
    known = _ON_THE_WAY + _ANYWHERE if result.get("unreachable") or not host else _ANYWHERE
    for pattern, meaning, hint, code in known:
        if found := re.search(pattern, everything):
            detail = next((line for line in everything.splitlines() if found[0] in line), "").strip()
            return Failure(host, title, f"{meaning}: {_plain(detail)}", hint, code)
    hint = "the full log has every detail; after repair run this again: it continues where it stopped"
    return Failure(host, title, _plain(message), hint)


def _text(result: dict[str, Any]) -> str:
    parts = [str(result.get(key) or "") for key in ("msg", "stderr", "module_stderr")]
    loop = [str(item.get("msg") or "") for item in result.get("results") or [] if item.get("failed")]
    return "\n".join(part for part in [*parts, *loop] if part) or "it failed without a message"


def _plain(message: str) -> str:
    """Without Ansible's own prefixes."""
    return re.sub(r"^(\[ERROR\]: |ERROR! |fatal: |Task failed: |Action failed: |Module failed: )+", "", message.strip())
