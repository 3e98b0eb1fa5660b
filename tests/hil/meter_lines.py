"""Meters served from a thread, and masters that are not ours."""

import asyncio
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from hil.meters.catalogue import Quantity, meter_map
from hil.meters.meter import Meter
from hil.meters.rtu import RtuLine, pty_line
from hil.meters.station import Station
from hil.meters.tcp import TcpServer

Master = ModbusSerialClient | ModbusTcpClient


@contextmanager
def looping() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def on_pty(*stations: Station) -> Iterator[RtuLine]:
    """The stations on one pseudo terminal."""
    with looping() as loop:

        async def listen() -> RtuLine:
            return pty_line(stations)

        async def close(line: RtuLine) -> None:
            line.close()

        line = asyncio.run_coroutine_threadsafe(listen(), loop).result(5)
        try:
            yield line
        finally:
            asyncio.run_coroutine_threadsafe(close(line), loop).result(5)


@contextmanager
def on_tcp(station: Station) -> Iterator[int]:
    """The station's port on 127.0.0.1."""
    with looping() as loop:
        server = TcpServer(station)

        async def close() -> None:
            server.close()

        port = asyncio.run_coroutine_threadsafe(server.listen(), loop).result(5)
        try:
            yield port
        finally:
            asyncio.run_coroutine_threadsafe(close(), loop).result(5)


@contextmanager
def serial_master(path: str, timeout_s: float = 2.0) -> Iterator[ModbusSerialClient]:
    """A master on a serial port that asks once."""
    master = ModbusSerialClient(path, timeout=timeout_s, retries=0)
    assert master.connect()
    try:
        yield master
    finally:
        master.close()


@contextmanager
def tcp_master(port: int, timeout_s: float = 2.0) -> Iterator[ModbusTcpClient]:
    """A master over TCP that asks once."""
    master = ModbusTcpClient("127.0.0.1", port=port, timeout=timeout_s, retries=0)
    assert master.connect()
    try:
        yield master
    finally:
        master.close()


def station(name: str = "sdm630", **more: object) -> Station:
    """A station with a fresh meter."""
    return Station(Meter("P1", meter_map(name)), **more)  # type: ignore[arg-type]


def registers(master: Master, start: int, count: int, function: int = 4, unit: int = 1) -> list[int]:
    """What a master gets; ConnectionError if it is not an answer with so many registers."""
    from pymodbus.exceptions import ModbusException

    read = master.read_input_registers if function == 4 else master.read_holding_registers
    try:
        answer = read(start, count=count, device_id=unit)
    except ModbusException as error:
        raise ConnectionError(str(error)) from error
    if answer.isError() or len(answer.registers) != count:
        raise ConnectionError(str(answer))
    return list(answer.registers)


def value_of(words: list[int], form: str, low_first: bool = False) -> float:
    """The plain value of registers: a decoder that shares nothing with the meter's encoder."""
    raw = struct.pack(f">{len(words)}H", *(reversed(words) if low_first else words))
    if form == "float32":
        return float(struct.unpack(">f", raw)[0])
    return int.from_bytes(raw, "big", signed=form.startswith("int"))


def primary(words: list[int], quantity: Quantity, low_first: bool, ratio: int = 1) -> float:
    """A quantity in the truth's units."""
    value = value_of(words, quantity.form, low_first)
    if quantity.form != "float32":
        value *= float(quantity.resolution)
    return value * quantity.factor * ratio * quantity.sign
