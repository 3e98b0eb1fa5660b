"""Batches: each signed record lies in exactly one statement, the statements form one chain, over restarts too."""

import asyncio

from lightwire import envelope, merkle, records
from lightwire.records import encode

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
    from hil.flash import NorFlash

    node = Node(NorFlash(4))
    node.trust(START)
    asyncio.run(node.slots(460))
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
