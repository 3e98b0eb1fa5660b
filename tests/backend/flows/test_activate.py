"""Set-points of the back end: numbered on from what the device has accepted, and a test that changes nothing."""

import hashlib
from pathlib import Path

import pytest
from lightwire import decision, envelope, records

from backend.adapters.keys import SigningKey, verifier
from backend.adapters.sqlite import SqliteStore
from backend.flows.activate import TEST_MS, Activate, Target
from backend.flows.ledgers import EvidenceTrees

DEPLOYMENT = bytes(range(16))
ISSUER, NODE = (SigningKey(hashlib.sha256(name).digest()) for name in (b"issuer", b"node"))
DEVICE = hashlib.sha256(NODE.public).digest()[:8]
NOW_MS = 1_796_040_000_000


class Link:
    """What was published."""

    def __init__(self) -> None:
        self.sent: list[records.SetPoint] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.sent.append(envelope.open_sealed(payload, DEPLOYMENT, verifier(ISSUER.public)))


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "scd.sqlite")


def flow(store: SqliteStore, link: Link) -> Activate:
    issuer = hashlib.sha256(ISSUER.public).digest()[:8]
    trees = EvidenceTrees(store, ISSUER.sign, DEPLOYMENT, issuer)
    return Activate(store, trees, link, ISSUER, (DEPLOYMENT, issuer))


def decided(store: SqliteStore, seq: int, command: int, outcome: int = records.ACCEPTED) -> None:
    """The device has signed for a set-point with this command number."""
    reason = decision.NONE if outcome == records.ACCEPTED else decision.BEYOND_LIMITS
    made = records.Decision(DEVICE, 1, 1, seq, bytes(16), bytes(32), command, outcome, reason, NOW_MS + seq)
    store.keep_message(made, envelope.seal(made, DEPLOYMENT, NODE.sign), made.time_ms)


def targets(count: int) -> list[Target]:
    return [Target("P", DEVICE, NOW_MS // 900_000 + k, 1_000, f"order {k}") for k in range(count)]


def test_rule_2_numbers_rise_by_one(store: SqliteStore) -> None:
    link = Link()
    flow(store, link).dispatch(targets(3))
    assert [point.command for point in link.sent] == [1, 2, 3]
    flow(store, link).dispatch([Target("P", DEVICE, 1, 1, "next")])  # after a restart
    assert link.sent[-1].command == 4


def test_rule_2_numbers_go_on_from_what_the_device_has_accepted_from_another(store: SqliteStore) -> None:
    link = Link()
    made = flow(store, link)
    made.dispatch(targets(1))
    decided(store, 1, 1)
    decided(store, 2, 7)
    decided(store, 3, 4_000_000_000, records.REFUSED)  # a forger's number is refused and counts for nothing
    made.dispatch([Target("P", DEVICE, 1, 1, "next")])
    assert link.sent[-1].command == 8


def test_rule_2_a_store_from_a_backup_does_not_begin_anew(store: SqliteStore) -> None:
    """The set-points of the last hours are lost; the device sends again what it has decided."""
    for seq in range(1, 60):
        decided(store, seq, seq)
    link = Link()
    flow(store, link).dispatch(targets(1))
    assert link.sent[-1].command == 60


def test_rule_4_a_test_asks_for_what_holds_anyway_and_ends(store: SqliteStore) -> None:
    link = Link()
    id = flow(store, link).send_test(DEVICE, "P", 50_000, NOW_MS)
    point = link.sent[0]
    assert (point.id, point.control, point.value) == (id, records.MAX_WITHDRAWAL, 50_000)
    assert (point.not_before_ms, point.not_after_ms, point.fallback) == (
        NOW_MS,
        NOW_MS + TEST_MS,
        records.FALLBACK_RELEASE,
    )
    ruling = decision.in_force([point], NOW_MS)
    assert decision.bounds(ruling, 50_000, 40_000) == (None, 50_000, 40_000)  # the limits that hold anyway
    assert decision.decide(point, records.ROLE_DSO, decision.State(DEVICE, 0, 50_000, 40_000), NOW_MS) == (
        records.ACCEPTED,
        decision.NONE,
    )
    assert [row.id for row in store.setpoints()] == [id]
