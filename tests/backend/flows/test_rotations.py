"""The next key of a device, stated offline: a file of the flasher's form, the operator's commands, the register's entry."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import envelope, records

from backend import cli
from backend.adapters.keys import verifier
from backend.adapters.rotations import RotationStore
from backend.errors import Rejected
from backend.flows.rotations import FORMAT, Rotations, handed_in
from tests.backend.flows.test_kits import Node
from tests.lightflash.enrolments import DEPLOYMENT, LOG, POD, Registry, now_ms

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    key = tmp_path / "back-end" / "keys" / "log.key"
    key.parent.mkdir(parents=True)
    key.touch(0o600)
    key.write_bytes(bytes(31) + b"\x07")  # LOG's: every process that writes seals with it
    return Registry(tmp_path / "back-end")


@pytest.fixture
def node(tmp_path: Path, registry: Registry) -> Node:
    """A registered light node."""
    made = Node(tmp_path / "node")
    assert registry.take(made.statement(registry.kit()))["outcome"] == "registered"
    return made


def asked(registry: Registry, capsys: Captured, *words: str) -> tuple[int, dict[str, Any]]:
    """(exit code, JSON) of `lightnode nodes ...`."""
    capsys.readouterr()
    code = cli.main(["nodes", *words, "--folder", str(registry.folder), "--json"])
    return code, json.loads(capsys.readouterr().out)


def stated(node: Node, nonce: str, **changes: object) -> dict[str, object]:
    """As `lightnode-flash rotate-key` writes it."""
    said = node.answer(bytes.fromhex(nonce), to_rotate=True)
    return {
        "format": FORMAT, "device": said["device"], "generation": said["generation"], "nonce": nonce,
        "public_key": said["public_key"], "deployment": DEPLOYMENT.hex(), "enrolment": said["enrolment"], **changes,
    }  # fmt: skip


def works(registry: Registry) -> Rotations:
    """The back end that runs."""
    return Rotations(registry.store, RotationStore(registry.store), registry.enrolments._register)


def test_a_rotation_made_offline_reaches_the_register_by_the_documented_commands(
    registry: Registry, node: Node, tmp_path: Path, capsys: Captured
) -> None:
    (device, pod) = registry.nodes()[0]
    code, drawn = asked(registry, capsys, "nonce", device)
    assert code == 0 and len(drawn["nonce"]) == 32
    file = tmp_path / "rotation.json"
    file.write_text(json.dumps(stated(node, drawn["nonce"])))
    code, said = asked(registry, capsys, "rotate", str(file), "--wait", "0")
    assert (code, said["state"]) == (4, "waiting") and len(registry.store.parties()) == 1
    registered_ms = now_ms() + 60_000
    (done,) = works(registry).take(registered_ms)
    assert done.state == "registered" and works(registry).take(registered_ms) == []
    for _ in range(2):
        code, said = asked(registry, capsys, "rotate", str(file))
        assert (code, said["state"], said["generation"], said["pod"]) == (0, "registered", 2, pod)
    first, second = sorted(registry.store.parties(), key=lambda party: party.generation)
    entry = envelope.open_sealed(second.entry, DEPLOYMENT, verifier(LOG.public))
    assert (entry.action, entry.valid_from_ms, entry.time_ms) == (records.ROTATE, drawn["drawn_ms"], registered_ms)
    assert first.valid_to_ms > registered_ms < second.valid_to_ms
    code, listed = asked(registry, capsys, "list")
    assert [(row["generation"], row["from_ms"], row["revoked"]) for row in listed["nodes"]] == [
        (1, first.valid_from_ms, False), (2, drawn["drawn_ms"], False),
    ]  # fmt: skip


Broken = Callable[[Registry, Node, str], dict[str, object]]


def of_another(registry: Registry, node: Node, nonce: str) -> dict[str, object]:
    other = Node(node.folder / "other")
    other.answer(os.urandom(16))
    return stated(other, nonce)


def forged(_registry: Registry, node: Node, nonce: str) -> dict[str, object]:
    said = stated(node, nonce)
    claimed = envelope.peek(bytes.fromhex(str(said["enrolment"])))
    return said | {"enrolment": envelope.seal(claimed, DEPLOYMENT, LOG.sign).hex()}


def other_nonce(_registry: Registry, node: Node, nonce: str) -> dict[str, object]:
    return stated(node, "00" * 16) | {"nonce": nonce}


def not_drawn(_registry: Registry, node: Node, _nonce: str) -> dict[str, object]:
    return stated(node, "00" * 16)


def skipped(_registry: Registry, node: Node, nonce: str) -> dict[str, object]:
    stated(node, nonce)
    return stated(node, nonce)


def a_first_key(_registry: Registry, node: Node, nonce: str) -> dict[str, object]:
    return stated(node, nonce) | {"enrolment": node.answer(bytes.fromhex(nonce))["enrolment"], "format": "other/1"}


def revoked(registry: Registry, node: Node, nonce: str) -> dict[str, object]:
    said = stated(node, nonce)
    registry.enrolments._register.revoke(bytes.fromhex(str(said["device"])), 1, now_ms())
    return said


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (of_another, "the nonce is for device"),
        (forged, "enrolment: signature of kind"),
        (other_nonce, "answers another nonce"),
        (not_drawn, "a nonce that was not drawn here"),
        (skipped, "generation 2 of this device is not registered"),
        (a_first_key, f"no statement of the format {FORMAT}"),
        (revoked, "key 1 of .* is revoked"),
    ],
)
def test_1_what_does_not_hold_is_refused_by_name_and_registers_nothing(
    broken: Broken, reason: str, registry: Registry, node: Node, capsys: Captured
) -> None:
    _, drawn = asked(registry, capsys, "nonce", registry.nodes()[0][0])
    said = broken(registry, node, drawn["nonce"])
    store = RotationStore(registry.store)
    with pytest.raises(Rejected, match=reason):
        handed_in(store, json.dumps(said).encode())
        (done,) = works(registry).take(now_ms())
        raise Rejected(done.reason)
    assert [party.generation for party in registry.store.parties()] == [1]


def test_2_a_refused_statement_gives_way_to_the_right_one_and_a_registered_one_does_not(
    registry: Registry, node: Node, capsys: Captured
) -> None:
    _, drawn = asked(registry, capsys, "nonce", registry.nodes()[0][0])
    right = stated(node, drawn["nonce"])
    claimed = envelope.peek(bytes.fromhex(str(right["enrolment"])))
    wrong = right | {"enrolment": envelope.seal(claimed, DEPLOYMENT, LOG.sign).hex()}
    store = RotationStore(registry.store)
    handed_in(store, json.dumps(wrong).encode())
    assert works(registry).take(now_ms())[0].state == "refused"
    handed_in(store, json.dumps(right).encode())
    assert works(registry).take(now_ms())[0].state == "registered"
    with pytest.raises(Rejected, match="another statement has answered"):
        handed_in(store, json.dumps(stated(node, drawn["nonce"])).encode())


@given(st.binary(max_size=200) | st.dictionaries(st.sampled_from(["format", "nonce", "enrolment"]), st.text()).map(
    lambda found: json.dumps({"device": 1, "generation": 2, "public_key": "", "deployment": "", **found, "format": FORMAT}).encode()
))  # fmt: skip
def test_4_any_bytes_are_one_line(content: bytes) -> None:
    with pytest.raises(Rejected, match="^rotation: .*"):
        handed_in(None, content)  # type: ignore[arg-type]


def test_a_kit_takes_the_next_key_of_its_device_without_a_request(registry: Registry, node: Node) -> None:
    kit = registry.kit(from_ms=now_ms() - 3_600_000)
    statement = replace(node.statement(kit, to_rotate=True), request="")
    first = registry.store.parties()[0]
    assert registry.take(statement)["outcome"] == "registered"
    second = registry.store.parties()[1]
    assert second.generation == 2 and second.valid_from_ms == first.valid_from_ms < envelope.peek(second.entry).time_ms


def test_a_kit_takes_no_first_key_and_no_other_tls_key_without_a_request(registry: Registry, tmp_path: Path) -> None:
    new = Node(tmp_path / "new")
    kit = registry.kit()
    statement = new.statement(kit)
    said = registry.take(replace(statement, request=""))
    assert said["outcome"] == "refused" and "certificate request" in said["reason"]
    assert registry.take(statement)["outcome"] == "registered"
    (new.folder / "key.der").unlink()
    said = registry.take(replace(new.statement(kit, number=1, to_rotate=True), request=""))
    assert said == {**said, "outcome": "refused"} and "TLS key is not the registered one" in said["reason"]
    assert registry.nodes() == [(statement.device, POD)]
