"""Rules of set-points: a table of cases, random sequences against a small oracle, and the same in the VM."""

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import decision, records
from lightwire.decision import State, bounds, decide, in_force, is_superseded, ramped, still_needed

DEVICE = bytes(range(8))
HOUR = 3_600_000
NONCE = bytes(range(16))


def set_point(**changed: Any) -> records.SetPoint:
    values: dict[str, Any] = {
        "id": bytes(16), "device": DEVICE, "issuer": b"i" * 8, "role": records.ROLE_DSO, "command": 8,
        "not_before_ms": 10 * HOUR, "not_after_ms": 11 * HOUR, "resource": records.POD_NET, "control": records.TARGET,
        "value": 1_000, "ramp_w_per_s": 0, "fallback": records.FALLBACK_RELEASE, "fallback_value": 0, "reason": 0,
        "order": bytes(16), "nonce": bytes(16), "salt": bytes(16),
    }  # fmt: skip
    return records.SetPoint(**{**values, **changed})


def state(**changed: Any) -> State:
    values: dict[str, Any] = {
        "device": DEVICE,
        "last_command": 7,
        "max_withdrawal_w": 5_000,
        "max_injection_w": 3_000,
        "nonce": NONCE,
    }
    return State(**{**values, **changed})


# name, what differs in the set-point, in the state, role of the issuer, now, reason (0 is accepted)
CASES: list[tuple[str, dict[str, Any], dict[str, Any], int, int, int]] = [
    ("rule 1: an unknown issuer", {}, {}, 0, 9 * HOUR, decision.UNKNOWN_ISSUER),
    ("rule 1: a role that is not the issuer's", {}, {}, records.ROLE_TSO, 9 * HOUR, decision.ROLE_NOT_ALLOWED),
    ("rule 1: another device", {"device": b"x" * 8}, {}, 1, 9 * HOUR, decision.WRONG_DEVICE),
    ("rule 2: the same number again", {"command": 7}, {}, 1, 9 * HOUR, decision.NUMBER_NOT_ABOVE_LAST),
    ("rule 2: a lower number", {"command": 1}, {}, 1, 9 * HOUR, decision.NUMBER_NOT_ABOVE_LAST),
    ("rule 2: numbers may be skipped", {"command": 99}, {}, 1, 9 * HOUR, 0),
    ("rule 3: 25 h exactly", {"not_after_ms": 35 * HOUR}, {}, 1, 9 * HOUR, 0),
    ("rule 3: 25 h and a millisecond", {"not_after_ms": 35 * HOUR + 1}, {}, 1, 9 * HOUR, decision.WINDOW_TOO_LONG),
    ("rule 3: the last millisecond", {}, {}, 1, 11 * HOUR - 1, 0),
    ("rule 3: ended", {}, {}, 1, 11 * HOUR, decision.ALREADY_EXPIRED),
    ("rule 3: target at the withdrawal limit", {"value": 5_000}, {}, 1, 9 * HOUR, 0),
    ("rule 3: target above it", {"value": 5_001}, {}, 1, 9 * HOUR, decision.BEYOND_LIMITS),
    ("rule 3: target at the injection limit", {"value": -3_000}, {}, 1, 9 * HOUR, 0),
    ("rule 3: target beyond it", {"value": -3_001}, {}, 1, 9 * HOUR, decision.BEYOND_LIMITS),
    ("rule 3: maximum injection is a magnitude", {"control": 3, "value": 3_000}, {}, 1, 9 * HOUR, 0),
    ("rule 3: a negative magnitude", {"control": 3, "value": -1}, {}, 1, 9 * HOUR, decision.BEYOND_LIMITS),
    ("rule 3: maximum withdrawal", {"control": 2, "value": 5_000}, {}, 1, 9 * HOUR, 0),
    ("rule 3: a negative maximum", {"control": 2, "value": -1}, {}, 1, 9 * HOUR, decision.BEYOND_LIMITS),
    ("rule 3: fallback beyond", {"fallback": 3, "fallback_value": 9_999}, {}, 1, 9 * HOUR, decision.BEYOND_LIMITS),
    ("rule 3: a fallback value that is not used", {"fallback": 2, "fallback_value": 9_999}, {}, 1, 9 * HOUR, 0),
    ("rule 3: a named resource", {"resource": 1}, {}, 1, 9 * HOUR, decision.UNKNOWN_RESOURCE),
    ("rule 3: reactive power", {"control": 4}, {}, 1, 9 * HOUR, decision.UNKNOWN_CONTROL),
    ("rule 4: no clock, no nonce", {}, {"clock_trusted": False}, 1, 9 * HOUR, decision.CLOCK_NOT_TRUSTED),
    ("rule 4: no clock, fresh nonce", {"nonce": NONCE}, {"clock_trusted": False}, 1, 9 * HOUR, 0),
    ("rule 4: no clock, stale nonce", {"nonce": b"n" * 16}, {"clock_trusted": False}, 1, 0, decision.CLOCK_NOT_TRUSTED),
    ("rule 4: zeros are no nonce", {}, {"clock_trusted": False, "nonce": bytes(16)}, 1, 0, decision.CLOCK_NOT_TRUSTED),
    ("rule 4: no nonce was asked", {}, {"clock_trusted": False, "nonce": b""}, 1, 0, decision.CLOCK_NOT_TRUSTED),
    ("rule 5: emergency stop", {}, {"emergency_stop": True}, 1, 9 * HOUR, decision.EMERGENCY_STOP),
    ("rule 5: local switch", {}, {"local_switch": True}, 1, 9 * HOUR, decision.LOCAL_SWITCH),
    ("rule 5: both", {}, {"local_switch": True, "emergency_stop": True}, 1, 9 * HOUR, decision.EMERGENCY_STOP),
    ("a TSO may", {"role": records.ROLE_TSO}, {}, records.ROLE_TSO, 9 * HOUR, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "held", "role", "now_ms", "reason"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_each_case_is_decided(
    changed: dict[str, Any], held: dict[str, Any], role: int, now_ms: int, reason: int
) -> None:
    outcome = records.REFUSED if reason else records.ACCEPTED
    assert decide(set_point(**changed), role, state(**held), now_ms) == (outcome, reason)


def test_every_reason_has_its_text() -> None:
    numbers = [v for k, v in vars(decision).items() if k.isupper() and k not in SKIPPED and not k.startswith("RULES_")]
    assert sorted(numbers) == list(range(len(decision.REASONS)))


SKIPPED = {
    "WINDOW_MAX_MS", "REASONS", "ACCEPTED", "REFUSED", "TARGET", "MAX_INJECTION", "MAX_WITHDRAWAL", "POD_NET",
    "REACTIVE_TARGET", "FALLBACK_HOLD", "FALLBACK_VALUE",
}  # fmt: skip

FIRST = {"command": 5, "not_before_ms": 100, "not_after_ms": 200, "value": 50}
INSIDE = {"command": 6, "not_before_ms": 120, "not_after_ms": 150, "value": 60}
NEXT = {"command": 4, "not_before_ms": 200, "not_after_ms": 300, "value": 40}
HOLD, VALUE = {"fallback": 1}, {"fallback": 3, "fallback_value": -7}

# rule, set-points, now, emergency stop, local switch: mode, command number, value
FORCE: list[tuple[str, list[dict[str, int]], int | None, bool, bool, tuple[int, int | None, int | None]]] = [
    ("rule 8: nothing is commanded without a set-point", [], 100, False, False, (0, None, None)),
    ("rule 8: no known time, something stands", [FIRST], None, False, False, (3, None, None)),
    ("rule 8: no known time, nothing stands", [], None, False, False, (0, None, None)),
    ("before its window", [FIRST], 99, False, False, (0, None, None)),
    ("from its first millisecond", [FIRST], 100, False, False, (1, 5, 50)),
    ("to its last", [FIRST], 199, False, False, (1, 5, 50)),
    ("rule 7: release", [FIRST], 200, False, False, (2, 5, None)),
    ("rule 7: hold", [FIRST | HOLD], 10_000, False, False, (2, 5, 50)),
    ("rule 7: value", [FIRST | VALUE], 200, False, False, (2, 5, -7)),
    ("rule 6: the higher number", [FIRST, INSIDE], 120, False, False, (1, 6, 60)),
    ("rule 6: not before it begins", [FIRST, INSIDE], 119, False, False, (1, 5, 50)),
    ("rule 6: for good", [FIRST, INSIDE | VALUE], 150, False, False, (2, 6, -7)),
    ("rule 6: even when the other would have ended later", [FIRST | HOLD, INSIDE], 250, False, False, (2, 6, None)),
    ("rule 6: a lower number keeps its turn", [INSIDE, NEXT], 200, False, False, (1, 4, 40)),
    ("windows that touch do not overlap", [FIRST, NEXT], 200, False, False, (1, 4, 40)),
    ("rule 5: emergency stop", [FIRST], 100, True, True, (5, None, 0)),
    ("rule 5: local switch", [FIRST], 100, False, True, (4, None, None)),
]


@pytest.mark.parametrize(
    ("points", "now_ms", "stop", "local", "expected"), [c[1:] for c in FORCE], ids=[c[0] for c in FORCE]
)
def test_each_ruling(
    points: list[dict[str, int]], now_ms: int | None, stop: bool, local: bool, expected: object
) -> None:
    for ordered in (points, points[::-1]):
        ruling = in_force([set_point(**p) for p in ordered], now_ms, stop, local)
        assert (ruling.mode, ruling.point.command if ruling.point else None, ruling.value) == expected


@pytest.mark.parametrize(
    ("changed", "hour", "expected"),
    [
        ({"value": -500}, 10, (-500, 5_000, 3_000)),
        ({"control": records.MAX_WITHDRAWAL}, 10, (None, 1_000, 3_000)),
        ({"control": records.MAX_INJECTION}, 10, (None, 5_000, 1_000)),
        ({"control": records.MAX_INJECTION, "value": 9_000}, 10, (None, 5_000, 3_000)),
        ({"fallback": records.FALLBACK_HOLD}, 11, (1_000, 5_000, 3_000)),
        ({"fallback": records.FALLBACK_VALUE, "fallback_value": 0}, 11, (0, 5_000, 3_000)),
        ({}, 11, (None, None, None)),
        ({}, 9, (None, None, None)),
        ({}, None, (None, None, None)),
    ],
)
def test_what_holds_at_the_pod_is_the_command_within_the_limits_and_without_one_nothing(
    changed: dict[str, Any], hour: int | None, expected: tuple[int | None, ...]
) -> None:
    ruling = in_force([set_point(**changed)], None if hour is None else hour * HOUR)
    assert bounds(ruling, 5_000, 3_000) == expected


@pytest.mark.parametrize("switch", ["emergency_stop", "local_switch"])
def test_a_switch_leaves_no_command_of_the_issuers(switch: str) -> None:
    assert bounds(in_force([set_point()], 10 * HOUR, **{switch: True}), 5_000, 3_000) == (None, None, None)


def test_rule_9_after_a_restart_an_ended_value_does_not_resume() -> None:
    kept = still_needed([set_point(**FIRST)], 150)
    assert in_force(kept, 199).value == 50 and in_force(kept, 200).value is None


def test_only_what_can_still_matter_is_kept() -> None:
    points = [set_point(**p) for p in (FIRST, INSIDE, NEXT)]
    assert [p.command for p in still_needed(points, 160)] == [5, 6, 4], "6 keeps 5 from coming back"
    assert [p.command for p in still_needed(points, 200)] == [4]
    assert [p.command for p in still_needed(points, 10**9)] == [4], "its fallback rules"


def test_rule_6_also_for_one_that_was_superseded_before_it_began() -> None:
    chain = [
        set_point(command=n, not_before_ms=a, not_after_ms=b) for n, a, b in ((5, 24, 27), (6, 19, 30), (7, 16, 22))
    ]
    assert in_force(chain, 24).point.command == 7
    assert in_force(still_needed(chain, 23), 24).point.command == 7


@pytest.mark.parametrize(
    ("previous", "target", "ramp", "elapsed", "expected"),
    [
        (0, 100, 0, 4000, 100),
        (0, 100, 10, 4000, 40),
        (0, -100, 10, 4000, -40),
        (90, 100, 10, 4000, 100),
        (5, 5, 1, 1, 5),
    ],
)
def test_a_ramp_never_passes_its_target(previous: int, target: int, ramp: int, elapsed: int, expected: int) -> None:
    assert ramped(previous, target, ramp, elapsed) == expected


class Oracle:
    """Walks through time millisecond by millisecond and forgets nothing."""

    def __init__(self) -> None:
        self.arrived: list[records.SetPoint] = []
        self.alive: list[records.SetPoint] = []
        self.ended: records.SetPoint | None = None

    def take(self, point: records.SetPoint) -> None:
        self.arrived.append(point)
        self.alive.append(point)

    def at(self, now_ms: int) -> tuple[int | None, int | None]:
        for higher in self.arrived:
            span = set(range(higher.not_before_ms, higher.not_after_ms))
            self.alive = [
                p
                for p in self.alive
                if p.command >= higher.command
                or now_ms < higher.not_before_ms
                or not span & set(range(p.not_before_ms, p.not_after_ms))
            ]
        if self.ended is not None and self.ended not in self.alive:
            self.ended = None
        for point in sorted(self.alive, key=lambda p: p.not_after_ms):
            if point.not_after_ms <= now_ms:
                self.ended = point
        ruling = [p for p in self.alive if p.not_before_ms <= now_ms < p.not_after_ms]
        assert len(ruling) <= 1
        if ruling:
            return ruling[0].command, ruling[0].value
        if self.ended is None:
            return None, None
        value = {1: self.ended.value, 2: None, 3: self.ended.fallback_value}[self.ended.fallback]
        return self.ended.command, value


def history(seed: int) -> Iterable[tuple[int, records.SetPoint]]:
    """(arrival, set-point) in order of arrival, some late, many overlapping."""
    source = random.Random(seed)
    now = 0
    for command in range(1, 8):
        now += source.randrange(6)
        start = max(0, now + source.randrange(-3, 12))
        end = max(now, start) + source.randrange(1, 12)
        yield (
            now,
            set_point(
                command=command, not_before_ms=start, not_after_ms=end, value=command, fallback=source.randrange(1, 4)
            ),
        )


@given(st.integers(0, 10**9))
def test_random_histories_agree_with_the_oracle_and_pruning_changes_nothing(seed: int) -> None:
    arrivals = list(history(seed))
    oracle, everything, pruned = Oracle(), [], []
    for now in range(arrivals[-1][0] + 30):
        for arrival, point in arrivals:
            if arrival == now:
                oracle.take(point)
                everything.append(point)
                pruned.append(point)
        expected = oracle.at(now)
        for points in (everything, pruned):
            ruling = in_force(points, now)
            assert (ruling.point.command if ruling.point else None, ruling.value) == expected, (seed, now)
        pruned = still_needed(pruned, now)
        assert all(is_superseded(p, everything, now + 1) for p in everything if is_superseded(p, everything, now))


VM = """
import json
from lightwire import decision, records
with open({path!r}) as file:
    given = json.load(file)
def point(values):
    return records.SetPoint(**{{k: bytes.fromhex(v) if isinstance(v, str) else v for k, v in values.items()}})
decided = []
for values, held, role, now in given["cases"]:
    state = decision.State(**{{k: bytes.fromhex(v) if isinstance(v, str) else v for k, v in held.items()}})
    decided.append(decision.decide(point(values), role, state, now)[1])
ruled = []
for values, now, stop, local in given["force"]:
    ruling = decision.in_force([point(v) for v in values], now, stop, local)
    ruled.append([ruling.mode, ruling.point.command if ruling.point else None, ruling.value])
walked = []
for arrivals in given["histories"]:
    points = []
    for now in range(60):
        points += [point(v) for arrival, v in arrivals if arrival == now]
        ruling = decision.in_force(points, now)
        walked.append([ruling.mode, ruling.point.command if ruling.point else None, ruling.value])
        points = decision.still_needed(points, now)
print(json.dumps([decided, ruled, walked]))
"""


def plain(point: records.SetPoint) -> dict[str, object]:
    return {n: v.hex() if isinstance(v, bytes) else v for n, v in zip(names(), point, strict=True)}  # type: ignore[call-overload]


def names() -> list[str]:
    return [name for name, _ in records.fields(records.SET_POINT)]


def test_the_vm_decides_and_rules_alike(micropython: Callable[[str], str], tmp_path: Path) -> None:
    histories = [list(history(seed)) for seed in range(40)]
    held = [{k: v.hex() if isinstance(v, bytes) else v for k, v in vars(state(**c[2])).items()} for c in CASES]
    given_ = {
        "cases": [[plain(set_point(**c[1])), h, c[3], c[4]] for c, h in zip(CASES, held, strict=True)],
        "force": [[[plain(set_point(**p)) for p in c[1]], *c[2:5]] for c in FORCE],
        "histories": [[[arrival, plain(p)] for arrival, p in arrivals] for arrivals in histories],
    }
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(given_))
    decided, ruled, walked = json.loads(micropython(VM.format(path=str(path))))
    assert decided == [c[5] for c in CASES]
    assert ruled == [list(c[5]) for c in FORCE]
    expected = []
    for arrivals in histories:
        oracle = Oracle()
        for now in range(60):
            for arrival, point in arrivals:
                if arrival == now:
                    oracle.take(point)
            expected.append(list(oracle.at(now)))
    assert [w[1:] for w in walked] == expected
