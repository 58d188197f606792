"""Files are written whole or not at all, and put back where they prove wrong."""

import base64
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import files

Wanted = Callable[..., dict[str, Any]]


@pytest.fixture
def wanted(tmp_path: Path, me: dict[str, str]) -> Wanted:
    """wanted("a.conf", "text"): a file of the user who runs the tests, as a module's parameters have it."""

    def make(name: str, content: str | None = None, **other: Any) -> dict[str, Any]:
        defaults = {"state": "present", "mode": "0640", "secret": False, "copy_of": None, "fingerprint": None, **me}
        return defaults | {"dest": str(tmp_path / name), "content": content} | other

    return make


def plan(*wishes: dict[str, Any], secrets: dict[str, str] | None = None, fresh: bool = False) -> list[files.Change]:
    return files.planned({"files": list(wishes), "secret_contents": secrets or {}}, fresh)


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:04o}"


def content_of(folder: Path) -> dict[str, str]:
    """Every file below, hidden ones too: what is left by a run that failed."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_missing_file_is_written_with_its_folders_and_then_needs_nothing(tmp_path: Path, wanted: Wanted) -> None:
    wish = wanted("etc/new/a.conf", "text\n")
    files.apply_all(plan(wish))
    path = tmp_path / "etc/new/a.conf"
    assert (path.read_text(), mode(path)) == ("text\n", "0640")
    assert plan(wish) == []


@pytest.mark.parametrize(("change", "needed"), [
    ({}, False), ({"content": "other"}, True), ({"content": ""}, True), ({"mode": "0600"}, True),
    ({"mode": "640"}, False),
    ({"owner": "nobody-has-this-name"}, True), ({"state": "absent"}, True),
])  # fmt: skip
def test_a_file_is_written_only_where_something_differs(wanted: Wanted, change: dict[str, Any], needed: bool) -> None:
    files.apply_all(plan(wanted("a", "text")))
    assert bool(plan(wanted("a", "text") | change)) is needed


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({}, "a: what it shall hold is not said; write src, content or copy_of"),
        ({"secret": True}, "a: what it shall hold is not said; write src, content or copy_of"),
    ],
)
def test_a_file_without_content_is_an_error_and_an_empty_one_is_none(
    tmp_path: Path, wanted: Wanted, wish: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        plan(wanted("b", "text"), wanted("a", **wish))
    assert content_of(tmp_path) == {}
    files.apply_all(plan(wanted("a", "")))
    assert content_of(tmp_path) == {"a": ""}


def test_a_file_that_shall_not_be_is_removed_once(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "a").write_text("text")
    files.apply_all(plan(wanted("a", state="absent")))
    assert not (tmp_path / "a").exists()
    assert plan(wanted("a", state="absent")) == []


def test_a_failure_puts_back_every_file(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "old").write_text("before")
    (tmp_path / "old").chmod(0o604)
    (tmp_path / "gone").write_text("kept")
    broken = wanted("broken", "text", owner="nobody-has-this-name")
    with pytest.raises(ValueError, match="no user nobody-has-this-name or group"):
        files.apply_all(plan(wanted("old", "after"), wanted("new", "x"), wanted("gone", state="absent"), broken))
    assert content_of(tmp_path) == {"old": "before", "gone": "kept"}
    assert mode(tmp_path / "old") == "0604"


def test_what_proves_wrong_later_can_be_put_back(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "old").write_text("before")
    changes = plan(wanted("old", "after"), wanted("new", "x"))
    files.apply_all(changes)
    assert content_of(tmp_path) == {"old": "after", "new": "x"}
    files.undo_all(changes)
    assert content_of(tmp_path) == {"old": "before"}


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("before")
    changes = plan(wanted("a", "after"))

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        changes[0].apply()
    assert content_of(tmp_path) == {"a": "before"}


def test_a_file_is_replaced_and_never_written_into(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "a").write_text("before")
    with (tmp_path / "a").open() as reader:  # a server that has the old file open
        files.apply_all(plan(wanted("a", "after")))
        assert reader.read() == "before"


def test_a_secret_comes_apart_from_its_file_and_is_in_no_diff(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "a").write_text("old-hunter2")
    (change,) = plan(wanted("a", "(not shown)", secret=True), secrets={str(tmp_path / "a"): "new-hunter2"})
    assert "hunter2" not in str(change.diff)
    assert change.diff["before"] != change.diff["after"]
    change.apply()
    assert (tmp_path / "a").read_text() == "new-hunter2"


def test_a_diff_shows_content_and_mode_of_what_is_no_secret(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "a").write_text("before\n")
    (tmp_path / "a").chmod(0o600)
    diff = plan(wanted("a", "after\n"))[0].diff
    owner = f"owner {os.geteuid()}:{os.getegid()}"
    assert diff["before"].startswith("# mode 0600, owner ")
    assert diff["before"].endswith("\nbefore\n")
    assert diff["after"] == f"# mode 0640, {owner}\nafter\n"
    assert plan(wanted("new", "x"))[0].diff["before"] == ""
    assert plan(wanted("a", state="absent"))[0].diff["after"] == ""


def test_a_copy_is_made_of_a_file_that_is_there(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "source").write_bytes(b"\x00\xff")
    files.apply_all(plan(wanted("a", copy_of=str(tmp_path / "source"))))
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"


def test_a_copy_of_nothing_is_refused_but_on_a_host_where_nothing_is_yet(tmp_path: Path, wanted: Wanted) -> None:
    wish = wanted("a", copy_of=str(tmp_path / "source"), fingerprint="0" * 40)
    with pytest.raises(ValueError, match="source: no such file"):
        plan(wish)
    assert len(plan(wish, fresh=True)) == 1


# ---- keys ----------------------------------------------------------------------------------------------

# A version 4 public key packet by hand: version, time, RSA, modulus, exponent (RFC 4880, section 5.5.2).
SHORT = (
    b"\x04" + struct.pack(">IB", 1_700_000_000, 1) + struct.pack(">H", 1024) + b"\x8a" * 128 + b"\x00\x11\x01\x00\x01"
)
LONG = (
    b"\x04" + struct.pack(">IB", 1_700_000_001, 1) + struct.pack(">H", 4096) + b"\x9b" * 512 + b"\x00\x11\x01\x00\x01"
)
USER_ID = b"\xb4\x05alice"


def sha1_of(body: bytes) -> str:
    """RFC 4880, section 12.2."""
    return hashlib.sha1(b"\x99" + struct.pack(">H", len(body)) + body).hexdigest().upper()  # noqa: S324


def armoured(data: bytes, newline: str = "\n", headers: str = "") -> bytes:
    lines = ["-----BEGIN PGP PUBLIC KEY BLOCK-----", *headers.splitlines(), ""]
    text = base64.b64encode(data).decode()
    lines += [text[i : i + 64] for i in range(0, len(text), 64)] + ["=abcd", "-----END PGP PUBLIC KEY BLOCK-----", ""]
    return newline.join(lines).encode()


OLD = b"\x98" + bytes([len(SHORT)]) + SHORT + USER_ID
KEYS = {
    "old format, one octet": (OLD, SHORT),
    "old format, two octets": (b"\x99" + struct.pack(">H", len(LONG)) + LONG + USER_ID, LONG),
    "old format, four octets": (b"\x9a" + struct.pack(">I", len(LONG)) + LONG + USER_ID, LONG),
    "new format, one octet": (b"\xc6" + bytes([len(SHORT)]) + SHORT + USER_ID, SHORT),
    "new format, two octets": (b"\xc6" + struct.pack(">H", len(LONG) - 192 + (192 << 8)) + LONG + USER_ID, LONG),
    "new format, five octets": (b"\xc6\xff" + struct.pack(">I", len(LONG)) + LONG + USER_ID, LONG),
    "armoured": (armoured(OLD), SHORT),
    "armoured with headers": (armoured(OLD, headers="Version: x\nComment: y"), SHORT),
    "armoured on Windows": (armoured(OLD, "\r\n"), SHORT),
}


@pytest.mark.parametrize(("key", "body"), KEYS.values(), ids=KEYS)
def test_the_fingerprint_is_that_of_the_primary_key(key: bytes, body: bytes) -> None:
    assert files.openpgp_fingerprint(key) == sha1_of(body)


@pytest.mark.parametrize(
    "key",
    [b"", b"text", b"\xc6", b"\xb4\x05alice", b"\x94" + OLD[1:], b"\x98\x06\x03" + SHORT[1:6], armoured(USER_ID),
     b"-----BEGIN PGP PUBLIC KEY BLOCK-----"],
    ids=["nothing", "a text", "cut after a byte", "a user", "a secret key", "version 3", "an armoured user",
         "armour alone"],
)  # fmt: skip
def test_what_is_no_public_key_has_no_fingerprint(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        files.openpgp_fingerprint(key)


@pytest.mark.parametrize("spelling", [sha1_of(SHORT), sha1_of(SHORT).lower(), " ".join(sha1_of(SHORT))])
def test_a_key_with_the_declared_fingerprint_is_taken(tmp_path: Path, wanted: Wanted, spelling: str) -> None:
    (tmp_path / "source").write_bytes(OLD)
    assert len(plan(wanted("key", copy_of=str(tmp_path / "source"), fingerprint=spelling))) == 1


def test_a_key_with_another_fingerprint_is_refused_and_both_are_named(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "source").write_bytes(OLD)
    with pytest.raises(ValueError, match=f"fingerprint is {sha1_of(SHORT)}, expected {sha1_of(LONG)}"):
        plan(wanted("key", copy_of=str(tmp_path / "source"), fingerprint=sha1_of(LONG)))
