"""A small Modbus server for emulated devices: registers in, answers out, over RTU (a pseudo terminal) or TCP.

Functions 3, 4 (read), 6 and 16 (write). Modbus Application Protocol V1.1b3; RTU framing and CRC-16 from Modbus over
Serial Line V1.02. Our own because twelve meters share a core: a frame costs 30 us, a library's server ten times that.
"""

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Callable, MutableMapping

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
Registers = MutableMapping[int, int]


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> bytes:
    """The two CRC bytes of an RTU frame, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


class Device:
    """Registers of one unit. `written(address, values)` is called after each accepted write."""

    def __init__(
        self,
        unit: int,
        inputs: Registers | None = None,
        holdings: Registers | None = None,
        written: Callable[[int, list[int]], None] | None = None,
    ) -> None:
        self.unit = unit
        self.inputs: Registers = inputs if inputs is not None else {}
        self.holdings: Registers = holdings if holdings is not None else {}
        self._written = written

    def answer(self, pdu: bytes) -> bytes:
        """The response PDU, an exception response included."""
        function = pdu[0]
        if function in (3, 4) and len(pdu) == 5:
            return self._read(function, int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))
        if function == 6 and len(pdu) == 5:
            return self._write(pdu, [int.from_bytes(pdu[3:5], "big")])
        if function == 16 and len(pdu) >= 6 and len(pdu) == 6 + pdu[5]:
            values = [int.from_bytes(pdu[i : i + 2], "big") for i in range(6, len(pdu), 2)]
            if len(values) != int.from_bytes(pdu[3:5], "big"):
                return bytes((function | 0x80, ILLEGAL_VALUE))
            return self._write(pdu, values)
        return bytes((function | 0x80, ILLEGAL_FUNCTION))

    def _read(self, function: int, start: int, count: int) -> bytes:
        registers = self.holdings if function == 3 else self.inputs
        if not 1 <= count <= 125:
            return bytes((function | 0x80, ILLEGAL_VALUE))
        try:
            values = [registers[address] for address in range(start, start + count)]
        except KeyError:
            return bytes((function | 0x80, ILLEGAL_ADDRESS))
        return bytes((function, 2 * count)) + b"".join(v.to_bytes(2, "big") for v in values)

    def _write(self, pdu: bytes, values: list[int]) -> bytes:
        start = int.from_bytes(pdu[1:3], "big")
        if any(start + k not in self.holdings for k in range(len(values))):
            return bytes((pdu[0] | 0x80, ILLEGAL_ADDRESS))
        for k, value in enumerate(values):
            self.holdings[start + k] = value
        if self._written is not None:
            self._written(start, values)
        return pdu[:5]


class RtuServer:
    """A device behind a pseudo terminal; `path` is what the master opens."""

    def __init__(self, device: Device, loop: asyncio.AbstractEventLoop) -> None:
        self._device = device
        self._loop = loop
        self._buffer = b""
        self._master, self._slave = os.openpty()
        tty.setraw(self._master, termios.TCSANOW)
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        loop.add_reader(self._master, self._receive)

    def close(self) -> None:
        """Takes the line away."""
        self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._buffer += os.read(self._master, 512)
        while len(self._buffer) >= 8:
            length = 9 + self._buffer[6] if self._buffer[1] == 16 else 8
            if len(self._buffer) < length:
                return
            frame = self._buffer[:length]
            if crc16(frame[:-2]) != frame[-2:]:
                self._buffer = self._buffer[1:]
                continue
            self._buffer = self._buffer[length:]
            if frame[0] == self._device.unit:
                body = frame[:1] + self._device.answer(frame[1:-2])
                os.write(self._master, body + crc16(body))


class TcpServer:
    """A device behind Modbus TCP on a free loopback port."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int = 0) -> None:
        """Listens on 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(7)
                length = int.from_bytes(head[4:6], "big")
                if head[2:4] != b"\0\0" or not 2 <= length <= 254:
                    break
                pdu = await reader.readexactly(length - 1)
                answer = self._device.answer(pdu)
                writer.write(head[:4] + (len(answer) + 1).to_bytes(2, "big") + head[6:7] + answer)
                await writer.drain()
        writer.close()
