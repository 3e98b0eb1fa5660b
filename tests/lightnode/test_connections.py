"""What a lost connection leaves behind in MicroPython: nothing. A node that tries again for years has no socket to spare."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.pki import Pki

METER = """
import sys
sys.path.append(".frozen")
import asyncio, gc, os
from lightnode import board_unix
from lightnode.errors import MeterError
from lightnode.modbus import Master
from lightnode.modbus_tcp import TcpLink

async def cycles():
    master = Master(TcpLink(lambda: board_unix.open_tcp("127.0.0.1", {port})), 20)
    for k in range(12):
        master.begin()
        try:
            await master.read(1, 4, ((0, 6, 0, 0),))
        except MeterError:
            if k == 1:
                gc.collect()
                before = len(os.listdir("/proc/self/fd"))
    gc.collect()
    print(len(os.listdir("/proc/self/fd")) - before, master.errors)

asyncio.run(cycles())
"""

BROKER = """
import sys
sys.path.append(".frozen")
import asyncio, gc, os
from lightnode import board_unix
from lightnode.mqtt import MqttError, Session

async def once():
    work = board_unix.connect("127.0.0.1", {port}, {ca!r}, {cert!r}, {key!r})
    reader, writer = await asyncio.wait_for_ms(work, 50)
    session = Session(reader, writer, None, None)
    try:
        await asyncio.wait_for_ms(session.connect("me", 60), 50)
    finally:
        session.close()

async def sessions():
    failed = 0
    for k in range(8):
        try:
            await once()
        except (OSError, MqttError, ValueError, asyncio.TimeoutError):
            failed += 1
        if k == 1:
            gc.collect()
            before = len(os.listdir("/proc/self/fd"))
    gc.collect()
    print(len(os.listdir("/proc/self/fd")) - before, failed)

asyncio.run(sessions())
"""


def closes(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def is_silent(listener: socket.socket) -> None:
    held = []
    with contextlib.suppress(OSError):
        while True:
            held.append(listener.accept()[0])


def breaks_off(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            other = listener.accept()[0]
            other.sendall(b"\x00\x01\x00\x00\x00")
            other.close()


@contextmanager
def party(kind: str) -> Iterator[int]:
    """The port of somebody who treats each connection in this way."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        if kind == "refuses":
            yield port
            return
        listener.listen(0 if kind == "takes none" else 50)
        held = []
        if kind == "takes none":  # its queue is full: a connection hangs where it begins
            for _ in range(4):
                held.append(socket.socket())
                held[-1].setblocking(False)
                held[-1].connect_ex(("127.0.0.1", port))
            yield port
        else:
            work = {"closes": closes, "is silent": is_silent, "breaks off": breaks_off}[kind]
            threading.Thread(target=work, args=(listener,), daemon=True).start()
            yield port
            listener.shutdown(socket.SHUT_RDWR)
        for one in held:
            one.close()


KINDS = ("refuses", "takes none", "closes", "is silent", "breaks off")


@pytest.mark.parametrize("kind", KINDS)
def test_a_meter_that_cannot_be_had_over_tcp_leaves_no_socket_open(
    micropython: Callable[[str], str], kind: str
) -> None:
    with party(kind) as port:
        left, errors = micropython(METER.format(port=port)).split()
    assert int(left) <= 1 and int(errors) >= 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_broker_that_cannot_be_had_leaves_no_socket_open(
    micropython: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    pki = Pki(tmp_path)
    mine = pki.client("00/0000000000000000")
    with party(kind) as port:
        left, failed = micropython(
            BROKER.format(port=port, ca=str(pki.ca_der), cert=str(mine.cert_der), key=str(mine.key_der))
        ).split()
    assert (int(left), int(failed)) == (0, 8)
