"""Meters on a serial line, Modbus RTU: a pseudo terminal or a real port.

Modbus over Serial Line V1.02: framing and CRC-16. Our own because two dozen meters share a core with all else: a request
costs about 20 us, several times less than a library's server.

1. A frame counts with a right CRC only; before it, bytes are dropped one by one until one counts.
2. What has stayed incomplete for 100 ms is no frame.
"""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable, Sequence
from random import Random

from hil.meters.station import Station

_LONGEST = 256
_STALE_S = 0.1


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC = _crc_table()


def crc16(frame: bytes) -> bytes:
    """The two CRC bytes of an RTU frame, low byte first."""
    crc = 0xFFFF
    for byte in frame:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


class RtuFraming:
    """Unit, response, CRC."""

    def wrap(self, unit: int, response: bytes) -> bytes:
        """The frame on the line."""
        body = bytes((unit,)) + response
        return body + crc16(body)

    def spoil(self, frame: bytes, random: Random) -> bytes:
        """The frame with a wrong CRC."""
        return frame[:-1] + bytes((frame[-1] ^ random.randint(1, 255),))

    def hurt(self, frame: bytes, random: Random) -> bytes:
        """The frame with one byte changed, which the CRC always finds."""
        at = random.randrange(len(frame))
        return frame[:at] + bytes((frame[at] ^ random.randint(1, 255),)) + frame[at + 1 :]


class RtuLine:
    """Stations on one line; `path` is what the master opens. close() gives everything back.

    lost: called once when the port goes away.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        descriptor: int,
        path: str,
        close: Callable[[], None],
        lost: Callable[[], None] = lambda: None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Listens on a descriptor that does not block; `loop`: the running one if left out."""
        self.path = path
        self._stations = {station.unit: station for station in stations}
        self._descriptor = descriptor
        self._close = close
        self._lost = lost
        self._buffer = b""
        self._heard_s = 0.0
        self._framing = RtuFraming()
        self._loop = loop or asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._receive)

    def close(self) -> None:
        """Takes the line away."""
        self._loop.remove_reader(self._descriptor)
        self._descriptor = -1
        self._close()

    def _receive(self) -> None:
        try:
            data = os.read(self._descriptor, 512)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._descriptor)
            self._lost()
            return
        now_s = self._loop.time()
        if now_s - self._heard_s > _STALE_S:
            self._buffer = b""
        self._heard_s = now_s
        self._buffer += data
        self._take_frames()

    def _take_frames(self) -> None:
        buffer = self._buffer
        while len(buffer) >= 8:
            length = 9 + buffer[6] if buffer[1] == 16 else 8
            if length <= _LONGEST and len(buffer) < length:
                break
            frame = buffer[:length]
            if length > _LONGEST or crc16(frame[:-2]) != frame[-2:]:
                buffer = buffer[1:]
                continue
            buffer = buffer[length:]
            self._respond(frame)
        self._buffer = buffer

    def _respond(self, frame: bytes) -> None:
        station = self._stations.get(frame[0])
        if station is None:
            return
        for sending in station.answer(frame[0], frame[1:-2], self._framing):
            if sending.delay_ms:
                self._loop.call_later(sending.delay_ms / 1000, self._send, sending.data)
            else:
                self._send(sending.data)

    def _send(self, data: bytes) -> None:
        """A line that nobody empties loses what does not fit, as a real one does."""
        if self._descriptor >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._descriptor, data)


def pty_line(stations: Sequence[Station], loop: asyncio.AbstractEventLoop | None = None) -> RtuLine:
    """The stations on a pseudo terminal of their own."""
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    os.set_blocking(master, False)

    def close() -> None:
        os.close(master)
        os.close(slave)

    return RtuLine(stations, master, os.ttyname(slave), close, loop=loop)


def serial_line(
    stations: Sequence[Station],
    port: str,
    baud: int,
    parity: str,
    stop_bits: int,
    rs485: bool = False,
    lost: Callable[[], None] = lambda: None,
) -> RtuLine:
    """The stations on a real port, alone on it; OSError if it cannot be had. rs485: the driver switches the direction."""
    import serial
    import serial.rs485

    found = serial.Serial(port, baud, parity=parity, stopbits=stop_bits, timeout=0, exclusive=True)
    try:
        if rs485:
            found.rs485_mode = serial.rs485.RS485Settings()
    except (OSError, ValueError) as error:
        found.close()
        raise OSError(f"{port} has no RS-485 mode: {error}") from error
    return RtuLine(stations, found.fileno(), port, found.close, lost)
