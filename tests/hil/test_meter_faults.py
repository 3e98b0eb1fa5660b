"""Each fault as an honest master sees it, and as the truth log tells it."""

import io
import json
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.meters.catalogue import meter_map
from hil.meters.faults import Fault, FaultError, Kind, falsified, fault, sendings
from hil.meters.meter import Meter, Terminals
from hil.meters.rtu import RtuFraming, crc16
from hil.meters.station import Station
from hil.meters.tcp import TcpFraming
from hil.meters.truth import TruthLog, read_events, read_truth
from tests.hil.meter_lines import on_pty, on_tcp, registers, serial_master, tcp_master, value_of

POWER = bytes.fromhex("0400340002")
FRAMING = RtuFraming()
WITHDRAWS = Terminals.spread(3, 45_000, 6_000, 230_000)


class Lab:
    """A station with a log, measuring 45 kW from instant 0 on."""

    def __init__(self, *faults: Fault, model: str = "sdm630", seed: str = "s") -> None:
        self.out = io.StringIO()
        meter = Meter("P1", meter_map(model), import_ws=9_000 * 3600, export_ws=70 * 3600)
        self.now_ms = 0
        self.station = Station(meter, 1, faults, TruthLog(self.out), lambda: self.now_ms, seed)
        self.offer(0)

    def offer(self, now_ms: int) -> None:
        """The meter measures at the instant."""
        self.now_ms = now_ms
        self.station.offer(now_ms, WITHDRAWS)

    def ask(self, pdu: bytes = POWER) -> bytes:
        """What the line gets; b"" for silence."""
        return b"".join(s.data for s in self.station.answer(1, pdu, FRAMING))

    def power(self) -> float:
        """The power in a sound answer."""
        frame = self.ask()
        assert crc16(frame[:-2]) == frame[-2:] and frame[:3] == b"\x01\x04\x04"
        return value_of([int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[5:7], "big")], "float32")

    def events(self) -> list[tuple[str, Any]]:
        """Event and what it is about, in order."""
        rows = [json.loads(line) for line in self.out.getvalue().splitlines()]
        return [(r["event"], r.get("fault", r.get("faults"))) for r in rows if r["event"] != "offer"]


def test_a_silent_meter_does_not_answer_and_says_so_in_the_log() -> None:
    lab = Lab(fault("silent"))
    assert lab.ask() == b""
    assert lab.events() == [("fault_on", "silent"), ("answer", ["silent"])]


def test_a_slow_answer_comes_in_time_and_a_late_one_into_the_next_request() -> None:
    lab = Lab(fault("slow:80"))
    with on_pty(lab.station) as line, serial_master(line.path, 0.5) as master:
        begun = time.monotonic()
        assert value_of(registers(master, 0x34, 2), "float32") == 45_000
        assert time.monotonic() - begun >= 0.08
    lab = Lab(fault("late:300"))
    with on_pty(lab.station) as line, serial_master(line.path, 0.15) as master:
        with pytest.raises(ConnectionError):
            registers(master, 0x34, 2)
        lab.station.switch(fault("late"), on=False)
        assert sendings(1, b"\x04\x04abcd", FRAMING, [fault("late:300")], Random(1))[0].delay_ms == 300
        master.socket.timeout = 1.0
        body = bytes.fromhex("010400480002")
        master.socket.write(body + crc16(body))
        heard = master.socket.read(18)
    powers, imports = bytes.fromhex("010404472fc800"), b"\x01\x04\x04"
    assert heard.count(imports) == 2 and powers in heard, "the old answer comes with the new one"
    assert heard.index(powers) > 0, "the new answer first, then the late one"


@pytest.mark.parametrize("word", ["before", "after", "inside", "broken"])
def test_noise_is_seen_by_the_crc_or_lies_outside_the_frame(word: str) -> None:
    lab = Lab(fault(f"noise:{word}"))
    honest = Lab().ask()
    for _ in range(50):
        frame = lab.ask()
        assert frame != honest
        if word in ("before", "after"):
            assert honest in frame and 1 <= len(frame) - len(honest) <= 6
        else:
            assert len(frame) == len(honest) and crc16(frame[:-2]) != frame[-2:]
    assert lab.events()[-1] == ("answer", [f"noise:{word}"])


def test_a_master_refuses_a_broken_check_on_both_lines() -> None:
    lab = Lab(fault("noise:broken"))
    with on_pty(lab.station) as line, serial_master(line.path, 0.1) as master, pytest.raises(ConnectionError):
        registers(master, 0x34, 2)
    for word in ("broken", "inside"):
        lab = Lab(fault(f"noise:{word}"))
        with on_tcp(lab.station) as port, tcp_master(port, 0.2) as master, pytest.raises(ConnectionError):
            registers(master, 0x34, 2)


@pytest.mark.parametrize(("text", "unit"), [("other_unit", 2), ("other_unit:9", 9)])
def test_another_units_answer_is_a_sound_frame_of_that_unit(text: str, unit: int) -> None:
    lab = Lab(fault(text))
    frame = lab.ask()
    assert frame[0] == unit and crc16(frame[:-2]) == frame[-2:]
    with on_pty(lab.station) as line, serial_master(line.path, 0.1) as master, pytest.raises(ConnectionError):
        registers(master, 0x34, 2)


@pytest.mark.parametrize("model", ["sdm630", "em340", "iem3155", "sunspec213"])
def test_swapped_words_are_the_value_in_the_other_order(model: str) -> None:
    lab = Lab(fault("word_order"), model=model)
    low_first = lab.station.meter.model.low_first
    with on_tcp(lab.station) as port, tcp_master(port) as master:
        for name, wanted in (("power_total", 45_000), ("import", 9_000)):
            q = lab.station.meter.model.quantity(name)
            words = registers(master, q.address, q.end - q.address, lab.station.meter.model.functions[-1])
            scale = q.factor * (1 if q.form == "float32" else float(q.resolution))
            assert value_of(words, q.form, not low_first) * scale == pytest.approx(wanted)
            assert value_of(words, q.form, low_first) * scale != pytest.approx(wanted)


@pytest.mark.parametrize("model", ["sdm630", "sunspec203"])
def test_a_swapped_sign_turns_powers_and_leaves_counters(model: str) -> None:
    lab = Lab(fault("sign_swap"), model=model)
    found = lab.station.meter.model
    with on_tcp(lab.station) as port, tcp_master(port) as master:
        for name, factor in (
            ("power_total", -1),
            ("reactive_total", -1),
            ("power_l2", -1),
            ("import", 1),
            ("voltage_l1", 1),
        ):
            q = found.quantity(name)
            words = registers(master, q.address, q.end - q.address, found.functions[0])
            at = 2 * (q.address - found.first)
            honest = lab.station.meter.content[at : at + 2 * len(words)]
            true = value_of([int.from_bytes(honest[k : k + 2], "big") for k in range(0, len(honest), 2)], q.form)
            assert value_of(words, q.form) == factor * true


@pytest.mark.parametrize(
    ("word", "data"), [("zero", "00000000"), ("ffff", "ffffffff"), ("absent", "7fc00000"), ("spike", "497f2080")]
)
def test_a_phantom_is_a_sound_frame_with_a_wrong_value(word: str, data: str) -> None:
    lab = Lab(fault(f"phantom:{word}"))
    frame = lab.ask()
    assert crc16(frame[:-2]) == frame[-2:]
    assert frame[3:7].hex() == data
    assert json.loads(lab.out.getvalue().splitlines()[-1])["sent"] == [[0, frame.hex()]]


def test_phantoms_without_a_word_are_of_all_kinds() -> None:
    lab = Lab(fault("phantom"))
    assert {lab.ask()[3:7].hex() for _ in range(60)} == {"00000000", "ffffffff", "7fc00000", "497f2080"}


def test_polled_fast_it_is_silent_then_reads_zero_until_it_measures_again() -> None:
    lab = Lab(fault("reboot:3"))
    assert [bool(lab.ask()) for _ in range(5)] == [True, True, True, False, False]
    lab.offer(3_999)
    assert lab.ask() == b""
    lab.now_ms = 4_000
    assert lab.power() == 0
    lab.offer(8_000)
    assert lab.power() == 45_000
    assert [e for e, _ in lab.events()] == ["fault_on", "restart", "answer", "answer", "answer"]


def test_polled_at_its_ease_it_does_not_reboot() -> None:
    lab = Lab(fault("reboot:2"))
    for k in range(1, 20):
        lab.offer(500 * k)
        assert lab.ask()


def test_a_register_reset_puts_the_counters_to_zero_once(tmp_path: Path) -> None:
    lab = Lab(fault("register_reset", 4_000, 12_000))
    for k in range(1, 5):
        lab.offer(4_000 * k)
    path = tmp_path / "truth.jsonl"
    path.write_text(lab.out.getvalue())
    assert [r.values["import"] for r in read_truth(path)] == [9_000, 50, 100, 150, 200]
    assert [(e.utc_ms, e.event) for e in read_events(path)] == [
        (4_000, "fault_on"), (4_000, "register_reset"), (12_000, "fault_off"),
    ]  # fmt: skip


def test_faults_come_and_go_by_their_spans_and_by_hand() -> None:
    lab = Lab(fault("silent", 4_000, 8_000))
    answered = []
    for k in range(4):
        lab.offer(4_000 * k)
        answered.append(bool(lab.ask()))
    assert answered == [True, False, True, True]
    lab.station.switch(fault("silent"), on=True)
    assert lab.ask() == b""
    lab.station.switch(fault("silent"), on=False)
    assert lab.power() == 45_000
    assert [e for e, _ in lab.events()] == ["fault_on", "answer", "fault_off", "fault_on", "answer", "fault_off"]


def test_a_share_strikes_some_answers_and_the_seed_repeats_which() -> None:
    struck = [[bool(lab.ask()) for _ in range(200)] for lab in (Lab(fault("silent~30")), Lab(fault("silent~30")))]
    assert struck[0] == struck[1]
    assert 30 <= struck[0].count(False) <= 90
    assert struck[0] != [bool(x.ask()) for x in [Lab(fault("silent~30"), seed="t")] for _ in range(200)]


@given(st.lists(st.sampled_from(list(Kind)), max_size=4), st.binary(min_size=1, max_size=8), st.integers(0, 99))
def test_every_answer_that_is_not_honest_is_in_the_log(kinds: list[Kind], pdu: bytes, seed: int) -> None:
    lab = Lab(*(fault(k) for k in kinds), seed=str(seed))
    honest = FRAMING.wrap(1, lab.station.meter.answer(pdu))
    for _ in range(3):
        before = len(lab.events())
        sent = lab.station.answer(1, pdu, FRAMING)
        if [(s.delay_ms, s.data) for s in sent] != [(0, honest)]:
            assert len(lab.events()) > before


@given(st.sampled_from(["sdm630", "em340", "iem3155", "sunspec203", "sunspec211"]), st.data())
def test_false_registers_stay_within_the_asked_ones_and_their_length(name: str, data: Any) -> None:
    model = meter_map(name)
    q = data.draw(st.sampled_from(model.quantities))
    pdu = bytes((model.functions[0],)) + q.address.to_bytes(2, "big") + (q.end - q.address).to_bytes(2, "big")
    content = Meter("P1", model).content
    active = [fault(k) for k in (Kind.PHANTOM, Kind.SIGN_SWAP, Kind.WORD_ORDER)]
    false = falsified(bytes(content), model, pdu, active, Random(data.draw(st.integers(0, 99))))
    assert len(false) == len(content)
    low, end = 2 * (q.address - model.first), 2 * (q.end - model.first)
    assert false[:low] == content[:low] and false[end:] == content[end:]


@given(st.integers(0, 65_535), st.integers(0, 2**32))
def test_tcps_broken_check_is_another_transaction(number: int, seed: int) -> None:
    framing = TcpFraming(number.to_bytes(2, "big"))
    frame = framing.wrap(1, b"\x04\x02\x00\x01")
    assert framing.spoil(frame, Random(seed))[:2] != frame[:2]


@pytest.mark.parametrize(
    "text", ["silent", "slow:20", "noise:inside~5", "phantom:absent", "reboot:9", "register_reset"]
)
def test_a_fault_is_written_as_it_is_read(text: str) -> None:
    assert fault(text).text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wobble", "'wobble' is not a fault; these are: silent, slow, late"),
        ("late:soon", "late:soon: the argument of late is 'soon', a whole number from 1 to 60000 belongs here"),
        ("noise:pink", "noise:pink: 'pink' is no argument of noise; it takes before, after, inside, broken"),
        ("silent:1", "silent:1: '1' is no argument of silent; it takes no argument"),
        ("noise~0", "noise~0: the share after ~ is '0', a whole number from 1 to 100 belongs here"),
        ("slow:", "slow:: the argument of slow is ''"),
    ],
)
def test_a_wrong_fault_says_what_belongs_there(text: str, message: str) -> None:
    with pytest.raises(FaultError) as error:
        fault(text)
    assert str(error.value).startswith(message)


@given(st.text(max_size=20))
def test_any_text_is_a_fault_or_an_error(text: str) -> None:
    try:
        assert fault(text).kind in Kind
    except FaultError as error:
        assert str(error)
