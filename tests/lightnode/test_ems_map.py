"""The register map is the one that EMS.md documents, says what is not known, and takes nothing that is not whole."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode import ems, ems_map, ems_server, ems_topic, settings
from lightnode.ems_map import EMS_BASE, EMS_FIELDS, NODE_FIELDS, EmsBlock, decode, encode, offered, width
from lightwire import decision, records

from hil import ems as hil_ems
from tests.conftest import ROOT
from tests.lightnode.parts import T0
from tests.lightnode.test_setpoint import point

TEXT = (ROOT / "firmware" / "EMS.md").read_text()
FORMS = {"H": "u16", "I": "u32", "Q": "u64", "i": "i32"}
LIMITS = (50_000, 40_000)
SAID = {
    "heartbeat": 1, "state": 1, "reason": 0, "command": 7, "commanded_w": -5, "measured_w": -6, "measured_var": 7,
    "charge_permille": 500, "local_switch": 0, "emergency_stop": 0,
}  # fmt: skip


def documented(fields: Any, base: int) -> list[tuple[int, str, str]]:
    rows, at = [], base
    for name, form in fields:
        rows.append((at, name, FORMS.get(form, f"bytes {form}")))
        at += width(form) // 2
    return rows


def test_the_tables_of_the_document_are_the_map() -> None:
    node, own = hil_ems.tables()
    assert [(r.first, r.name, r.form) for r in node] == documented(NODE_FIELDS, 0)
    assert [(r.first, r.name, r.form) for r in own] == documented(EMS_FIELDS, EMS_BASE)


def test_the_figures_of_the_document_are_those_of_the_code() -> None:
    for said in (
        f"At most {ems_server.CONNECTIONS_MAX} connections", f"{ems_server.IDLE_S} s without a request",
        f"{ems_server.FRAME_S} s within one", f"{ems_server.PAUSE_MS} ms pass after each answer",
        f"0x{ems_map.MAGIC:08X}", f"at most {ems.REPORTS_MAX} in a quarter-hour", f"at most {ems_topic.BYTES_MAX} bytes",
        f"more than {ems.HELD_MANY} records wait for their acknowledgement at most {ems.REPORTS_HELD}",
        f"every {ems_topic.EVERY_MS // 1000} s", f"| {ems_map.VERSION}, of this map |",
    ):  # fmt: skip
        assert said in TEXT, said
    for number in (decision.EMERGENCY_STOP, decision.LOCAL_SWITCH, decision.EMS_UNREACHABLE, decision.EMS_REFUSED):
        assert f" {number} " in TEXT.split("| 102 | reason")[1].splitlines()[0]
    for key in [key for key in settings._FORMS if key.startswith("ems.")]:
        default = settings._DEFAULTS[key]
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{key}` |"))
        assert row.split("|")[3].strip() == ("null" if default is None else str(default)), key


@pytest.mark.parametrize(("number", "name"), [
    (ems_map.NONE, "none"), (ems_map.PENDING, "pending"), (ems_map.IN_FORCE, "in force"), (ems_map.FALLBACK, "fallback"),
    (ems_map.STALE, "stale"), (ems_map.LOCAL, "local switch"), (ems_map.STOP, "emergency stop"),
])  # fmt: skip
def test_each_state_is_documented_by_its_number(number: int, name: str) -> None:
    assert f"| {number} | {name} |" in TEXT


def shown(points: list[records.SetPoint], now_ms: int | None, **switches: bool) -> dict[str, Any]:
    """The node's block as an EMS decodes it from the registers."""
    values = offered(decision.in_force(points, now_ms, **switches), points, now_ms, LIMITS)
    raw = encode(NODE_FIELDS, values)
    words = [int.from_bytes(raw[k : k + 2], "big") for k in range(0, len(raw), 2)]
    return hil_ems.decoded(hil_ems.tables()[0], words)


COMMANDS = ("target_w", "max_withdrawal_w", "max_injection_w")


def test_a_target_in_its_window_as_registers() -> None:
    """-40 W is FFFF FFD8, high word first; 900 s are left."""
    raw = encode(NODE_FIELDS, offered(decision.in_force([point(7, value=-40)], T0), [], T0, LIMITS))
    assert raw[2 * 14 : 2 * 15] == bytes.fromhex("0002") and raw[2 * 23 : 2 * 25] == bytes.fromhex("00000007")
    assert raw[2 * 26 : 2 * 28] == raw[2 * 37 : 2 * 39] == bytes.fromhex("ffffffd8")
    assert raw[2 * 30 : 2 * 34] == bytes.fromhex("00000000 00000384")
    assert raw[2 * 39 : 2 * 43] == bytes.fromhex("0000c350 00009c40")


@pytest.mark.parametrize(
    ("control", "value", "effective"),
    [
        (records.TARGET, -7_000, (-7_000, 50_000, 40_000)),
        (records.MAX_WITHDRAWAL, 9_000, (None, 9_000, 40_000)),
        (records.MAX_INJECTION, 0, (None, 50_000, 0)),
    ],
)
def test_what_holds_is_the_set_point_with_the_limits_of_the_contract(
    control: int, value: int, effective: tuple[int | None, ...]
) -> None:
    now = shown([point(1, control=control, value=value)], T0 + 1)
    assert now["state"] == hil_ems.IN_FORCE and tuple(now[name] for name in COMMANDS) == effective


@pytest.mark.parametrize(
    ("fallback", "target"),
    [(records.FALLBACK_HOLD, 10_000), (records.FALLBACK_RELEASE, None), (records.FALLBACK_VALUE, 3_000)],
)
def test_at_its_end_the_fallback_holds(fallback: int, target: int | None) -> None:
    points = [point(1, fallback=fallback, fallback_value=3_000)]
    before, after = shown(points, T0 + 899_999), shown(points, T0 + 900_000)
    assert (before["state"], before["ends_in_s"], before["target_w"]) == (hil_ems.IN_FORCE, 1, 10_000)
    assert (after["state"], after["ends_in_s"], after["target_w"]) == (hil_ems.FALLBACK, 0, target)
    assert (after["max_withdrawal_w"] is None) == (target is None)
    assert after["fallback_value"] == (3_000 if fallback == records.FALLBACK_VALUE else None)


def test_unknown_is_never_a_number() -> None:
    """Rule 2: no set-point, no time, and the switches that command nothing remote."""
    cases = [shown([], T0), shown([], None), shown([point()], None), shown([point()], T0, local_switch=True),
             shown([point()], T0, emergency_stop=True, local_switch=True)]  # fmt: skip
    assert [c["state"] for c in cases] == [
        hil_ems.NONE, hil_ems.NONE, hil_ems.STALE, hil_ems.LOCAL, hil_ems.STOP
    ]  # fmt: skip
    for case in cases:
        for name in (*COMMANDS, "id", "command", "value", "ends_in_s", "control", "fallback", "fallback_value"):
            assert case[name] is None, name


def test_what_begins_next_is_shown_and_commands_nothing() -> None:
    later, next_, higher = (point(n, not_before_ms=T0 + at, not_after_ms=T0 + at + 900_000)
                            for n, at in ((1, 1_800_000), (2, 4_500), (3, 4_500)))  # fmt: skip
    now = shown([later, next_, higher], T0)
    assert (now["state"], now["command"], now["begins_in_s"]) == (hil_ems.PENDING, 3, 5)
    assert [now[name] for name in COMMANDS] == [None] * 3


def test_what_the_ems_says_counts_from_its_heartbeat_and_a_stop_at_once() -> None:
    block = EmsBlock()
    assert block.write(0, encode(EMS_FIELDS, SAID)) and block.beats == 1 and block.statement["measured_w"] == -6
    assert block.write(7, (9).to_bytes(4, "big")) and block.write(13, b"\0\1")
    assert block.values["emergency_stop"] == 1 and block.statement["measured_w"] == -6 and block.beats == 1
    assert block.write(0, b"\0\2") and block.statement["measured_w"] == 9 and block.beats == 2


def test_every_heartbeat_counts_the_one_with_all_bits_too() -> None:
    block = EmsBlock()
    for beat in (1, 0xFFFF, 0, 1):
        assert block.write(0, beat.to_bytes(2, "big"))
    assert block.beats == 4


@pytest.mark.parametrize(
    ("first", "octets"),
    [
        (1, b"\0\5"), (2, b"\0\x12"), (11, b"\x03\xe9"), (12, b"\0\2"), (13, b"\xff\xff"), (1, b"\xff\xff"),
        (3, b"\0\0"), (4, b"\0\0"), (5, b"\0\0"), (6, b"\0\0\0\0"), (12, b"\0\0\0\0\0\0"), (0, b""), (14, b"\0\0"),
    ],
)  # fmt: skip
def test_a_value_cut_in_half_or_out_of_its_range_changes_nothing(first: int, octets: bytes) -> None:
    block = EmsBlock()
    before = block.octets
    assert not block.write(first, octets)
    assert block.octets == before and block.beats == 0


@given(st.integers(0, 20), st.binary(max_size=40))
def test_any_write_leaves_a_block_that_is_valid(first: int, octets: bytes) -> None:
    block = EmsBlock()
    taken = block.write(first, octets)
    assert ems_map.fault_of(block.values) == "" and decode(EMS_FIELDS, block.octets) == block.values
    if taken:
        assert block.octets[2 * first : 2 * first + len(octets)] == octets


@given(st.dictionaries(st.sampled_from([n for n, _ in EMS_FIELDS] + ["x"]), st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.floats(), st.binary(max_size=2))))  # fmt: skip
def test_values_of_any_kind_are_taken_whole_or_not_at_all(values: dict[str, Any]) -> None:
    block = EmsBlock()
    if not block.take(SAID | values):
        assert block.beats == 0
    assert len(block.octets) == 28 and ems_map.fault_of(block.values) == ""


def test_signed_bounds() -> None:
    block = EmsBlock()
    assert block.take(SAID | {"measured_w": -0x7FFFFFFF, "commanded_w": 0x7FFFFFFF, "command": 0xFFFFFFFE})
    assert decode(EMS_FIELDS, block.octets)["measured_w"] == -0x7FFFFFFF
    for values in ({"measured_w": -0x80000000}, {"measured_w": 1 << 31}, {"command": 0xFFFFFFFF}, {"heartbeat": None}):
        assert not block.take(SAID | values)
