"""The agent's key: made once, for its owner only, the same signatures as the wire's own code."""

import hashlib
from pathlib import Path

import pytest
from lightwire import ecdsa

from edge_agent.errors import AgentError
from edge_agent.keys import make_key, open_key, verifier

DIGEST = hashlib.sha256(b"x").digest()


def test_a_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "agent.key"
    first, again = make_key(path), make_key(path)
    assert first.public == again.public == open_key(path).public
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.agent == hashlib.sha256(first.public).digest()[:8]


def test_its_signatures_are_those_of_the_wire(tmp_path: Path) -> None:
    key = make_key(tmp_path / "agent.key")
    secret = int.from_bytes((tmp_path / "agent.key").read_bytes(), "big")
    signature = key.sign(DIGEST)
    assert signature == ecdsa.sign(ecdsa.SECP256K1, secret, DIGEST)
    assert verifier(key.public)(DIGEST, signature)


def test_a_high_s_a_wrong_length_and_zeros_are_not_believed(tmp_path: Path) -> None:
    key = make_key(tmp_path / "agent.key")
    signature, verify = key.sign(DIGEST), verifier(key.public)
    high = ecdsa.SECP256K1.n - int.from_bytes(signature[32:], "big")
    for wrong in (signature[:32] + high.to_bytes(32, "big"), signature[:63], bytes(64), b"\xff" * 64, b""):
        assert not verify(DIGEST, wrong)


def test_a_missing_open_or_damaged_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    with pytest.raises(AgentError, match="enrol the agent first"):
        open_key(path)
    make_key(path)
    path.chmod(0o644)
    with pytest.raises(AgentError, match="chmod 600"):
        open_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(AgentError, match="5 bytes, a key has 32"):
        open_key(path)


def test_bytes_that_are_no_key_are_refused() -> None:
    with pytest.raises(AgentError, match="is no public key"):
        verifier(bytes(33))
