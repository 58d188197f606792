"""Verifiers against the RFC's published exchange and against libpq's own."""

import base64
import hashlib
import hmac

import pytest

from ansible_collections.pgstead.platform.plugins.plugin_utils import scram

# RFC 7677, section 3: the exchange of user `user` with password `pencil`.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
EXCHANGE = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={NONCE}"
PROOF = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SERVER_SIGNATURE = base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")

# Made by libpq 17 (PQencryptPasswordConn): how a client spells these passwords: salt, StoredKey. The no-break
# space tells a password that is taken as it is from one that is normalised.
LIBPQ = {
    "ascii as it is": ("pencil", "aDr2iNVoZejwT8S3VZMctg==", "dQesQKNHcWKyUKCCuyGAUViJetkeZ/gkuXG4wxBnAMU="),
    "a no-break space": ("a\xa0b", "uHHKghxJVbQknLMwVoEr4g==", "lAq8RFpIN+X+lgdz9ApKtWBK5CbwLOUTD/NoAvufus8="),
    "a zero width space": ("a\u200bb", "KtLhE1QZzcze8ULaLFR7Eg==", "3+7kO2rONOpQE3NSnIyKIXldE6LiQ4ykJx3y6LNyy3I="),
    "a soft hyphen is nothing": ("I\xadX", "Dc0VvtymgUSt8Mcua+B2Mg==", "V7EZTSEA1N7BVmXzxbESXgRvsWH93WGHdL2YOkbai1I="),
    "a soft hyphen alone stays": ("\xad", "lWlwcOKqNMY5u/k3q/WRtg==", "9iyyLU+2vmlgmnazIRcj1dzhCYImg1t/DOJ7ilHsMSw="),
    "a Roman numeral": ("\u2168", "KZ2abFxRdkqAXRW+mdQZKg==", "YHYY8n0kRyw75L+tOKSqgE6jrjYhY6fwJSd2srgQyMw="),
    "private use: as it is": ("\xa0\ue000", "lQqiyiXzR/RkcS8/SaeK9Q==", "3OPJkjE4K6BmxWzzSTs3MBg7/Sl979Ss8NGBIxslhpw="),
    "an emoji: as it is": (
        "\xa0\U0001f511",
        "z5rcGk47MUMN9lO2Kf/x8w==",
        "Al4VJGH72Io2OGyKqUOlFlg4oJL2ImKFprDY4fmJ7Ro=",
    ),
    "a newer letter: as it is": ("\u2c7c", "cD+2a4e3crj3fFQUmFZniQ==", "vi4vUygXXK9wjELgwmoHHmNRnTONIeqk51I7AJimzlE="),
    "mixed directions: as it is": (
        "\xa0\u06271",
        "yjyMuNCbl9o19940LUJsWA==",
        "YtQQSeMuSUCELpOd3VPqLuaYRiplmAaPSjmAPwZxPjA=",
    ),
    "right-to-left alone: NFKC": (
        "\u0627\xa0\u0628",
        "yZOD/GzsvMs6v7360yyuOw==",
        "Y7aiZp75qT0V3FVDce7xRqcYU1BVKSgx9gBYTxjLN3U=",
    ),
}


def keys(verifier: str) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey."""
    stored, server = verifier.rsplit("$", 1)[1].split(":")
    return base64.b64decode(stored), base64.b64decode(server)


def accepts(verifier: str, proof: bytes) -> bool:
    """Whether a server that holds this verifier lets the client of the RFC in (RFC 5802, section 3)."""
    stored, _ = keys(verifier)
    signature = hmac.new(stored, EXCHANGE.encode(), hashlib.sha256).digest()
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    return hashlib.sha256(client_key).digest() == stored


@pytest.mark.parametrize(("password", "admitted"), [("pencil", True), ("Pencil", False), ("pencil ", False)])
def test_the_client_of_rfc_7677_gets_in_with_its_own_password_alone(password: str, admitted: bool) -> None:
    verifier = scram.verifier(password, SALT, 4096)
    assert accepts(verifier, PROOF) is admitted
    _, server = keys(verifier)
    assert (hmac.new(server, EXCHANGE.encode(), hashlib.sha256).digest() == SERVER_SIGNATURE) is admitted
    assert verifier.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")


def test_other_iterations_give_another_verifier() -> None:
    assert not accepts(scram.verifier("pencil", SALT, 4097), PROOF)


@pytest.mark.parametrize(("password", "salt", "stored"), LIBPQ.values(), ids=LIBPQ)
def test_passwords_are_spelled_as_libpq_spells_them(password: str, salt: str, stored: str) -> None:
    found, _ = scram.verifier(password, base64.b64decode(salt), 4096).rsplit(":", 1)
    assert found == f"SCRAM-SHA-256$4096:{salt}${stored}"


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("a\u3000b", "a b", True),
        ("\ufb01x", "fix", True),
        ("e\u0301", "\u00e9", True),
        ("\u00e9", "e", False),
        ("\u0627\u0628", "\u0628\u0627", False),
        ("a\u0627", "a", False),
    ],
)
def test_two_spellings_are_one_password_only_where_unicode_says_so(left: str, right: str, equal: bool) -> None:
    assert (scram.prepared(left) == scram.prepared(right)) is equal


def test_a_salt_is_the_same_every_time_and_another_for_every_role_and_key() -> None:
    assert scram.salt_of("app", "key") == scram.salt_of("app", "key")
    salts = {scram.salt_of(role, key) for role in ("app", "app2", "") for key in ("key", "key2")}
    assert len(salts) == 6
    assert {len(salt) for salt in salts} == {16}


def test_a_role_has_the_verifier_of_its_declared_secret() -> None:
    passwords = {"shared": "pencil", "scram_salt_key": "key"}
    found = scram.of_role(passwords, "app", "shared", 4096)
    assert found == scram.verifier("pencil", scram.salt_of("app", "key"), 4096)
    assert found != scram.of_role(passwords | {"shared": "pencil2"}, "app", "shared", 4096)


@pytest.mark.parametrize(
    ("passwords", "named"),
    [
        ({"scram_salt_key": "key"}, "secrets.app"),
        ({"app": "", "scram_salt_key": "key"}, "secrets.app"),
        ({"app": "hunter2hunter2"}, "secrets.scram_salt_key"),
        ({"app": "hunter2hunter2", "scram_salt_key": None}, "secrets.scram_salt_key"),
    ],
)
def test_a_missing_secret_is_named_and_no_other_is_shown(passwords: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} is missing from vault\.yml$"):
        scram.of_role(passwords, "app", "app", 4096)
