"""The register map served where the firmware runs: over TCP where there is a network, over a serial line everywhere."""

import json
import os
import socket
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode.modbus_rtu import crc16

from hil.ems import APPLIED, IN_FORCE, EmsError, EnergyManager, over_serial, over_tcp
from hil.targets.target import Job, Target, TargetError
from tests.lightnode.parts import sealed
from tests.lightnode.test_setpoint import ISSUER, ISSUER_ID, point

pytestmark = pytest.mark.timeout(1200)
LIVES_MS = 8_000

PARTS = """
import asyncio, json, time
from lightnode import board, clock, ems, journal, keys, recorder, setpoint
from lightwire import records

class Source:
    def __init__(self):
        self.first = time.time() if not hasattr(time, "ticks_ms") else time.ticks_ms()
    def monotonic_ms(self):
        if hasattr(time, "ticks_ms"):
            return time.ticks_diff(time.ticks_ms(), self.first)
        return int(1000 * (time.time() - self.first))
    def agrees(self, utc_ms):
        return True

class Issuer:
    id, role, key = bytes.fromhex(GIVEN["issuer"]), 1, bytes.fromhex(GIVEN["key"])

class Config:
    values = {"deployment": bytes(range(16)), "issuers": [Issuer], "limits.max_withdrawal_w": 50000,
              "limits.max_injection_w": 40000, "ems.listen": GIVEN["listen"], "ems.serial": GIVEN["serial"],
              "ems.baud": 19200, "ems.parity": "E", "ems.stop_bits": 1, "ems.tx_pin": None, "ems.rx_pin": None,
              "ems.de_pin": None, "ems.broker": None, "ems.unit": 1, "ems.silent_s": 120}
    def value(self, key):
        return self.values[key]

class Board:
    random = board.load().random
    def open_serial(self, path, *line, **pins):
        return board.load().open_serial(METER, *line, **pins)

async def parts():
    here = board.load()
    key = keys.DeviceKey(0x1234567890ABCDEF, 1, here.random)
    kept = journal.Journal(here.open_flash("journal", 65536), bytes.fromhex(GIVEN["device"]), 1, 1)
    moment = clock.Clock(Source(), kept.floor_ms, here.random)
    moment.answer(moment.ask(), GIVEN["utc_ms"])
    keeper = recorder.Recorder(key, kept, bytes(range(16)))
    points = setpoint.SetPoints(keeper, kept, moment, Config(), bytes.fromhex(GIVEN["device"]))
    await points.receive(bytes.fromhex(GIVEN["order"]))
    return ems.Ems(Board(), Config(), keeper, kept, moment, points, bytes.fromhex(GIVEN["device"])), kept

async def main():
    part, kept = await parts()
    serving = asyncio.create_task(part.run())
    for _ in range(GIVEN["lives_ms"] // 100):
        part.tick()
        await asyncio.sleep(0.1)
        if serving.done():
            await serving
    print(json.dumps([[r.state, r.reason, r.commanded_w] for r in kept.after(0) if r.KIND == records.EMS_REPORT]))
    print(json.dumps([part.tcp.open, part.tcp.refused, part.tcp.dropped]))
asyncio.run(main())
"""


def job(listen: str | None, serial: str | None, lives_ms: int = LIVES_MS) -> Job:
    device = point().device
    order = sealed(point(7, value=-12_345), ISSUER)
    given_ = {
        "issuer": ISSUER_ID.hex(), "key": ISSUER.public.hex(), "listen": listen, "serial": "1" if serial else None,
        "device": device.hex(), "utc_ms": point().not_before_ms + 1000, "order": order.hex(), "lives_ms": lives_ms,
    }  # fmt: skip
    text = json.dumps(given_).replace("null", "None")
    return Job(f"GIVEN = {text}\n" + PARTS, meter=serial or "")


class Running:
    """A job in a thread; `printed()` waits for its end."""

    def __init__(self, target: Target, made: Job) -> None:
        self._out: list[str] = []
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(target, made))
        self._thread.start()

    def _run(self, target: Target, made: Job) -> None:
        try:
            self._out.append(target.run(made))
        except (AssertionError, TargetError) as error:
            self._error.append(error)

    def printed(self) -> list[object]:
        self._thread.join()
        if self._error:
            raise self._error[0]
        return [json.loads(line) for line in self._out[0].splitlines()]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def reached(port: int) -> EnergyManager:
    end = time.monotonic() + 20
    while True:
        try:
            return over_tcp("127.0.0.1", port)
        except EmsError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def is_obeyed(ems: EnergyManager) -> None:
    seen = ems.follow()
    assert (seen["magic"], seen["state"], seen["command"], seen["target_w"]) == (0x4C4E454D, IN_FORCE, 7, -12_345)
    assert ems.said["state"] == APPLIED


@pytest.mark.needs("network", "asyncio")
def test_an_ems_over_tcp_reads_obeys_and_is_kept(target: Target) -> None:
    port = free_port()
    running = Running(target, job(f"127.0.0.1:{port}", None))
    ems = reached(port)
    is_obeyed(ems)
    is_obeyed(ems)
    ems.close()
    kept, connections = running.printed()
    assert kept == [[1, 0, -12_345]] and connections == [0, 0, 1]


HOSTILE = [
    b"", b"\0", b"\xff" * 3000, b"GET / HTTP/1.1\r\n\r\n", bytes(300), bytes.fromhex("000100000006010300000002")[:9],
    bytes.fromhex("00010000000601030000ffff"), bytes.fromhex("000100000004011000640000"), bytes.fromhex("0001000000020183"),
    bytes.fromhex("00010000000f0110006400040800010001000000070000"),
]  # fmt: skip


@pytest.mark.needs("network", "asyncio")
def test_hostile_bytes_over_tcp_end_their_connection_only(target: Target) -> None:
    port = free_port()
    running = Running(target, job(f"127.0.0.1:{port}", None, 20_000))
    reached(port).close()
    lines = []
    for k in range(60):
        try:
            line = socket.create_connection(("127.0.0.1", port), timeout=2)
            line.sendall(HOSTILE[k % len(HOSTILE)])
        except OSError:
            continue
        lines.append(line)
        if len(lines) > 6:
            lines.pop(0).close()
    for line in lines:
        line.close()
    end = time.monotonic() + 10
    while True:
        try:
            ems = reached(port)
            is_obeyed(ems)
            break
        except EmsError:
            assert time.monotonic() < end, "the hostile connections are closed, the server must answer"
    ems.close()
    kept, connections = running.printed()
    assert kept == [[1, 0, -12_345]] and connections[0] == 0  # type: ignore[index]


@contextmanager
def terminal() -> Iterator[tuple[str, str]]:
    """(the node's end, the EMS's end) of a serial line."""
    ends = [os.openpty() for _ in range(2)]
    for master, slave in ends:
        tty.setraw(master)
        tty.setraw(slave)
    over = threading.Event()

    def carry(source: int, sink: int) -> None:
        while not over.is_set():
            try:
                data = os.read(source, 512)
                os.write(sink, data)
            except OSError:
                return

    for one, other in ((0, 1), (1, 0)):
        threading.Thread(target=carry, args=(ends[one][0], ends[other][0]), daemon=True).start()
    yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    over.set()


@pytest.mark.needs("uart", "asyncio", "flash")
def test_an_ems_on_a_serial_line_reads_obeys_and_is_kept(target: Target) -> None:
    with terminal() as (node_end, ems_end):
        running = Running(target, job(None, node_end, 25_000 if target.name == "chip" else LIVES_MS))
        with open(ems_end, "r+b", buffering=0) as noise:
            noise.write(b"\x01\x03\xff" + bytes([1, 3, 0, 0, 0, 1]) + crc16(b"no"))
        ems = over_serial(ems_end, line=(19200, "N", 1))  # a pseudo terminal has no parity
        end = time.monotonic() + 120
        while True:
            try:
                is_obeyed(ems)
                break
            except EmsError:
                assert time.monotonic() < end
        ems.close()
        kept, _ = running.printed()
    assert kept == [[1, 0, -12_345]]


JSON = """
import json
from lightnode import ems_map, ems_topic

for text in GIVEN:
    values = ems_topic.read(bytes.fromhex(text))
    block = ems_map.EmsBlock()
    taken = values is not None and block.take(values)
    print(json.dumps([taken, block.beats, len(block.octets)]))
"""
GOOD = {
    "heartbeat": 7, "state": 1, "reason": 0, "command": 12, "commanded_w": 20_000, "measured_w": -20_010,
    "measured_var": None, "charge_permille": 500, "local_switch": 0, "emergency_stop": 0,
}  # fmt: skip
WRONG: list[bytes] = [
    b"", b"{", b"{}", b"[]", b"null", b"7", b'"x"', b"\xff", b"[" * 400, b'{"a":' * 80, b"{1:2}", b'{"heartbeat"}',
    json.dumps(GOOD).encode()[:-1], json.dumps(GOOD).encode() + b"}", json.dumps(GOOD | {"more": 1}).encode(),
    json.dumps({k: v for k, v in GOOD.items() if k != "reason"}).encode(), json.dumps(GOOD).encode() + b" " * 512,
    *(json.dumps(GOOD | {"measured_w": v}).encode() for v in (1.5, "1", True, [1], {"a": 1}, 2**31, -(2**31), 10**90)),
    *(json.dumps(GOOD | {k: None}).encode() for k in ("heartbeat", "state", "reason", "local_switch", "emergency_stop")),
    json.dumps(GOOD).replace("500", "1e999").encode(), json.dumps(GOOD).replace("500", "NaN").encode(),
    json.dumps(GOOD | {"emergency_stop": 2}).encode(), json.dumps(GOOD | {"state": -1}).encode(),
]  # fmt: skip


def test_json_that_is_no_block_changes_nothing(target: Target) -> None:
    texts = [json.dumps(GOOD).encode(), json.dumps(GOOD, indent=1).encode(), *WRONG]
    printed = target.run(Job(f"GIVEN = {[t.hex() for t in texts]!r}\n" + JSON)).splitlines()
    found = [json.loads(line) for line in printed]
    assert found[:2] == [[True, 1, 28]] * 2
    assert [(row, text) for row, text in zip(found[2:], WRONG, strict=True) if row != [False, 0, 28]] == []


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_taken_or_not(payload: bytes) -> None:
    from lightnode import ems_map, ems_topic

    values = ems_topic.read(payload)
    assert values is None or isinstance(values, dict)
    assert not ems_map.EmsBlock().take(values or {})
