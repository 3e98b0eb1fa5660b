"""The key file on the file system of each target: rotated, read again, torn; and what each generation signs."""

import hashlib

import pytest
from lightwire import ecdsa

from hil.targets.target import Job, Target

pytestmark = pytest.mark.timeout(600)

SCRIPT = """
import hashlib, os
from lightnode import errors, keys
if os.getcwd()[:4] == "/rom":
    os.chdir("/")  # the chip's script lies in memory that cannot be written
state = [b"keys"]
def random(count):
    state[0] = hashlib.sha256(state[0]).digest()
    return state[0][:count]
def refusal(use, *arguments):
    try:
        use(*arguments)
    except errors.NodeError as error:
        return str(error)
    return "taken"
first = keys.open_key(".", random)
made = [first] + [keys.rotate(".", random) for _ in range(keys.KEPT - 1)]
print(refusal(keys.rotate, ".", random))
held = keys.open_key(".", random)
assert [one.generation for one in (held,) + held.older] == [4, 3, 2, 1]
assert held.device == first.device
digest = hashlib.sha256(b"message").digest()
for one in made:
    assert held.of(one.generation).public == one.public
    print(one.public.hex(), held.of(one.generation).sign(digest).hex())
keys.retire(".", held, 3)
held = keys.open_key(".", random)
assert [one.generation for one in (held,) + held.older] == [4, 3] and held.device == first.device
assert "device.key.new" not in os.listdir(".")
with open("device.key", "rb") as file:
    whole = file.read()
with open("device.key.new", "wb") as file:
    file.write(whole[:50])
assert keys.rotate(".", random).generation == 5
with open("device.key", "wb") as file:
    file.write(whole[:50])
print(refusal(keys.open_key, ".", random))
"""


def test_generations_are_kept_rotated_and_dropped(target: Target) -> None:
    full, *signed, torn = target.run(Job(SCRIPT)).splitlines()
    assert full == "4 key generations are still in use: rotate when the journal no longer needs the oldest"
    assert torn == "./device.key is damaged: enrol the device again"
    digest = hashlib.sha256(b"message").digest()
    assert len(signed) == len(set(signed)) == 4
    for line in signed:
        public, signature = (bytes.fromhex(word) for word in line.split())
        assert ecdsa.verify(ecdsa.SECP256K1, public, digest, signature)


RANDOM_NONCES = """
import asyncio, hashlib
from lightnode import board, journal, keys, recorder
from lightwire import ecdsa, records

here = board.load()
ecdsa._nonce = lambda curve, secret, z: int.from_bytes(here.random(31), "big") + 1
key = keys.DeviceKey(0x1234567890ABCDEF, 1, here.random)
key.is_deterministic = False
assert key.sign(bytes(32)) != key.sign(bytes(32))

def started():
    kept = journal.Journal(here.open_flash("journal", 65536), key.device)
    return kept, recorder.Recorder(key, kept, bytes(16))

async def sent(keeper):
    found = []
    for seq in (1, 2, 3):
        found.append(await keeper.sealed(seq))
    return found

async def main():
    kept, keeper = started()
    for slot in range(3):
        await keeper.keep(lambda *whose: records.Gap(*whose, records.CAUSE_METER, 4000 * slot, 4000 * slot + 4000, 1, 0, 0))
    first = await sent(keeper)
    kept, keeper = started()
    await keeper.ready()
    print(first == await sent(keeper), len(kept.signature(4)), kept.find(4).KIND == records.STATEMENT)

asyncio.run(main())
"""


@pytest.mark.needs("flash", "asyncio")
def test_what_a_key_with_random_signatures_has_signed_is_the_same_after_a_restart(target: Target) -> None:
    assert target.run(Job(RANDOM_NONCES)).split() == ["True", "64", "True"]
