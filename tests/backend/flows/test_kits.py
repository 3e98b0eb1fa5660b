"""Kits: what a device says of itself is taken from the right kit, for the right POD, once; everything else is one line."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightflash.kit import open_kit
from lightflash.outbox import Statement
from lightnode import enrolment as device
from lightwire import envelope, records

from backend.flows.kits import SYNC_MS
from tests.lightflash.enrolments import DAY_MS, DEPLOYMENT, LOG, OTHER_POD, POD, Registry, now_ms


@dataclass
class Node:
    """A light node in this process, which answers nonces."""

    folder: Path

    def answer(self, nonce: bytes, to_rotate: bool = False) -> dict[str, Any]:
        """As it prints it."""
        values = {"state_dir": str(self.folder), "broker.key": str(self.folder / "key.der"), "deployment": DEPLOYMENT}
        clock = SimpleNamespace(monotonic_ms=lambda: 1)
        board = SimpleNamespace(random=os.urandom, SystemClock=lambda: clock)
        found: dict[str, Any] = device.enrol(SimpleNamespace(value=values.get), board, nonce, to_rotate)
        return found

    def statement(self, kit: Path, pod: str = POD, number: int = 0, to_rotate: bool = False) -> Statement:
        """To a nonce of a kit."""
        checked = open_kit(kit)
        nonce = checked.pods[pod][number]
        said = self.answer(nonce, to_rotate)
        return Statement(
            said["device"], "N01", "unix", checked.id, pod, nonce.hex(), said["generation"], said["level"],
            said["public_key"], "", said["enrolment"], said["request"],
        )  # fmt: skip


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "back-end")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node")


def test_a_statement_of_a_kit_becomes_an_entry_with_both_fingerprints_and_again_changes_nothing(
    registry: Registry, node: Node
) -> None:
    statement = node.statement(registry.kit())
    said = registry.take(statement)
    assert said["outcome"] == "registered" and registry.nodes() == [(statement.device, POD)]
    entry = envelope.peek(bytes.fromhex(said["entry"]))
    claimed = envelope.peek(bytes.fromhex(statement.enrolment))
    assert (entry.public_key.hex(), entry.tls_fingerprint) == (statement.public_key, claimed.tls_fingerprint)
    assert any(entry.tls_fingerprint) and claimed.level == records.LEVEL_FILE
    leaves = registry.store.leaves(records.TREE_KEYS)
    assert registry.take(statement) == said
    assert registry.take(node.statement(registry.kit()))["outcome"] == "registered"
    assert registry.store.leaves(records.TREE_KEYS) == leaves and len(registry.nodes()) == 1


def test_a_registered_device_that_was_rotated_answers_a_new_kit(registry: Registry, node: Node) -> None:
    first = node.statement(registry.kit())
    assert registry.take(first)["outcome"] == "registered"
    kit = registry.kit()
    assert registry.take(node.statement(kit, to_rotate=True))["outcome"] == "registered"
    assert registry.take(node.statement(registry.kit()))["outcome"] == "registered"
    assert [(p.generation, p.pod) for p in registry.store.parties()] == [(1, POD), (2, POD)]


Changed = Callable[[Registry, Node, Statement], tuple[Statement, int]]


def other_device(registry: Registry, node: Node, statement: Statement) -> tuple[Statement, int]:
    registry.take(statement)
    return replace(Node(node.folder / "other").statement(registry.kit_path), nonce=statement.nonce), 0


def same_pod(registry: Registry, node: Node, statement: Statement) -> tuple[Statement, int]:
    registry.take(statement)
    return Node(node.folder / "other").statement(registry.kit_path, number=1), 0


def closed(registry: Registry, _node: Node, statement: Statement) -> tuple[Statement, int]:
    registry.kits.close(bytes.fromhex(statement.kit))
    return statement, 0


def revoked(registry: Registry, _node: Node, statement: Statement) -> tuple[Statement, int]:
    """Before its end, and though it was closed before."""
    registry.kits.close(bytes.fromhex(statement.kit))
    registry.kits.revoke(bytes.fromhex(statement.kit), now_ms())
    return statement, 0


def forged(_registry: Registry, node: Node, statement: Statement) -> tuple[Statement, int]:
    claimed = envelope.peek(bytes.fromhex(statement.enrolment))
    sealed = envelope.seal(claimed, DEPLOYMENT, LOG.sign)
    return replace(statement, enrolment=sealed.hex()), 0


def of_another_id(registry: Registry, node: Node, statement: Statement) -> tuple[Statement, int]:
    other = Node(node.folder / "other").statement(registry.kit_path)
    claimed = envelope.peek(bytes.fromhex(statement.enrolment))
    sealed = envelope.seal(claimed._replace(device=bytes.fromhex(other.device)), DEPLOYMENT, LOG.sign)
    return replace(statement, enrolment=sealed.hex()), 0


def request_of_another(registry: Registry, node: Node, statement: Statement) -> tuple[Statement, int]:
    return replace(statement, request=Node(node.folder / "other").statement(registry.kit_path).request), 0


REFUSED: list[tuple[str, Changed, str]] = [
    ("for another POD", lambda r, n, s: (replace(s, pod=OTHER_POD), 0), "a nonce for another POD than"),
    ("for a POD of nobody", lambda r, n, s: (replace(s, pod="IT9"), 0), "a nonce for another POD than"),
    ("with another nonce of the kit", lambda r, n, s: (replace(s, nonce=open_kit(r.kit_path).pods[POD][1].hex()), 0), "another nonce"),
    ("with a nonce of nobody", lambda r, n, s: (replace(s, nonce="00" * 16), 0), "a nonce that is not of this kit"),
    ("from another kit", lambda r, n, s: (replace(s, kit=open_kit(r.kit()).id), 0), "a nonce that is not of this kit"),
    ("from a kit of nobody", lambda r, n, s: (replace(s, kit="00" * 8), 0), "kit 0000000000000000 is not ours"),
    ("long after the kit's end", lambda r, n, s: (s, now_ms() + 8 * DAY_MS + SYNC_MS), "is not valid now"),
    ("before the kit's beginning", lambda r, n, s: (s, now_ms() - DAY_MS), "is not valid now"),
    ("from a closed kit", closed, "is closed"),
    ("from a revoked kit", revoked, ": enrol the device with another kit"),
    ("forged", forged, "enrolment: "),
    ("of another device", other_device, "was used by device"),
    ("of a second device at the POD", same_pod, "revoke that one first"),
    ("of another id", of_another_id, "certificate request: it is for"),
    ("with another's request", request_of_another, "certificate request: it is of another key"),
    ("with a request that is none", lambda r, n, s: (replace(s, request="3000"), 0), "certificate request: it is none"),
    ("with a changed request", lambda r, n, s: (replace(s, request=s.request[:-2] + "00"), 0), "certificate request"),
    ("that is none", lambda r, n, s: (replace(s, enrolment="00"), 0), "enrolment: "),
    ("in no hexadecimal", lambda r, n, s: (replace(s, enrolment="zz"), 0), "enrolment: hexadecimal"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_statement_is_refused_in_one_line_and_nothing_changes(
    registry: Registry, node: Node, change: Changed, reason: str
) -> None:
    registry.kit_path = registry.kit()
    statement, at_ms = change(registry, node, node.statement(registry.kit_path))
    before = (registry.nodes(), registry.store.leaves(records.TREE_KEYS))
    said = registry.take(statement, at_ms)
    assert said["outcome"] == "refused" and reason in said["reason"] and "\n" not in said["reason"], said
    assert (registry.nodes(), registry.store.leaves(records.TREE_KEYS)) == before


def test_a_device_of_one_pod_is_refused_for_another(registry: Registry, node: Node) -> None:
    kit = registry.kit()
    assert registry.take(node.statement(kit))["outcome"] == "registered"
    said = registry.take(node.statement(kit, OTHER_POD))
    assert said["outcome"] == "refused" and "registered for another POD" in said["reason"]


@given(
    data=st.binary(max_size=200)
    | st.recursive(st.text(max_size=9), st.lists, max_leaves=9).map(lambda x: json.dumps(x).encode())
)
def test_6_any_bytes_are_answered(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    global _KEPT
    _KEPT = _KEPT or Registry(tmp_path_factory.mktemp("any"))
    for payload in (data, b"[" * 9000 + data, data * 100):
        _, answer = _KEPT.enrolments.answer("ln/1/kit/zz/enrol", payload, now_ms())
        assert json.loads(answer)["outcome"] == "refused"


_KEPT: Registry | None = None


def test_1_a_kit_keeps_the_log_key_to_itself_and_is_signed_with_it(registry: Registry) -> None:
    path = registry.kit()
    data = path.read_bytes()
    assert (bytes(31) + b"\x07").hex().encode() not in data
    body = json.loads(data)["body"]
    assert hashlib.sha256(bytes.fromhex(body["settings"]["log_key"])).hexdigest()[:16] == body["settings"]["operator"]
