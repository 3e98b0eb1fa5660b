"""What the installer has the device sign, and what it is told of set-points."""

import asyncio
import base64
import hashlib
import os
from types import SimpleNamespace
from typing import Any

import pytest
from lightflash.key import is_signed
from lightnode.errors import NodeError
from lightnode.keys import DeviceKey
from lightnode.status import Status

KEY = DeviceKey(7, 2, os.urandom)
LIMITS = {"limits.max_withdrawal_w": 50_000, "limits.max_injection_w": 40_000}


def status() -> Any:
    config = SimpleNamespace(value=LIMITS.__getitem__)
    facts: Any = lambda: {"setpoint": "ab", "command": 4}  # noqa: E731
    return Status(config, None, KEY, None, None, None, facts, None)


def signed(word: str) -> dict[str, Any]:
    return dict(asyncio.run(status().sign(word)))


def test_rule_2_a_nonce_is_signed_behind_its_domain() -> None:
    nonce = bytes(range(32))
    answer = signed(base64.b64encode(nonce).decode())
    digest = hashlib.sha256(b"lightnode-console/1\n" + nonce).digest()
    assert answer["generation"] == 2
    assert is_signed(KEY.public, digest, bytes.fromhex(answer["signature"]))
    assert not is_signed(KEY.public, nonce, bytes.fromhex(answer["signature"]))


@pytest.mark.parametrize("count", [0, 16, 31, 33, 64])
def test_rule_2_only_32_bytes_are_signed(count: int) -> None:
    with pytest.raises(NodeError, match="32 bytes in base64"):
        signed(base64.b64encode(bytes(count)).decode())


@pytest.mark.parametrize("word", ["", "x", "=" * 44, "A" * 45, "A" * 43, "\u00e9" * 44, "A" * 40 + "===="])
def test_rule_2_what_is_no_nonce_is_refused(word: str) -> None:
    with pytest.raises(NodeError, match="32 bytes in base64"):
        signed(word)


def test_set_points_are_told_with_the_last_command_and_the_limits() -> None:
    told = asyncio.run(status().setpoint())
    assert told == {"setpoint": "ab", "command": 4, "max_withdrawal_w": 50_000, "max_injection_w": 40_000}
