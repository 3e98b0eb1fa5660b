"""Emulated sensors and a breaker deliver through the field port into the database; forged, repeated and late lines do not."""

import re
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.adapters.field_store import FieldSensor, FieldStore
from backend.adapters.field_tcp import FieldListener
from backend.adapters.sqlite import SqliteStore
from backend.flows.field import FieldIntake
from backend.grid.field import MAX_BYTES, FieldReading, written
from hil.field import FieldDevice

NOW_MS = 1_796_040_000_000
TRUTH = {"voltage_mv": 400_000, "current_ma": 100_000, "power_w": 66_000, "power_var": 21_000}
KEY = bytes(range(32))


class Port:
    """A back end's field port, served by a thread."""

    def __init__(self, folder: Path) -> None:
        self.store = FieldStore(SqliteStore(folder / "scd.sqlite"))
        for k, kind in enumerate(("voltage", "current", "breaker")):
            self.store.register(FieldSensor(f"{k:016x}", kind, KEY))
        self.listener = FieldListener()
        self.intake = FieldIntake(self.store, self.listener, lambda: NOW_MS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self.intake.run_once(0.02)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.listener.__exit__()

    def kept(self) -> list[FieldReading]:
        return list(self.store.latest(NOW_MS + 10**6, NOW_MS - 10**6))

    def say(self, data: bytes) -> bytes:
        with socket.create_connection(self.listener.address, 5) as link:
            link.sendall(data)
            return link.recv(4096)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    made = Port(tmp_path)
    yield made
    made.stop()


def device(number: int, kind: str, **more: object) -> FieldDevice:
    return FieldDevice(f"{number:016x}", KEY, kind, **more)  # type: ignore[arg-type]


def test_three_devices_deliver_what_they_measure(port: Port) -> None:
    for number, kind in enumerate(("voltage", "current", "breaker")):
        sensor = device(number, kind)
        sensor.measure(TRUTH, NOW_MS)
        assert sensor.send(port.listener.address) == [{"taken": 1}] and not sensor.unsent
    voltage, current, breaker = port.kept()
    assert voltage.voltage_mv is not None and abs(voltage.voltage_mv - 400_000) < 4_000 and voltage.current_ma is None
    assert current.current_ma is not None and abs(current.current_ma - 100_000) < 1_000
    assert breaker.breaker == "closed" and breaker.power_w is not None and breaker.power_var is not None


def test_an_open_breaker_says_so_and_carries_nothing(port: Port) -> None:
    sensor = device(2, "breaker", is_open=True)
    sensor.measure(TRUTH, NOW_MS)
    sensor.send(port.listener.address)
    (kept,) = port.kept()
    assert (kept.breaker, kept.current_ma, kept.power_w) == ("open", 0, 0)


def test_what_was_not_acknowledged_is_sent_later_in_order(port: Port) -> None:
    sensor = device(0, "voltage")
    for k in range(3):
        sensor.measure(TRUTH, NOW_MS + 4_000 * k)
    assert sensor.send(port.listener.address) == [{"taken": 1}, {"taken": 2}, {"taken": 3}]
    assert port.store.sensors()["0" * 16].last_seq == 3


def test_a_device_keeps_the_newest_and_its_noise_repeats() -> None:
    once, again = device(0, "voltage", seed=7), device(0, "voltage", seed=7)
    said = [once.measure(TRUTH, NOW_MS + k) for k in range(70)]
    assert said == [again.measure(TRUTH, NOW_MS + k) for k in range(70)]
    assert len(once.unsent) == 64 and once.unsent[0].seq == 7


def test_faults_on_command() -> None:
    wrong = device(0, "voltage", noise_ppm=0, factor_ppm=577_350)
    assert wrong.measure(TRUTH, NOW_MS).voltage_mv == 230_940
    stuck = device(1, "current", stuck=True)
    first = stuck.measure(TRUTH, NOW_MS)
    assert stuck.measure({**TRUTH, "current_ma": 5}, NOW_MS).current_ma == first.current_ma


def line(**more: object) -> bytes:
    reading = {"sensor": "0" * 16, "seq": 5, "time_ms": NOW_MS, "voltage_mv": 400_000} | more
    return written(FieldReading(**reading), KEY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"hello", "not JSON"),
        (b"[" * 900, "not JSON"),
        (b"{}", "expected lightnode-field/1"),
        (line().replace(b"400000", b"410000"), "its mac does not hold"),
        (line(sensor="f" * 16), "of no sensor that is registered"),
        (line(time_ms=NOW_MS + 300_001), "300001 ms from the clock here"),
        (line(time_ms=NOW_MS - 300_001), "-300001 ms from the clock here"),
        (line(voltage_mv=None), "it measures nothing"),
        (line(voltage_mv=-1), "voltage_mv -1, expected 0 or more"),
        (line(voltage_mv=1.5), "expected a whole number"),
        (line(power_w=1), "belong together"),
        (line(breaker="ajar"), "expected open or closed"),
        (line(seq=0), "seq 0, expected 1 or more"),
        (
            line().replace(b'"voltage_mv":400000', b'"voltage_mv":410000,"voltage_mv":400000'),
            "'voltage_mv' stands twice",
        ),
        (line(breaker="open").replace(b'"breaker"', b'"breaker":"closed","breaker"'), "'breaker' stands twice"),
        (line(voltage_mv=float("nan")), "voltage_mv, expected a whole number"),
        (re.sub(rb'"mac":"[^"]*"', rb'"mac":"\\ud800"', line()), "its mac does not hold"),
        (re.sub(rb'"mac":"[^"]*"', '"mac":"ä"'.encode(), line()), "its mac does not hold"),
        (line().replace(b"0" * 16, b"\xff" * 16), "not JSON"),
        (line(sensor="0" * 15 + "A"), "of no sensor that is registered"),
    ],
)
def test_what_does_not_hold_is_refused_with_its_reason_and_stored_nowhere(port: Port, data: bytes, named: str) -> None:
    assert named in port.say(data + b"\n").decode()
    assert port.kept() == [] and port.intake.refused == 1


def test_a_repeated_message_is_acknowledged_and_not_stored_twice_an_older_one_is_refused(port: Port) -> None:
    assert b"taken" in port.say(line() + b"\n") and b"taken" in port.say(line() + b"\n")
    assert b"heard already up to 5" in port.say(line(seq=4) + b"\n")
    assert [one.seq for one in port.kept()] == [5]


def test_a_seq_that_is_heard_again_with_another_content_is_refused_not_acknowledged(port: Port) -> None:
    """As of a device that forgot its seq: acknowledging would lose what it says now."""
    assert b"taken" in port.say(line() + b"\n")
    for other in ({"voltage_mv": 390_000}, {"time_ms": NOW_MS + 1}, {"breaker": "open"}):
        assert b"seq 5 was heard with another content, expected a higher one" in port.say(line(**other) + b"\n")
    assert [one.voltage_mv for one in port.kept()] == [400_000] and port.intake.refused == 3


def test_a_time_that_goes_backwards_is_refused(port: Port) -> None:
    assert b"taken" in port.say(line() + b"\n")
    assert b"time_ms is 1 ms before that of seq 5, expected" in port.say(line(seq=6, time_ms=NOW_MS - 1) + b"\n")
    assert b"taken" in port.say(line(seq=6) + b"\n"), "the same instant again is none that goes back"
    assert port.store.sensors()["0" * 16].last_seq == 6


def test_a_device_that_hangs_up_at_once_harms_nobody(port: Port) -> None:
    for _ in range(70):
        link = socket.create_connection(port.listener.address, 5)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()
    assert b"taken" in port.say(line() + b"\n")


def test_a_line_without_end_is_cut_off(port: Port) -> None:
    with socket.create_connection(port.listener.address, 5) as link:
        link.sendall(b"x" * (MAX_BYTES + 1))
        assert link.recv(10) == b""
    assert b"taken" in port.say(line() + b"\n"), "the port lives on"


def test_a_key_is_in_no_answer_and_no_message(port: Port) -> None:
    assert KEY.hex() not in line().decode() and KEY.hex() not in port.say(line(seq=9) + b"\n").decode()
