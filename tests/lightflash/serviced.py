"""A device in service on a cable: the whole application on a simulated board, with a meter, a broker and a back end."""

import asyncio
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lightflash import build
from lightflash import release as releases
from lightflash.key import Key
from lightflash.link import Link
from lightflash.release import Release
from lightnode import enrolment, settings
from lightwire import records, topics
from littlefs import LittleFS
from shelf import NEW, a_build, files_on

from backend.adapters.ethereum import EmbeddedChain
from backend.adapters.mqtt import BrokerAccess
from backend.wiring import Backend, make_identity
from hil.boards.board import Board, firmware
from hil.broker import Broker
from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from hil.meters.tcp import TcpServer
from hil.nodes import FIRMWARE
from hil.pki import Pki
from hil.updates import Terms, application, release

POD = "IT001E00000077"
UPDATE_KEY = Key(b"\x11" * 32)
DAY_MS = 86_400_000
STATE, CONFIG = "/state", "/config.json"


@cache
def application_files() -> Mapping[str, bytes]:
    """The application as it is released for a computer."""
    return application()


def now_ms() -> int:
    """Of this computer."""
    return time.time_ns() // 1_000_000


def made(sequence: int, deployment: bytes, changed: Mapping[str, bytes] | None = None, **terms: Any) -> Release:
    """A release of the application, with a file that says which one it is."""
    files = {**application_files(), "lightnode/sequence.py": f"SEQUENCE = {sequence}\n".encode(), **(changed or {})}
    said = {"created_ms": now_ms() - DAY_MS, "deployment": deployment}
    return release(files, Terms(sequence, **(said | terms)), UPDATE_KEY)


def built(folder: Path, of: Release) -> Path:
    """A build with this release in it."""
    files = {"/" + path: data for path, data in _on_device(of).items()}
    a_build(folder, "unix", files)
    found = build.read(folder)
    outputs = {**found.outputs, build.RELEASE: of.announcement}
    told = {path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in outputs.items()}
    build.write(build.Build(outputs, {**found.record, "outputs": told}), folder)
    return folder


def _on_device(of: Release) -> dict[str, bytes]:
    return {f"app/{path}": data for path, data in releases.on_device(of).items()}


class Site:
    """Where a device is: meter, broker, back end, in real time. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = Pki(folder / "pki")
        self.broker = Broker(folder / "broker", self.pki)
        self.identity = make_identity(folder / "keys", os.urandom(16))
        self._loop = asyncio.new_event_loop()
        self.meter_port = 0
        self.is_delivering = True

    def __enter__(self) -> "Site":
        self.broker.start()
        mine = self.pki.client("backend")
        self.access = BrokerAccess(self.broker.host, self.broker.port, self.pki.ca_pem, mine.cert_pem, mine.key_pem)
        ledger = EmbeddedChain(self.identity.operator.rjust(32, b"\0")).ledger
        self.backend = Backend(self.folder, self.identity, self.access, ledger, now_ms)
        self.backend.start()
        station = Station(Meter("P1", meter_map("sdm630")), unit=1)
        station.offer(now_ms(), Terminals.spread(3, 6_000, 100, 230_000))
        self._server = TcpServer(station)
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._measure, self._deliver)]
        for thread in self._threads:
            thread.start()
        while not self.meter_port:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(5)
        self.backend.stop()
        self.broker.stop()

    def _measure(self) -> None:
        asyncio.set_event_loop(self._loop)
        self.meter_port = self._loop.run_until_complete(self._server.listen())
        self._loop.run_forever()
        self._server.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _deliver(self) -> None:
        while not self._is_over.wait(0.3):
            if self.is_delivering:
                self.backend.collect.deliver_all(now_ms())


@dataclass
class Serviced:
    """A board with a device in it that is enrolled at a site. id: 16 hexadecimal digits; public_key: of generation 1."""

    board: Board
    site: Site
    id: str
    public_key: bytes
    settings: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def port(self) -> str:
        """Where it is plugged in."""
        return str(self.board.port)

    def on_flash(self) -> dict[str, bytes]:
        """Every file, read without the device."""
        return files_on(self.board)

    def asks(self, command: str, true: Callable[[Mapping[str, Any]], bool], timeout_s: float = 60) -> Mapping[str, Any]:
        """What it says to a command as soon as that is true of it."""
        with Link(self.port) as link:
            return link.until(command, true, timeout_s)

    def is_well(self) -> Mapping[str, Any]:
        """It runs, measures and reaches its back end."""
        return self.asks("status", lambda said: said["connected"] and said["trusted"] and said["produced"] > 0, 90)


def device(site: Site, folder: Path, first: Release | None = None, **changed: Any) -> Serviced:
    """A device as `write` and `enrol` leave it, not plugged in yet."""
    of = first or made(10, site.identity.deployment)
    config = _settings(site, changed)
    host = folder / "host"
    host.mkdir(parents=True)
    document = {**config, "state_dir": str(host), "broker": {**config["broker"], "key": str(host / "key.der")}}
    hardware = SimpleNamespace(random=os.urandom, SystemClock=lambda: SimpleNamespace(monotonic_ms=lambda: 0))
    nonce = os.urandom(16)
    said = enrolment.enrol(settings.Settings(document), hardware, nonce)
    site.backend.register.approve(bytes.fromhex(said["enrolment"]), nonce, "node", POD, now_ms())
    site.pki.certify(bytes.fromhex(said["request"]), host / "cert.der")
    board = Board(folder / "board", "unix", bytes.fromhex(said["device"]), starts_main=True)
    board.install(firmware("unix", NEW, 16_384, 7))
    files = {"/" + path: data for path, data in _on_device(of).items()}
    files["/main.py"] = (FIRMWARE / "device" / "main.py").read_bytes()
    files |= {f"/lightboot/{p.name}": p.read_bytes() for p in (FIRMWARE / "lightboot").glob("*.py")}
    files |= {f"{STATE}/{name}": (host / name).read_bytes() for name in ("device.key", "key.der", "cert.der")}
    files[f"{STATE}/ca.der"] = site.pki.ca_der.read_bytes()
    files[f"{STATE}/wlan"] = b"a password of the site\n"
    files[CONFIG] = json.dumps(config).encode()
    _put(board, files)
    return Serviced(board, site, said["device"], bytes.fromhex(said["public_key"]), config, files)


def _settings(site: Site, changed: Mapping[str, Any]) -> dict[str, Any]:
    who = site.identity
    return {
        "state_dir": STATE, "deployment": who.deployment.hex(), "operator": who.operator.hex(),
        "log_key": who.log_key.public.hex(),
        "issuers": [{"id": who.issuer.hex(), "role": 1, "key": who.issuer_key.public.hex()}],
        "broker": {
            "host": site.broker.host, "port": site.broker.port, "ca": f"{STATE}/ca.der", "cert": f"{STATE}/cert.der",
            "key": f"{STATE}/key.der",
        },
        "meter": {"port": f"tcp:127.0.0.1:{site.meter_port}", "unit": 1, "map": "sdm630", "ct_ratio": 1, "vt_ratio": 1},
        "limits": {"max_withdrawal_w": 100_000, "max_injection_w": 100_000},
        "network": {"ssid": "site", "password_file": f"{STATE}/wlan"},
        "journal": {"path": "/journal", "bytes": 65_536}, "conductor": None, "trace": False, "console": True,
        "hardware": "unix", "update": {"root": "/app", "key": UPDATE_KEY.public.hex()}, **changed,
    }  # fmt: skip


def _put(board: Board, files: Mapping[str, bytes]) -> None:
    size = board.files.stat().st_size
    system = LittleFS(
        mount=False, block_size=4096, block_count=size // 4096, read_size=32, prog_size=32, cache_size=128, lookahead_size=32
    )  # fmt: skip
    system.format()
    system.mount()
    for path, content in files.items():
        system.makedirs(str(Path(path).parent), exist_ok=True)
        with system.open(path, "wb") as file:
            file.write(content)
    system.unmount()
    board.files.write_bytes(bytes(system.context.buffer))


@contextmanager
def in_service(folder: Path, **changed: Any) -> Iterator[Serviced]:
    """A device that is plugged in and well, at its site."""
    with Site(folder / "site") as site:
        found = device(site, folder / "device", **changed)
        with found.board:
            found.is_well()
            yield found


def reports(of: Serviced) -> list[records.UpdateReport]:
    """Every update report of it that the back end has verified and stored."""
    stored = of.site.backend.store.of_kind(bytes.fromhex(of.id), records.UPDATE_REPORT)
    return [records.decode(m.sealed[10:-66]) for m in stored]


def topic(of: Serviced, channel: str) -> str:
    """Of a device."""
    return topics.topic(bytes.fromhex(of.id), channel)
