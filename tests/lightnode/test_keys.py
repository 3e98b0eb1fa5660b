"""Key generations: the file over cuts, what is signed with which key, when an old secret goes, and the chain over it all."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lightnode import keys
from lightnode.errors import JournalError, NodeError
from lightnode.journal import Journal
from lightnode.keys import DeviceKey
from lightwire import ecdsa, envelope, merkle, records

from hil.flash import CutRecorder, NorFlash
from tests.lightnode.parts import DEPLOYMENT, QUARTER_MS, T0, Node, sealed

START = T0 + QUARTER_MS - 5 * 4000
INCARNATION = b"scd one."
NONCE = bytes(range(16))


def counted(seed: bytes = b"keys") -> Callable[[int], bytes]:
    """Random bytes that repeat a failure."""
    state = [hashlib.sha256(seed).digest()]

    def random(count: int) -> bytes:
        state[0] = hashlib.sha256(state[0]).digest()
        return state[0][:count]

    return random


RANDOM = counted()


def node_in(folder: Path, flash: NorFlash | None = None) -> Node:
    """A light node that opens its key file at each start."""
    return Node(flash, lambda: keys.open_key(str(folder), RANDOM))


def retire(folder: Path, node: Node) -> list[int]:
    """What a start does about old keys; the generations that are left, newest first."""
    keys.retire(str(folder), node.key, keys.oldest_generation(node.journal))
    return generations(keys.open_key(str(folder), RANDOM))


def generations(key: DeviceKey) -> list[int]:
    return [one.generation for one in (key, *key.older)]


def check_seals(node: Node, publics: dict[int, bytes]) -> None:
    """Each record verifies with the key of its generation, and with no other."""
    for record in node.kept():
        message = node.sealed(record.seq)
        for generation, public in publics.items():
            payload, signature, algorithm = envelope.split(message)
            digest = envelope.digest(payload, DEPLOYMENT, algorithm)
            holds = ecdsa.verify(ecdsa.SECP256K1, public, digest, signature)
            assert holds is (generation == record.generation), (record, generation)


def check_chain(node: Node) -> list[records.BatchStatement]:
    """Every record is in one statement of its own generation's records, each statement names the one before."""
    everything = {r.seq: r for r in node.kept()}
    previous, upto = bytes(32), 0
    for one in node.kept(records.STATEMENT):
        inside = [everything[seq] for seq in range(one.first_seq, one.last_seq + 1)]
        assert one.first_seq == upto + 1 and one.count == len(inside)
        assert len({r.generation for r in inside}) == 1
        assert one.root == merkle.root([merkle.leaf_hash(sealed(r, node.key.of(r.generation))) for r in inside])
        assert one.previous == previous
        previous, upto = envelope.payload_digest(records.encode(one)), one.seq
    return node.kept(records.STATEMENT)


def test_2_a_rotated_node_drains_each_record_under_the_key_it_was_made_with(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    first = node.key
    node.trust(START)
    asyncio.run(node.slots(9))
    before = {r.seq: node.sealed(r.seq) for r in node.kept()}
    second = keys.rotate(str(tmp_path), RANDOM)
    assert (second.generation, second.device) == (2, first.device) and second.public != first.public
    node.restart()
    node.trust(START + 40_000)
    asyncio.run(node.slots(4))
    asyncio.run(node.recorder.close_batch())
    assert {seq: node.sealed(seq) for seq in before} == before
    check_seals(node, {1: first.public, 2: second.public})
    statements = check_chain(node)
    assert [one.generation for one in statements] == [
        1,
        2,
        2,
    ]  # the second closes, after the start, what the first key made
    assert {r.generation for r in node.kept()} == {1, 2} and {r.device for r in node.kept()} == {first.device}
    seq, drained = 0, []
    while True:
        seq, message = asyncio.run(node.recorder.following(seq))
        if not message:
            break
        drained.append(message)
    assert drained == [node.sealed(r.seq) for r in node.kept()]


def test_2_three_generations_in_one_sector_and_over_full_sectors(tmp_path: Path) -> None:
    node = node_in(tmp_path, NorFlash(8))
    publics = {1: node.key.public}
    for generation in (2, 3):
        node.trust(START + generation * 1_800_000)
        asyncio.run(node.slots(200 if generation == 3 else 5))
        publics[generation] = keys.rotate(str(tmp_path), RANDOM).public
        node.restart()
    node.trust(START + 4 * 1_800_000)
    asyncio.run(node.slots(3))
    assert {r.generation for r in node.kept()} == {1, 2, 3}
    check_chain(node)
    check_seals(node, publics)


def test_2_a_record_that_a_cut_left_unsealed_under_the_old_key_is_written_again_under_it(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    node.trust(START)
    asyncio.run(node.slots(2))
    last = node.kept()[-1]
    keys.rotate(str(tmp_path), RANDOM)
    node.restart()
    assert [r for r in node.kept() if r.seq == last.seq] == [last] and last.generation == 1
    check_chain(node)


def test_2_the_key_before_introduces_the_next_one_again_whenever_it_is_asked(tmp_path: Path) -> None:
    first = keys.open_key(str(tmp_path), RANDOM)
    second = keys.rotate(str(tmp_path), RANDOM)
    for key in (second, keys.open_key(str(tmp_path), RANDOM)):
        enrolment, signer = keys.introduce(key, bytes(32), NONCE, 77)
        assert (enrolment.device, enrolment.generation) == (first.device, 2)
        assert enrolment.public_key == second.public and signer.public == first.public
    enrolment, signer = keys.introduce(first, bytes(32), NONCE, 77)
    assert signer.public == enrolment.public_key == first.public


def test_3_an_old_secret_goes_when_the_journal_holds_nothing_of_it_and_the_later_key_was_signed_for(
    tmp_path: Path,
) -> None:
    node = node_in(tmp_path, NorFlash(4))
    old = (tmp_path / "device.key").read_bytes()[3:35]
    node.trust(START)
    asyncio.run(node.slots(4))
    keys.rotate(str(tmp_path), RANDOM)
    node.restart()
    assert retire(tmp_path, node) == [2, 1]
    node.trust(START + 40_000)
    asyncio.run(node.slots(700))
    assert {r.generation for r in node.kept()} == {2}
    node.restart()
    assert retire(tmp_path, node) == [2, 1]  # the ring dropped them, but nobody has signed for the new key
    node.journal.acknowledge(node.journal.seq, INCARNATION)
    node.restart()
    assert retire(tmp_path, node) == [2]
    assert old not in (tmp_path / "device.key").read_bytes()
    assert node.key.device == hashlib.sha256(ecdsa.public_key(ecdsa.SECP256K1, int.from_bytes(old, "big"))).digest()[:8]
    enrolment, signer = keys.introduce(keys.open_key(str(tmp_path), RANDOM), bytes(32), NONCE, 1)
    assert signer.generation == enrolment.generation == 2


def test_3_what_is_acknowledged_but_held_keeps_its_key_for_a_back_end_restored_from_a_backup(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    node.trust(START)
    asyncio.run(node.slots(4))
    keys.rotate(str(tmp_path), RANDOM)
    node.restart()
    node.journal.acknowledge(node.journal.seq, INCARNATION)
    node.restart()
    assert retire(tmp_path, node) == [2, 1]
    node.journal.acknowledge(0, b"restored")
    assert envelope.peek(node.sealed(1)).generation == 1


def test_3_no_more_than_the_bound_are_kept(tmp_path: Path) -> None:
    made = [keys.open_key(str(tmp_path), RANDOM)] + [keys.rotate(str(tmp_path), RANDOM) for _ in range(keys.KEPT - 1)]
    kept = (tmp_path / "device.key").read_bytes()
    with pytest.raises(NodeError, match="4 key generations are still in use: rotate when the journal"):
        keys.rotate(str(tmp_path), RANDOM)
    assert (tmp_path / "device.key").read_bytes() == kept
    assert generations(keys.open_key(str(tmp_path), RANDOM)) == [4, 3, 2, 1]
    assert len({key.public for key in made}) == 4 and len({key.device for key in made}) == 1


def test_a_key_of_a_generation_that_is_not_held_is_refused_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="key generation 2 is not in the key file"):
        keys.open_key(str(tmp_path), RANDOM).of(2)


def test_an_older_key_file_beside_a_newer_journal_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    backup = (tmp_path / "device.key").read_bytes()
    keys.rotate(str(tmp_path), RANDOM)
    node.restart()
    boot, cells = node.journal.boot, bytes(node.flash.cells)
    (tmp_path / "device.key").write_bytes(backup)
    with pytest.raises(JournalError, match="made under key generation 2, the key is of 1"):
        node.restart()
    assert bytes(node.flash.cells) == cells
    assert Journal(node.flash, node.key.device, 2).boot == boot + 1


def test_a_file_of_one_key_as_it_always_was_is_read_and_written(tmp_path: Path) -> None:
    secret, generation = (5).to_bytes(32, "big"), (1).to_bytes(2, "big")
    body = b"\x02" + generation + secret
    (tmp_path / "device.key").write_bytes(body + hashlib.sha256(body).digest()[:8])
    key = keys.open_key(str(tmp_path), RANDOM)
    assert (key.public, key.generation, key.older) == (ecdsa.public_key(ecdsa.SECP256K1, 5), 1, ())
    keys.open_key(str(tmp_path / "new" if (tmp_path / "new").mkdir() else tmp_path / "new"), RANDOM)
    made = (tmp_path / "new" / "device.key").read_bytes()
    assert len(made) == 43 and made[:3] == b"\x02\x00\x01"


def test_1_a_cut_in_the_new_file_leaves_the_old_key_and_the_next_rotation_is_whole(tmp_path: Path) -> None:
    first = keys.open_key(str(tmp_path), RANDOM)
    old = (tmp_path / "device.key").read_bytes()
    keys.rotate(str(tmp_path), counted(b"cut"))
    new = (tmp_path / "device.key").read_bytes()
    for length in range(len(new) + 1):
        (tmp_path / "device.key").write_bytes(old)
        (tmp_path / "device.key.new").write_bytes(new[:length])
        assert generations(keys.open_key(str(tmp_path), RANDOM)) == [1], length
    rotated = keys.rotate(str(tmp_path), RANDOM)
    assert rotated.older[0].public == first.public and not (tmp_path / "device.key.new").exists()


@pytest.mark.parametrize("rotations", [0, 1, 3])
def test_1_a_torn_or_changed_file_is_seen_and_never_replaced_by_a_new_key(tmp_path: Path, rotations: int) -> None:
    keys.open_key(str(tmp_path), RANDOM)
    for _ in range(rotations):
        keys.rotate(str(tmp_path), RANDOM)
    path = tmp_path / "device.key"
    whole = path.read_bytes()
    torn = [whole[:length] for length in range(len(whole))]
    torn += [whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :] for at in range(len(whole))]
    for data in [*torn, whole + b"\x00", bytes(len(whole)), b"\xff" * len(whole)]:
        path.write_bytes(data)
        for use in (keys.open_key, keys.rotate):
            with pytest.raises(NodeError, match="is damaged: enrol the device again"):
                use(str(tmp_path), RANDOM)
        assert path.read_bytes() == data


def test_1_a_folder_that_cannot_be_written_leaves_the_old_key(tmp_path: Path) -> None:
    keys.open_key(str(tmp_path), RANDOM)
    (tmp_path / "device.key.new").mkdir()
    with pytest.raises(NodeError, match="the key cannot be kept in") as refused:
        keys.rotate(str(tmp_path), RANDOM)
    assert os.strerror(errno.EISDIR) in str(refused.value)
    assert generations(keys.open_key(str(tmp_path), RANDOM)) == [1]


def test_a_secret_outside_the_range_is_drawn_again(tmp_path: Path) -> None:
    draws = [bytes(32), b"\xff" * 32, (7).to_bytes(32, "big")]
    key = keys.open_key(str(tmp_path), lambda count: draws.pop(0))
    assert key.public == ecdsa.public_key(ecdsa.SECP256K1, 7)


def test_1_2_a_cut_at_the_first_start_under_a_new_key_loses_nothing_and_keeps_the_chain(tmp_path: Path) -> None:
    """Cuts in each write of that start and of the slots after it; then life goes on under the new key."""
    is_cut = [False]
    flash = CutRecorder(8, 1, lambda _operation, steps: sorted({0, steps // 2, steps - 1}) if is_cut[0] else [])
    node = node_in(tmp_path, flash)
    publics = {1: node.key.public}
    node.trust(START)
    asyncio.run(node.slots(8))
    before = {record.seq: node.sealed(record.seq) for record in node.kept()}
    publics[2] = keys.rotate(str(tmp_path), RANDOM).public
    images: list[NorFlash] = []
    flash.on_cut = lambda image, _operation: images.append(image)
    is_cut[0] = True
    node.restart()
    node.trust(START + 40_000)
    asyncio.run(node.slots(3))
    assert len(images) > 20
    for image in images:
        after = node_in(tmp_path, image)
        assert {seq: after.sealed(seq) for seq in before} == before
        after.trust(START + 80_000)
        asyncio.run(after.slots(2))
        asyncio.run(after.recorder.close_batch())
        check_chain(after)
        check_seals(after, publics)
        assert {record.generation for record in after.kept() if record.boot > 1} == {2}
