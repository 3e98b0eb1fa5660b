"""Batches: each signed record lies in exactly one statement, the statements form one chain, over restarts too."""

import asyncio
import hashlib
from collections.abc import Generator

from lightnode.journal import Journal
from lightnode.recorder import Recorder
from lightwire import ecdsa, envelope, merkle, records
from lightwire.records import encode

from hil.flash import NorFlash
from tests.lightnode.parts import DEPLOYMENT, KEY, QUARTER_MS, T0, Node, sealed

START = T0 + QUARTER_MS - 5 * 4000


def check_statements(node: Node) -> list[records.BatchStatement]:
    """Ranges without a hole, roots over the sealed bytes, digests of the one before."""
    everything = {r.seq: r for r in node.kept()}
    statements = node.kept(records.STATEMENT)
    previous, upto = bytes(32), 0
    for one in statements:
        inside = [everything[s] for s in range(one.first_seq, one.last_seq + 1)]
        plain = [r for r in inside if r.KIND != records.STATEMENT]
        assert one.first_seq == upto + 1 and one.count == len(plain) == len(inside)
        assert one.root == merkle.root([merkle.leaf_hash(sealed(r, KEY)) for r in inside])
        assert one.previous == previous and one.seq == one.last_seq + 1
        previous, upto = envelope.payload_digest(encode(one)), one.seq
    return statements


def test_a_quarter_hour_is_one_statement_and_the_intervals_tile() -> None:
    node = Node()
    node.trust(START)
    asyncio.run(node.slots(5 + 225 + 1))
    first, second = check_statements(node)
    assert (first.start_ms, first.end_ms, first.count) == (START, T0 + QUARTER_MS, 5)
    assert (second.start_ms, second.end_ms) == (T0 + QUARTER_MS, T0 + 2 * QUARTER_MS)
    assert (second.count, second.missing) == (225, 0)
    assert (second.import_start_wh, second.import_end_wh) == (250_000, 250_000)


def test_after_a_restart_the_open_batch_is_closed_as_it_was() -> None:
    node = Node()
    node.trust(START)
    asyncio.run(node.slots(3))
    node.restart()
    (statement,) = check_statements(node)
    assert (statement.boot, statement.count, statement.end_ms) == (2, 3, START + 12_000)
    node.trust(START + 16_000)
    asyncio.run(node.slots(3))
    _, second = check_statements(node)
    assert (second.start_ms, second.end_ms, second.missing) == (START + 12_000, T0 + QUARTER_MS, 1)
    assert second.causes == records.CAUSE_POWER


def test_a_change_of_trust_ends_the_batch_with_its_link() -> None:
    node = Node()
    asyncio.run(node.slots(2))
    node.trust(START)
    asyncio.run(node.slots(6))
    first, second = check_statements(node)
    kinds = [r.KIND for r in node.kept()][: first.count]
    assert kinds == [records.READING, records.READING, records.CLOCK_LINK]
    assert first.end_ms == second.start_ms == START + 4000


def test_what_is_no_longer_fresh_is_its_own_record_not_the_one_in_its_place() -> None:
    node = Node()
    node.trust(START)
    asyncio.run(node.slots(30))
    last = node.journal.seq
    assert last > 25
    assert [records.decode(envelope.split(node.sealed(seq))[0]).seq for seq in range(1, last + 1)] == [
        *range(1, last + 1)
    ]
    assert len({node.recorder.digest(seq) for seq in range(1, last + 1)}) == last
    assert asyncio.run(node.recorder.following(last)) == (last, b"")


def test_what_is_sent_again_is_the_same_to_the_byte() -> None:
    node = Node()
    node.trust(START)
    asyncio.run(node.slots(4))
    before = [node.sealed(seq) for seq in range(1, 5)]
    node.restart()
    assert [node.sealed(seq) for seq in range(1, 5)] == before
    seq, found = 0, []
    while True:
        seq, message = asyncio.run(node.recorder.following(seq))
        if not message:
            break
        found.append(message)
    assert found[:4] == before and len(found) == node.journal.seq


def test_dropped_records_are_named_by_a_gap() -> None:
    node = Node(NorFlash(4))
    node.trust(START)
    asyncio.run(node.slots(650))
    gaps = [g for g in node.kept(records.GAP) if g.cause == records.CAUSE_OVERRUN]
    held = [r.seq for r in node.kept()]
    assert gaps and gaps[-1].first_seq == 1 and gaps[-1].last_seq == held[0] - 1
    assert held == list(range(held[0], node.journal.seq + 1))


def test_a_statement_waits_for_its_receipt_over_a_restart() -> None:
    node = Node()
    node.trust(START)
    asyncio.run(node.slots(6))
    ((seq, end_ms),) = node.journal.unproven.items()
    leaf = asyncio.run(node.recorder.leaf(seq))
    assert leaf == merkle.leaf_hash(node.sealed(seq)) and end_ms == T0 + QUARTER_MS
    node.restart()
    assert node.journal.unproven[seq] == end_ms and asyncio.run(node.recorder.leaf(seq)) == leaf
    node.recorder.proven(seq)
    node.restart()
    assert seq not in node.journal.unproven


def test_the_deployment_is_signed() -> None:
    node = Node()
    node.trust(START)
    asyncio.run(node.slots(1))
    assert node.sealed(1) == sealed(node.kept()[0], KEY, DEPLOYMENT)


def test_4_records_asked_for_at_once_are_made_one_after_the_other() -> None:
    node = Node()
    node.trust(START)

    async def at_once() -> None:
        gap = lambda *identity: records.Gap(*identity, records.CAUSE_METER, START, START + 4000, 1, 0, 0)  # noqa: E731
        await asyncio.gather(node.slots(6), *(node.recorder.keep(gap) for _ in range(5)))

    asyncio.run(at_once())
    asyncio.run(node.recorder.close_batch())
    check_statements(node)
    held = node.kept()
    assert [r.seq for r in held] == list(range(1, node.journal.seq + 1))
    assert sum(r.KIND == records.READING for r in held) == 6 and sum(r.KIND == records.GAP for r in held) == 5


def test_4_what_a_cancelled_task_left_is_in_the_batch_and_nothing_twice() -> None:
    """Cancelled after each number of steps that a slot has, so at each place where it may wait."""
    steps = 0
    while True:
        node = Node()
        node.trust(START)
        asyncio.run(node.slots(1))

        async def cut_short(node: Node = node, steps: int = steps) -> bool:
            task = asyncio.create_task(node.slots(1))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            return (await asyncio.gather(task, return_exceptions=True))[0] is None

        whole = asyncio.run(cut_short())
        asyncio.run(node.slots(6))
        check_statements(node)
        held = node.kept()
        assert [r.seq for r in held] == list(range(1, node.journal.seq + 1))
        assert node.kept(records.STATEMENT)[0].count == sum(r.seq < node.kept(records.STATEMENT)[0].seq for r in held)
        if whole:
            break
        steps += 1
    assert steps > 14


class P256Key:
    """Another key behind the same interface, as a secure element is one: ES256, and it lets others work while it signs."""

    def __init__(self) -> None:
        self.algorithm = records.ES256
        self.is_deterministic = True
        self.generation = 1
        self.public = ecdsa.public_key(ecdsa.P256, 77)
        self.device = hashlib.sha256(self.public).digest()[:8]

    def signing(self, digest: bytes) -> Generator[None, None, bytes]:
        for _ in range(3):
            yield
        return ecdsa.sign(ecdsa.P256, 77, digest)


def test_a_key_of_another_kind_signs_records_that_its_algorithm_verifies() -> None:
    key = P256Key()
    kept = Journal(NorFlash(8), key.device, 1, 1)
    recorder = Recorder(key, kept, DEPLOYMENT)
    asyncio.run(recorder.keep(lambda *i: records.Gap(*i, records.CAUSE_METER, START, START + 4000, 1, 0, 0)))
    message = asyncio.run(recorder.sealed(1))
    found = envelope.open_sealed(
        message,
        DEPLOYMENT,
        lambda digest, signature: ecdsa.verify(ecdsa.P256, key.public, digest, signature),
        records.ES256,
    )
    assert (found.device, found.seq) == (key.device, 1) and len(message) == envelope.message_length(
        records.GAP, records.ES256
    )


def test_after_a_reboot_in_a_quarter_hour_no_two_statements_overlap_and_nothing_is_left_out() -> None:
    node = Node()
    node.trust(T0)
    asyncio.run(node.slots(20))
    node.restart()
    asyncio.run(node.slots(4))
    node.trust(T0 + 30 * 4000)
    asyncio.run(node.slots(200))
    ends = [(s.start_ms - T0, s.end_ms - T0, s.missing) for s in check_statements(node)]
    slot = 4000
    assert ends == [(0, 20 * slot, 0), (20 * slot, 31 * slot, 7), (31 * slot, QUARTER_MS, 0)]


def test_a_batch_of_dropped_records_only_moves_no_interval() -> None:
    node = Node(NorFlash(4))
    node.trust(T0)
    asyncio.run(node.slots(700))
    node.restart()
    asyncio.run(node.recorder.close_batch())
    node.trust(T0 + 800 * 4000)
    asyncio.run(node.slots(300))
    timed = [s for s in node.kept(records.STATEMENT) if s.start_ms > 1 << 40]
    assert all(a.end_ms <= b.start_ms for a, b in zip(timed, timed[1:], strict=False))
    assert timed[-1].start_ms == T0 + 700 * 4000
