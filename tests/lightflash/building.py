"""Builds for tests: one unsigned build for each board, made once."""

import hashlib
from functools import cache

from lightflash import board as boards
from lightflash.build import Build, build
from lightflash.compiled import FIRMWARE
from lightflash.key import Key
from lightflash.release import Terms

T0 = 1_796_040_000_000
DAY = 86_400_000
DEPLOYMENT = bytes(range(16))
KEY = Key(hashlib.sha256(b"an update key of the tests").digest())
TERMS = Terms(sequence=12, created_ms=T0, expires_ms=T0 + 100 * DAY, deployment=DEPLOYMENT, floor=3)


@cache
def built(name: str) -> Build:
    return build(FIRMWARE, boards.board(name))


@cache
def signed(name: str) -> Build:
    return build(FIRMWARE, boards.board(name), TERMS, KEY)
