"""Bad weather for packets: a relay whose two halves meet over a pair of TUN devices with delay, loss, duplicates, reorder.

`Netem(port, ...)` gives a loopback port in front of a loopback server, as hil.faults.link does, but here the stream goes as
IP packets through a process that treats each on its own; TCP has to repair it. The process is
`python -m hil.faults.netem CONFIG`; its network namespaces end with it, nothing of the machine's network is touched.

Needs Linux, /dev/net/tun and the rights to make network namespaces (root); else FaultUnavailable.
"""

import asyncio
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hil.faults import FaultUnavailable
from hil.process import Child

_TUNSETIFF, _IFF_TUN_NO_PI = 0x400454CA, 0x1001
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8916, 0x891C, 0x8913, 0x8914, 1
_CLONE_NEWNET = 0x40000000
_ADDRESSES = "10.99.1.1", "10.99.1.2"
_PORT = 7883
_START_S = 10.0


@dataclass(frozen=True, slots=True)
class Weather:
    """delay_ms and jitter_ms of each packet, each way (jitter turns the order); shares lost and doubled, 0 to 1."""

    delay_ms: float = 0
    jitter_ms: float = 0
    loss: float = 0
    duplicate: float = 0
    seed: int = 1


class Netem:
    """A context manager; `port` is where to connect instead of the server's."""

    def __init__(self, folder: Path, port: int, weather: Weather) -> None:
        self.port = 0
        self._folder = folder
        self._config = {"server": port, **asdict(weather)}

    def __enter__(self) -> "Netem":
        if sys.platform != "linux" or os.geteuid() != 0:
            raise FaultUnavailable("packet faults need root on Linux")
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise FaultUnavailable("packet faults need /dev/net/tun")
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "netem.json"
        path.write_text(json.dumps(self._config))
        command = [sys.executable, "-m", "hil.faults.netem", str(path)]
        self._child = Child("netem", command, self._folder / "netem.log")
        line = self._child.line(_START_S)
        if line is None:
            self._child.stop()
            raise FaultUnavailable(f"packet faults: {self._child.last_words()}")
        self.port = int(str(line["port"]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.stop()


def _elsewhere(act: Callable[[], Any]) -> Any:
    """What act gives in a thread with a network namespace of its own; what it opened stays there."""
    found: list[Any] = []

    def run() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET):
            found.append(OSError(ctypes.get_errno(), "a network namespace cannot be made"))
            return
        try:
            found.append(act())
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def _tun(address: str) -> int:
    """A TUN device that is up, in the namespace of this thread; its file descriptor."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"rig", _IFF_TUN_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.0")):
            body = struct.pack("16sHH4s8x", b"rig", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, request, body)
        (flags,) = struct.unpack("16xH", fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH22x", b"rig", 0))[:18])
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"rig", flags | _IFF_UP))
    return device


def _far_side() -> tuple[int, socket.socket]:
    device = _tun(_ADDRESSES[1])
    return device, socket.create_server((_ADDRESSES[1], _PORT), backlog=64)


class _Near:
    """The near namespace: a thread that stays in it and opens connections for the relay."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._given = threading.Event()
        self._made: Any = 0
        threading.Thread(target=self._run, daemon=True).start()
        self._given.wait()
        if isinstance(self._made, OSError):
            raise self._made
        self.device: int = self._made

    def socket(self) -> socket.socket:
        """A TCP socket that lives there."""
        self._given.clear()
        self._wanted.set()
        self._given.wait()
        made: socket.socket = self._made
        return made

    def _run(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            if libc.unshare(_CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "a network namespace cannot be made")
            self._made = _tun(_ADDRESSES[0])
        except OSError as error:
            self._made = error
        self._given.set()
        while self._wanted.wait():
            self._wanted.clear()
            self._made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._made.setblocking(False)
            self._given.set()


def _blow(devices: tuple[int, int], weather: Weather) -> None:
    """Carries packets between the devices, each by its own fate; never returns."""
    draw, count = random.Random(weather.seed), 0
    waiting: list[tuple[float, int, int, bytes]] = []
    while True:
        patience = max(0.0, min(0.05, waiting[0][0] - time.monotonic())) if waiting else 0.05
        for device in select.select(devices, (), (), patience)[0]:
            packet = os.read(device, 4096)
            there = devices[1] if device == devices[0] else devices[0]
            for _ in range(1 + (draw.random() < weather.duplicate)):
                if draw.random() >= weather.loss:
                    count += 1
                    late_s = (weather.delay_ms + draw.random() * weather.jitter_ms) / 1000
                    heapq.heappush(waiting, (time.monotonic() + late_s, count, there, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, there, packet = heapq.heappop(waiting)
            os.write(there, packet)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
    if not writer.transport.is_closing():
        writer.write_eof()


async def _both(
    here: tuple[asyncio.StreamReader, asyncio.StreamWriter], there: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    try:
        await asyncio.gather(_pump(here[0], there[1]), _pump(there[0], here[1]))
        for _, writer in (here, there):
            writer.close()
    except OSError:  # one end is gone: so is the other
        for _, writer in (here, there):
            writer.transport.abort()


async def _relay(near: _Near, far: socket.socket, server: int) -> None:
    loop = asyncio.get_running_loop()

    async def outward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made = near.socket()
        await loop.sock_connect(made, (_ADDRESSES[1], _PORT))
        await _both((reader, writer), await asyncio.open_connection(sock=made))

    async def inward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _both((reader, writer), await asyncio.open_connection("127.0.0.1", server))

    listener = await asyncio.start_server(outward, "127.0.0.1", 0)
    arrivals = await asyncio.start_server(inward, sock=far)
    print(json.dumps({"port": listener.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.gather(listener.serve_forever(), arrivals.serve_forever())


def main(path: Path) -> None:
    """Runs the relay until it is stopped."""
    config = json.loads(path.read_text())
    server = config.pop("server")
    try:
        near = _Near()
        far_device, far = _elsewhere(_far_side)
    except OSError as error:
        sys.exit(f"{error.strerror}: packet faults need CAP_NET_ADMIN and CAP_SYS_ADMIN")
    devices = near.device, far_device
    threading.Thread(target=_blow, args=(devices, Weather(**config)), daemon=True).start()
    asyncio.run(_relay(near, far, server))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
