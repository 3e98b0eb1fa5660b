"""What owners declare: read from table and document, conflicts named, what of it may be offered."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Direction
from backend.domain.quantity import FRAME_MS
from backend.errors import Rejected
from backend.market.availability import (
    Availability,
    DerState,
    DerStatus,
    checked,
    conflicts,
    offerable,
    resources,
    unavailable,
)
from backend.market.availability_form import (
    availability_of,
    availability_of_csv,
    availability_text,
    status_of,
    status_text,
)
from backend.market.register import END_FRAME

F = 1_995_326
HEAD = "pod,from,until,up_w,down_w"


def able(pod="a", aggregator="A", frames=range(F, F + 4), up_w=10, down_w=0, owner="Dairy", **terms):
    tables = [dict.fromkeys(frames, w) if w else {} for w in (up_w, down_w)]
    return Availability(pod, owner, aggregator, *tables, **terms)


def test_rule_1_a_table_declares_half_open_periods_and_nothing_else():
    text = f"{HEAD}\na,2026-11-27T18:00+01:00,2026-11-27T18:30+01:00,1000,0\na,{F + 20},{F + 21},500,700\n"
    (one,) = availability_of_csv(text, "Dairy", "A")
    first = one.frames[0]
    assert one.up_w == {first: 1000, first + 1: 1000, F + 20: 500} and one.down_w == {F + 20: 700}
    assert availability_of(availability_text([one])) == (one,)


@pytest.mark.parametrize(
    ("begin", "end", "count"),
    [("2026-10-25T02:00+02:00", "2026-10-25T03:00+01:00", 8), ("2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00", 4)],
)
def test_the_hour_that_is_there_twice_is_eight_quarter_hours_and_the_one_that_is_not_none(begin, end, count):
    (one,) = availability_of_csv(f"{HEAD}\na,{begin},{end},1,0\n", "Dairy", "A")
    assert len(one.frames) == count


def test_the_terms_of_a_pod_are_kept():
    text = f"{HEAD},brp,longest_frames,rest_frames,asked_ueur_per_mwh\na,{F},{F + 1},1,1,BRP-1,4,2,60000000\n"
    (one,) = availability_of_csv(text, "Dairy", "A")
    assert (one.brp, one.longest_frames, one.rest_frames, one.asked_ueur_per_mwh) == ("BRP-1", 4, 2, 60_000_000)
    assert availability_of(availability_text([one])) == (one,)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no line"),
        (["a,1995326"], "do not match line 1"),
        (["a,1995326,1995326,1,1"], "line 2 until = '1995326', expected after from"),
        (["a,1995326,2095326,1,1"], "within 40000"),
        (["a,yesterday,1995327,1,1"], "line 2 from = 'yesterday', expected a number or a begin with an offset"),
        (["a,2026-11-27T18:05+01:00,1995327,1,1"], "is within a quarter-hour"),
        (["a,1995326,1995328,1,1", "a,1995327,1995329,2,2"], "line 3: a in quarter-hour 1995327 stands twice"),
        (["a,1995326,1995328,-1,1"], "up_w = '-1', expected a whole number, 0 or more"),
        (["a,1995326,1995328,1.5,1"], "up_w = '1.5'"),
        (["a b,1995326,1995328,1,1"], "pod = 'a b', expected 1 to 64 of letters"),
        (["a,1995326,1995328,9999999999999,1"], "expected 1 to 1000000000000"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(rows, words):
    with pytest.raises(Rejected) as refused:
        availability_of_csv("\n".join([HEAD, *rows]), "Dairy", "A")
    assert words in refused.value.reason and "\n" not in refused.value.reason


@pytest.mark.parametrize("head", ["pod,from,until,up_w", f"{HEAD},colour"])
def test_a_table_with_other_columns_is_refused(head):
    with pytest.raises(Rejected, match=r"line 1: column '(down_w|colour)'"):
        availability_of_csv(f"{head}\n{','.join(['1'] * (head.count(',') + 1))}\n", "Dairy", "A")


def test_terms_that_differ_within_a_pod_are_refused():
    with pytest.raises(Rejected, match="line 3 brp = 'Q', line 2 says 'P'"):
        availability_of_csv(f"{HEAD},brp\na,{F},{F + 1},1,1,P\na,{F + 1},{F + 2},1,1,Q\n", "Dairy", "A")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "x"}, "expected 'lightnode-availability/1'"),
        ({"owner": " "}, "expected a name"),
        ({"aggregator": "A/B"}, "expected 1 to 64 of letters"),
        ({"more": 1}, "no such field"),
        ({"pods": {}}, "expected list"),
        ({"pods": [{"pod": "a", "frames": {str(F): 5}}]}, r"expected \[W up, W down\]"),
        ({"pods": [{"pod": "a", "frames": {str(F): [5, True]}}]}, "expected a whole number"),
        ({"pods": [{"pod": "a", "frames": {str(F): [-5, 0]}}]}, "expected 0 to"),
        ({"pods": [{"pod": "a", "frames": {}, "rest_frames": 3}]}, "rest_frames without longest_frames"),
        ({"pods": [{"pod": "a", "frames": {}, "longest_frames": -3}]}, "longest_frames = -3"),
        ({"pods": [{"pod": "a", "frames": {str(F): [1, 0]}}] * 2}, "declared twice to A"),
    ],
)
def test_a_wrong_document_is_refused_in_one_line(change, words):
    document = {"format": "lightnode-availability/1", "owner": "Dairy", "aggregator": "A", "pods": []}
    with pytest.raises(Rejected, match=words):
        availability_of(json.dumps(document | change))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 1000, '{"format": NaN}'])
def test_what_is_no_document_is_refused(text):
    for read in (availability_of, status_of):
        with pytest.raises(Rejected):
            read(text)


def test_rule_2_conflicts_are_named_with_pod_period_and_both_aggregators():
    rows = [
        able(),
        able(aggregator="B", frames=range(F + 2, F + 6)),
        able("b"),
        able("b", owner="Farm", frames=[F + 9]),
    ]
    said = [f"a is declared to A and to B in 2 quarter-hours from {F + 2}", "b is declared by Dairy and by Farm"]
    assert conflicts(rows) == conflicts(rows[::-1]) == said
    with pytest.raises(Rejected, match="a is declared to A and to B .*; b is declared by Dairy"):
        resources(rows)


def test_rule_2_one_aggregator_after_the_other_is_no_conflict():
    rows = [able(frames=range(F, F + 4)), able(aggregator="B", frames=range(F + 4, F + 6))]
    assert checked(rows[::-1]) == tuple(rows)
    assert [(r.aggregator, r.from_frame, r.until_frame) for r in resources(rows)] == [
        ("A", F, F + 4),
        ("B", F + 4, F + 6),
    ]


def test_resources_are_the_most_of_each_direction():
    one = Availability("a", "Dairy", "A", {F: 5, F + 3: 9}, {F + 1: 4}, "BRP-1")
    (found,) = resources([one])
    assert (found.up_w, found.down_w, found.from_frame, found.until_frame, found.brp) == (9, 4, F, F + 4, "BRP-1")
    assert resources([able(up_w=0)]) == ()


@pytest.mark.parametrize(
    ("state", "until", "left"),
    [
        ("fault", END_FRAME, [0, 1]),
        ("off", F + 3, [0, 1, 3]),
        ("ready", END_FRAME, [0, 1, 2, 3]),
        ("active", F + 4, [0, 1, 2, 3]),
    ],
)
def test_rule_3_a_status_takes_its_pod_out_until_its_end(state, until, left):
    status = DerStatus("a", "Dairy", DerState(state), (F + 2) * FRAME_MS + 5, until)
    assert offerable(able(), [status]).frames == [F + k for k in left]
    assert offerable(able("b"), [status]).frames == list(range(F, F + 4))


def test_rule_3_the_latest_status_counts_whatever_the_order():
    fault, ready = (
        DerStatus("a", "D", state, F * FRAME_MS + k) for k, state in enumerate((DerState.FAULT, DerState.READY))
    )
    for order in ((fault, ready), (ready, fault)):
        assert offerable(able(), order).frames == list(range(F, F + 4))


def test_a_pod_was_out_by_what_had_been_reported_until_then():
    said = [
        DerStatus("a", "D", DerState.FAULT, F * FRAME_MS + 9, reason="fuse"), DerStatus("b", "D", DerState.READY, F * FRAME_MS),
        DerStatus("a", "D", DerState.READY, (F + 2) * FRAME_MS), DerStatus("a", "D", DerState.OFF, (F + 4) * FRAME_MS, F + 5),
    ]  # fmt: skip
    found = [("a", F, "fault fuse"), ("a", F + 1, "fault fuse"), ("a", F + 4, "off")]
    assert list(unavailable(said, range(F - 1, F + 8))) == list(unavailable(said[::-1], range(F - 1, F + 8))) == found


@pytest.mark.parametrize(
    ("longest", "rest", "frames", "kept"),
    [
        (2, 0, range(6), [0, 1, 3, 4]),
        (2, 2, range(8), [0, 1, 4, 5]),
        (2, 3, [0, 1, 3, 4, 5, 6], [0, 1, 5, 6]),
        (3, 2, [0, 1, 3, 4, 5, 6], [0, 1, 3, 4, 5]),
        (9, 4, range(6), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_rule_4_runs_are_cut_and_followed_by_their_rest(longest, rest, frames, kept):
    one = able(frames=[F + k for k in frames], longest_frames=longest, rest_frames=rest)
    assert offerable(one).frames == [F + k for k in kept]


@settings(max_examples=25)
@given(st.sets(st.integers(0, 40)), st.integers(1, 5), st.integers(0, 5))
def test_rule_4_no_choice_of_what_is_left_runs_longer(frames, longest, rest):
    left = offerable(able(frames=[F + k for k in frames], longest_frames=longest, rest_frames=rest)).frames
    run = 0
    for k, frame in enumerate(left):
        run = run + 1 if k and left[k - 1] == frame - 1 else 1
        assert run <= longest
        if run == longest and k + 1 < len(left):
            assert left[k + 1] - frame > max(1, rest)


def test_rule_5_what_is_reserved_is_gone_in_both_directions():
    one = able(down_w=7)
    left = offerable(
        one, (), {("a", F, Direction.UP): 4, ("a", F + 1, Direction.UP): 10, ("b", F + 2, Direction.UP): 9}
    )
    assert left.up_w == {F: 6, F + 2: 10, F + 3: 10} and left.down_w == {F + 2: 7, F + 3: 7}


def test_a_status_is_read_as_it_is_written():
    for one in (
        DerStatus("a", "Dairy", DerState.OFF, F * FRAME_MS, F + 4, "cleaning"), DerStatus("a", "Dairy", DerState.READY, 1)
    ):  # fmt: skip
        assert status_of(status_text(one)) == one


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "asleep"}, "expected ready, active, fault, off"),
        ({"time_ms": -1}, "is not after"),
        ({"until_frame": 1}, "is not after"),
    ],
)
def test_a_wrong_status_is_refused(change, words):
    document = json.loads(status_text(DerStatus("a", "Dairy", DerState.OFF, F * FRAME_MS, F + 4)))
    with pytest.raises(Rejected, match=words):
        status_of(json.dumps(document | change))
