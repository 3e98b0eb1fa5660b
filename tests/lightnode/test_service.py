"""The console's commands that change something: the next key, the release before, a pause."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightboot import chooser
from lightboot import state as states
from lightnode import keys
from lightnode.errors import NodeError
from lightnode.service import Service, releases
from lightwire import ecdsa, envelope, records, update

from tests.lightnode.parts import DEPLOYMENT, T0, Node
from tests.lightnode.parts import Settings as Values
from tests.lightnode.updating import NEW, OLD, Device, made

NONCE = "0f" * 16


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """Committed sequence 11 in directory b, sequence 10 in a."""
    found = Device(tmp_path / "app")
    found.take(made(sequence=11, floor=5))
    found.start()
    found.live(2)
    assert found.running == "b" and found.state.sequence == 11
    return found


def restarted(device: Device) -> None:
    """Power on, ten minutes later."""
    device.start(False)
    device.node.trust(device.node.journal.floor_ms + 600_000)


def service(folder: Path, node: Node, updates: Any = None) -> Service:
    """With the keys in a folder."""
    values = Values(state_dir=str(folder), broker__key=str(folder / "none"), deployment=DEPLOYMENT)
    board = SimpleNamespace(random=os.urandom)
    return Service(values, board, node.key, node.journal, node.clock, updates, node.sampler)


def called(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = asyncio.run(answer)
    return found


def a_node(folder: Path) -> Node:
    node = Node(open_key=lambda: keys.open_key(str(folder), os.urandom))
    node.trust(T0)
    return node


def test_rule_2_a_rotation_makes_the_next_key_and_states_it_under_the_one_before(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    said = called(service(tmp_path, node).rotate(NONCE))
    assert (said["generation"], said["running"], said["made"]) == (2, 1, True)
    statement = envelope.open_sealed(
        bytes.fromhex(said["enrolment"]), DEPLOYMENT, lambda d, s: ecdsa.verify(ecdsa.SECP256K1, node.key.public, d, s)
    )
    assert statement.device == node.key.device and statement.nonce.hex() == NONCE
    assert statement.public_key.hex() == said["public_key"] and said["signed_by"] == node.key.public.hex()


def test_rule_2_no_generation_is_skipped_before_the_back_end_has_signed_for_one(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    first = called(service(tmp_path, node).rotate(NONCE))
    for _ in range(5):
        again = called(service(tmp_path, node).rotate(NONCE))
        assert (again["generation"], again["made"], again["public_key"]) == (2, False, first["public_key"])
    node.restart()  # it runs under the new key, nothing is acknowledged yet
    asyncio.run(node.slots(3))
    node.journal.acknowledge(node.journal.seq - 1, b"i" * 8)
    assert called(service(tmp_path, node).rotate(NONCE))["generation"] in (2, 3)


def test_rule_2_when_the_back_end_signs_for_the_new_key_the_next_may_come(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    asyncio.run(node.slots(2))
    node.journal.acknowledge(node.journal.seq, b"i" * 8)
    called(service(tmp_path, node).rotate(NONCE))
    node.restart()
    node.trust(T0 + 60_000)
    assert called(service(tmp_path, node).rotate(NONCE))["generation"] == 2  # what is acknowledged is of the key before
    asyncio.run(node.slots(3))
    node.journal.acknowledge(node.journal.seq, b"i" * 8)
    assert called(service(tmp_path, node).rotate(NONCE))["generation"] == 3


@pytest.mark.parametrize("nonce", ["", "00", "zz" * 16, "0F" * 16, "0f" * 17])
def test_a_wrong_nonce_makes_no_key(tmp_path: Path, nonce: str) -> None:
    node = a_node(tmp_path)
    with pytest.raises(NodeError, match="32 hexadecimal digits"):
        called(service(tmp_path, node).rotate(nonce))
    assert keys.open_key(str(tmp_path), os.urandom).generation == 1


def test_rule_3_the_release_before_runs_after_the_next_start_and_is_reported(tmp_path: Path, device: Device) -> None:
    before = releases(device.updates)
    assert (before["running"], before["other"], before["committed"], before["last"]) == (
        11,
        10,
        11,
        "committed 11: none",
    )
    assert called(service(tmp_path, device.node, device.updates).rollback("10")) == {"sequence": 10, "restarts": True}
    assert device.updates.restart
    restarted(device)
    assert device.running == "a" and device.holds("a", OLD)
    device.live(2)
    assert device.outcomes()[-1] == (records.UPDATE_ROLLED_BACK, "none")
    after = releases(device.updates)
    assert (after["running"], after["other"], after["committed"], after["failed"]) == (10, 11, 11, 11)
    device.announce(made(sequence=11).announcement)
    assert device.outcomes()[-1][0] == records.UPDATE_REFUSED
    device.take(made(sequence=12))


def test_rule_1_a_repeated_rollback_does_not_go_forward(tmp_path: Path, device: Device) -> None:
    asked = service(tmp_path, device.node, device.updates)
    called(asked.rollback("10"))
    with pytest.raises(NodeError, match="is to be started already"):
        called(asked.rollback("10"))
    restarted(device)
    assert called(service(tmp_path, device.node, device.updates).rollback("10")) == {"sequence": 10, "restarts": False}
    restarted(device)
    assert device.running == "a"


def test_rule_3_a_release_on_trial_is_given_up_so(tmp_path: Path, device: Device) -> None:
    device.take(made(sequence=12, floor=5))
    restarted(device)
    assert device.updates.is_on_trial and device.running == "a"
    called(service(tmp_path, device.node, device.updates).rollback("11"))
    restarted(device)
    assert device.running == "b" and device.state.failed == 12
    device.live(2)
    assert device.outcomes()[-1] == (records.UPDATE_ROLLED_BACK, "none")


def refused(tmp_path: Path, device: Device, sequence: str, why: str) -> None:
    before = device.state.encode()
    with pytest.raises(NodeError, match=why):
        called(service(tmp_path, device.node, device.updates).rollback(sequence))
    assert device.state.encode() == before and not device.updates.restart


def test_rule_3_a_damaged_release_is_refused_by_the_file(tmp_path: Path, device: Device) -> None:
    path = device.root / "a" / "lightnode" / "app.py"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    refused(tmp_path, device, "10", "a/lightnode/app.py is not as it was released")


def test_rule_3_the_floor_rules(tmp_path: Path, device: Device) -> None:
    device.updates.state.floor = 11
    states.write(str(device.root), device.updates.state)
    refused(tmp_path, device, "10", "sequence 10 is below the floor 11")


def test_rule_3_another_sequence_than_the_one_before_is_refused(tmp_path: Path, device: Device) -> None:
    for wanted in ("9", "12", "", "x", "-1"):
        refused(tmp_path, device, wanted, "the release before this one is 10")


def test_rule_3_without_a_release_before_it_is_refused(tmp_path: Path) -> None:
    first = Device(tmp_path / "app")
    refused(tmp_path, first, "9", "no release before this one is held")


def test_rule_3_what_a_release_with_a_higher_floor_has_ended_does_not_come_back(tmp_path: Path) -> None:
    found = Device(tmp_path / "app")
    found.take(made(NEW, sequence=11, floor=11))
    found.start()
    found.live(2)
    refused(tmp_path, found, "10", "no release before this one is held")


def test_rule_4_in_a_pause_nothing_is_measured_and_the_gap_is_named(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    asyncio.run(node.slots(3))
    produced, seq = node.sampler.produced, node.journal.seq
    assert called(service(tmp_path, node).pause())["pending"] == seq
    asyncio.run(node.slots(20))
    assert (node.sampler.produced, node.journal.seq) == (produced, seq)
    asyncio.run(node.slots(140))
    assert node.sampler.produced > produced
    gap = node.kept(records.GAP)[-1]
    assert gap.cause == records.CAUSE_CLOCK and gap.end_ms - gap.start_ms >= 596_000


def test_update_reasons_have_words() -> None:
    assert update.REASONS[update.NONE] == "none" and chooser.SEALED_BYTES == update.SEALED_BYTES
