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
