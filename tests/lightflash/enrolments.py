"""A back end's register with kits, and a written board that is to be enrolled."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightflash import kit as kits_of_flasher
from lightflash.board import board
from lightflash.device_log import DeviceLog
from lightflash.enrolling import Order, enrol
from lightflash.micropython import MicroPython
from lightflash.outbox import Outbox, Statement
from lightflash.site_settings import site_settings

from backend.adapters.keys import SigningKey
from backend.adapters.kits import KitStore
from backend.adapters.mqtt import Incoming
from backend.adapters.sqlite import SqliteStore
from backend.flows.collect import Collect
from backend.flows.kits import Enrolments, KitTerms, make_kit
from backend.flows.ledgers import EvidenceTrees
from backend.flows.register import Register
from hil.boards.board import Board
from hil.pki import Pki
from tests.lightflash.building import built
from tests.shelf import a_board, put_on

DEPLOYMENT = bytes(range(16))
LOG = SigningKey(bytes(31) + b"\x07")
POD, OTHER_POD = "IT001E00000001", "IT001E00000002"
DAY_MS = 86_400_000
SITE = {
    "meter": {"port": "/dev/null", "unit": 1, "map": "sdm630", "ct_ratio": 20, "vt_ratio": 1},
    "limits": {"max_withdrawal_w": 100_000, "max_injection_w": 100_000},
    "journal": {"path": "/journal", "bytes": 65_536},
    "network": {"ssid": "site", "password_file": "/state/wlan"},
}


class Silent:
    """A link that goes nowhere."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Nothing."""

    def done(self, batch: list[Incoming]) -> None:
        """Nothing."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Registry:
    """A back end without a broker: its register, and the kits that it gives out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.operator = kits_of_flasher.hashlib.sha256(LOG.public).digest()[:8]
        self.store = SqliteStore(folder / "scd.sqlite")
        who = (DEPLOYMENT, self.operator)
        trees = EvidenceTrees(self.store, LOG.sign, *who)
        collect = Collect(self.store, Silent(), trees, LOG, who, now_ms)
        self.kits = KitStore(self.store)
        self.enrolments = Enrolments(self.store, self.kits, Register(self.store, trees, collect, LOG, who))
        self.pki = Pki(folder / "pki")
        self.kit_path = Path()

    def kit(self, pods: Sequence[str] = (POD, OTHER_POD), from_ms: int = 0, days: int = 7, nonces: int = 2) -> Path:
        """The file of a new kit."""
        start = from_ms or now_ms()
        settings = {
            "deployment": DEPLOYMENT.hex(), "operator": self.operator.hex(), "log_key": LOG.public.hex(),
            "issuers": [], "update_key": None,
        }  # fmt: skip
        broker = {"host": "127.0.0.1", "port": 8884, "ca": self.pki.ca_der.read_bytes().hex()}
        terms = KitTerms(settings, broker, list(pods), start, start + days * DAY_MS, nonces)
        content, _ = make_kit(self.kits, terms, LOG)
        path = self.folder / f"kit-{os.urandom(4).hex()}.json"
        path.touch(0o600)
        path.write_bytes(content)
        return path

    def take(self, statement: Statement, at_ms: int = 0, **changes: str) -> Mapping[str, Any]:
        """What the back end answers to what `sync` sends."""
        fields = {key: getattr(statement, key) for key in ("pod", "nonce", "enrolment", "request")} | changes
        topic = f"ln/1/kit/{statement.kit}/enrol"
        to, answer = self.enrolments.answer(topic, json.dumps(fields).encode(), at_ms or now_ms())
        assert to == topic + "led"
        found: Mapping[str, Any] = json.loads(answer)
        return found

    def nodes(self) -> list[tuple[str, str]]:
        """(device, POD) of every light node in the register."""
        return [(party.id.hex(), party.pod) for party in self.store.parties() if party.role == "node"]


@dataclass
class Technician:
    """A computer with an outbox and a log, and no network."""

    folder: Path
    kit: Path
    name: str = "N01"
    pod: str = POD
    said: list[str] = field(default_factory=list)

    @property
    def outbox(self) -> Outbox:
        """Its outbox."""
        return Outbox(self.folder / "outbox")

    @property
    def log(self) -> DeviceLog:
        """Its log."""
        return DeviceLog(self.folder / "flash-log")

    def enrol(self, device: Board) -> Statement:
        """As the command does. FlashError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        site = self.folder / "site.json"
        site.write_text(json.dumps(SITE))
        kit = kits_of_flasher.open_kit(self.kit)
        kit.check(self.pod, now_ms())
        content, checked = site_settings(site, [], kit, board("unix"))
        order = Order(self.name, self.pod, str(device.port), board("unix"), kit, content, checked, b"the password")
        port = MicroPython(lambda: str(device.port), 5.0)
        return enrol(order, port, self.log, self.outbox, self.said.append)


def written_board(folder: Path, number: int = 1) -> Board:
    """A board with the application on it, as `write` leaves it."""
    made = a_board(folder, "unix", number)
    put_on(made, {"/" + path: content for path, content in built("unix").files.items()})
    return made
