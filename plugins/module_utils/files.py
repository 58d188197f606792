"""Writes a set of files as one step: compared, written atomically, and put back if they prove wrong."""

from __future__ import annotations

import base64
import grp
import hashlib
import os
import pwd
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FILES: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "required_one_of": [["src", "dest"]],
    "options": {
        "src": {"type": "str"},
        "dest": {"type": "path"},
        "content": {"type": "str"},
        "copy_of": {"type": "path"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "mode": {"type": "str", "default": "0644"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "fingerprint": {"type": "str"},
        "secret": {"type": "bool", "default": False},
    },
}
# The options of a module that writes files. The action plugin `files` comes before each of them: it turns `src` and
# `templates` into contents, and brings the contents of files marked `secret` apart, by path, so that Ansible keeps them
# out of logs and output.
SPEC: dict[str, Any] = {
    "files": _FILES,
    "templates": {"type": "str", "default": ""},
    "secret_contents": {"type": "dict", "default": {}, "no_log": True},
}


class Change:
    """One file as it is and as it should be.

    Args:
        wanted: an element of `files` in SPEC, without src.
        is_fresh: whether owner or group may not exist yet (check mode on a fresh host).

    Raises:
        ValueError: what it shall hold is not said, or is not what `fingerprint` says.
    """

    def __init__(self, wanted: dict[str, Any], is_fresh: bool = False) -> None:
        self.wanted = wanted
        self.path = Path(wanted["dest"])
        self.before = self._read(self.path)
        self.stat = self.path.stat() if self.before is not None else None
        self.after: bytes | None = None
        if wanted["state"] == "present":
            if wanted.get("copy_of"):
                self.after = self._read(Path(wanted["copy_of"]))
                if self.after is None and not is_fresh:
                    raise ValueError(f"{wanted['copy_of']}: no such file")
                self.after = self.after or b""
            elif wanted.get("content") is None:
                raise ValueError(f"{self.path}: what it shall hold is not said; write src, content or copy_of")
            else:
                self.after = wanted["content"].encode()
            if wanted.get("fingerprint") and (self.after or not is_fresh):
                found = openpgp_fingerprint(self.after)
                asked = wanted["fingerprint"].replace(" ", "").upper()
                if found != asked:
                    raise ValueError(f"{self.path}: the key's fingerprint is {found}, expected {asked}")

    @staticmethod
    def _read(path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def ids(self) -> tuple[int, int] | None:
        """Wanted uid and gid; None where one of them does not exist yet."""
        try:
            return pwd.getpwnam(self.wanted["owner"]).pw_uid, grp.getgrnam(self.wanted["group"]).gr_gid
        except KeyError:
            return None

    @property
    def needed(self) -> bool:
        """Whether content, mode or owner differ."""
        if self.before != self.after:
            return True
        if self.stat is None:
            return False
        mode = int(self.wanted["mode"], 8)
        return self.stat.st_mode & 0o7777 != mode or (self.stat.st_uid, self.stat.st_gid) != self.ids()

    @property
    def diff(self) -> dict[str, str]:
        """For --diff; secret content only as its checksum."""

        def shown(content: bytes | None) -> str:
            if content is None:
                return ""
            if self.wanted["secret"]:
                return f"(not shown) sha256 {hashlib.sha256(content).hexdigest()[:16]}\n"
            return content.decode(errors="replace")

        def attributes(content: bytes | None, mode: int, owner: tuple[int, int] | None) -> str:
            if content is None:
                return ""
            return f"# mode {mode:04o}, owner {owner[0]}:{owner[1]}\n" if owner else f"# mode {mode:04o}\n"

        old_mode = self.stat.st_mode & 0o7777 if self.stat else 0
        old_owner = (self.stat.st_uid, self.stat.st_gid) if self.stat else None
        return {
            "before_header": str(self.path),
            "after_header": str(self.path),
            "before": attributes(self.before, old_mode, old_owner) + shown(self.before),
            "after": attributes(self.after, int(self.wanted["mode"], 8), self.ids()) + shown(self.after),
        }

    def apply(self) -> None:
        """Makes the file what it should be: written beside it, then renamed over it."""
        if self.after is None:
            self.path.unlink(missing_ok=True)
            return
        ids = self.ids()
        if ids is None:
            raise ValueError(f"{self.path}: no user {self.wanted['owner']} or group {self.wanted['group']}")
        self._write(self.after, int(self.wanted["mode"], 8), ids)

    def undo(self) -> None:
        """Puts back what was there before."""
        if self.before is None or self.stat is None:
            self.path.unlink(missing_ok=True)
        else:
            self._write(self.before, self.stat.st_mode & 0o7777, (self.stat.st_uid, self.stat.st_gid))

    def _write(self, content: bytes, mode: int, ids: tuple[int, int]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            os.fchmod(descriptor, mode)
            os.fchown(descriptor, *ids)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).rename(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def planned(parameters: dict[str, Any], is_fresh: bool) -> list[Change]:
    """The files of a module's parameters that are not yet what they should be.

    Args:
        parameters: by SPEC.
        is_fresh: as in Change.

    Raises:
        ValueError: as in Change.
    """
    contents = parameters["secret_contents"]
    changes = [
        Change(wanted | ({"content": contents.get(wanted["dest"])} if wanted["secret"] else {}), is_fresh)
        for wanted in parameters["files"]
    ]
    return [change for change in changes if change.needed]


def apply_all(changes: list[Change]) -> None:
    """Applies every change, or none: what was written is put back when one of them fails."""
    done: list[Change] = []
    try:
        for change in changes:
            done.append(change)
            change.apply()
    except BaseException:
        undo_all(done)
        raise


def undo_all(changes: list[Change]) -> None:
    """Puts every file back as it was."""
    for change in reversed(changes):
        change.undo()


def openpgp_fingerprint(key: bytes) -> str:
    """Fingerprint of the one key in an OpenPGP public key file, armoured or not (RFC 4880, section 12.2).

    Raises:
        ValueError: this is no version 4 public key, or there are several: APT would trust them all.
    """
    try:
        packets = list(_packets(_dearmoured(key)))
    except IndexError as problem:
        raise ValueError("an OpenPGP key that is cut short") from problem
    keys = [body for tag, body in packets if tag == _PUBLIC_KEY]
    if not packets or packets[0][0] != _PUBLIC_KEY or not keys[0] or keys[0][0] != 4:
        raise ValueError("not a version 4 OpenPGP public key")
    if len(keys) > 1:
        raise ValueError(f"{len(keys)} OpenPGP keys in one file; APT would trust all of them, so it must be one")
    digest = hashlib.sha1(b"\x99" + len(keys[0]).to_bytes(2, "big") + keys[0])  # noqa: S324 - the standard's
    return digest.hexdigest().upper()


_PUBLIC_KEY = 6  # tag of a public-key packet, RFC 4880, section 4.3


def _dearmoured(key: bytes) -> bytes:
    """Every armoured block of a file, decoded (RFC 4880, section 6.2); what is not armoured as it is."""
    if b"-----BEGIN PGP" not in key:
        return key
    text = key.decode("ascii", "replace").replace("\r\n", "\n")
    blocks = re.findall(r"-----BEGIN PGP[^\n]*\n(?:[^\n]+\n)*\n(.*?)(?:\n=[^\n]*)?\n-----END PGP", text, re.S)
    return b"".join(base64.b64decode(block) for block in blocks)


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of every packet (RFC 4880, section 4.2)."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise ValueError("not an OpenPGP key")
        if head & 0x40:  # new packet format
            tag, first = head & 0x3F, data[at + 1]
            if first < 192:
                length, start = first, at + 2
            elif first < 224:
                length, start = ((first - 192) << 8) + data[at + 2] + 192, at + 3
            else:
                length, start = int.from_bytes(data[at + 2 : at + 6], "big"), at + 6
        else:
            tag, size = (head >> 2) & 0x0F, 1 << (head & 3)
            length, start = int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size
        yield tag, data[start : start + length]
        at = start + length
