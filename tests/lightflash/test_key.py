"""Signing keys: made once, kept to their owner, refused otherwise; nothing of the secret is ever said."""

import os
from pathlib import Path

import pytest
from lightflash.errors import FlashError
from lightflash.key import is_signed, make_key, open_key

from tests.lightflash.test_cli import flash


def test_a_key_signs_and_is_the_same_when_opened_again(tmp_path: Path) -> None:
    made = make_key(tmp_path / "k")
    opened = open_key(tmp_path / "k")
    assert opened.public == made.public
    signature = opened.sign(bytes(32))
    assert signature == made.sign(bytes(32))
    assert is_signed(made.public, bytes(32), signature)
    assert not is_signed(made.public, b"\1" * 32, signature)


@pytest.mark.parametrize("signature", [b"", bytes(64), b"\xff" * 64, bytes(65)])
def test_what_is_no_signature_does_not_hold(tmp_path: Path, signature: bytes) -> None:
    assert not is_signed(make_key(tmp_path / "k").public, bytes(32), signature)


def test_a_key_is_never_made_over_a_file(tmp_path: Path) -> None:
    make_key(tmp_path / "k")
    before = (tmp_path / "k").read_bytes()
    with pytest.raises(FlashError, match="cannot be made"):
        make_key(tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == before
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_can_read_is_refused_with_the_cure(tmp_path: Path) -> None:
    make_key(tmp_path / "k")
    os.chmod(tmp_path / "k", 0o640)
    with pytest.raises(FlashError, match="chmod 600"):
        open_key(tmp_path / "k")


@pytest.mark.parametrize("data", [b"", bytes(32), b"\xff" * 32, b"x" * 31, b"x" * 33])
def test_what_is_no_key_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "k").write_bytes(data)
    os.chmod(tmp_path / "k", 0o600)
    with pytest.raises(FlashError):
        open_key(tmp_path / "k")


def test_the_command_says_the_public_part_only(tmp_path: Path) -> None:
    done = flash("key", str(tmp_path / "k"), "--make", "--json")
    secret = (tmp_path / "k").read_bytes().hex()
    assert done.returncode == 0
    assert open_key(tmp_path / "k").public.hex() in done.stdout
    assert secret not in done.stdout + done.stderr
