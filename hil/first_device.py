"""A stranger's first device: a back end, a meter and a board on this computer, put into service by the documented commands.

1. Everything is real but the board and the meter: mosquitto with mutual TLS, the back end with its database and chain, the
   MicroPython VM with the application as `build` made it, in LittleFS as `write` left it. Time is this computer's.
2. Each step of the technician is a command of the documentation, run as a process of its own and shown before it runs.
3. The board is a computer's own: it has a console and a flash, its network is the computer's, its meter a pseudo terminal.
4. What does not end as it should ends the show with the command's own line.
"""

import hashlib
import json
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightwire import envelope

from backend.adapters.ethereum import EmbeddedChain
from backend.adapters.keys import verifier
from backend.adapters.mqtt import BrokerAccess
from backend.wiring import Backend, Identity, make_identity
from hil.boards.board import Board, firmware
from hil.broker import Broker
from hil.ems import EmsError, over_tcp
from hil.errors import RigError
from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from hil.pki import Pki
from hil.runtime import micropython_command
from hil.targets.meter_line import on_a_terminal

POD, NAME, PLACE = "IT001E00000001", "N01", "A table, this computer"
DEPLOYMENT = bytes(range(16))
LOAD_W, REACTIVE_VAR, PHASE_MV, CT_RATIO = 5_000, 600, 230_000, 20
_STEP_S, _LONGEST_S = 0.05, 240.0
_FIRMWARE_BYTES = 16_384
_VERIFIED_MOST = 3
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Commissioned:
    """The device (id in hexadecimal) and what the database holds of it: readings, all of them verified with the registered
    key; files: of the record and the label, by name."""

    device: str
    pod: str
    key_sha256: str
    tls_key_sha256: str
    readings: int
    files: dict[str, str]


class Technician:
    """Runs the documented commands in the folder of the show (rule 2)."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder = folder
        self._say = say

    def run(self, program: str, *words: str) -> str:
        """What it printed. RigError with its last line if it did not end well."""
        self._say(f"$ ./run {program} {shlex.join(words)}")
        module = {"flash": "lightflash", "lightnode": "backend"}[program]
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=self._folder, capture_output=True, text=True, check=False, timeout=_LONGEST_S,
        )  # fmt: skip
        for line in done.stdout.splitlines():
            self._say(f"  {line}")
        if done.returncode:
            lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
            raise RigError(f"{program} {words[0]} ended with {done.returncode}: {lines[-1]}")
        return done.stdout


@contextmanager
def operator(folder: Path, devices: Path) -> Iterator[tuple[Broker, Pki, Identity]]:
    """The operator's broker; its authorities of kits are in `devices`, which is read when it starts."""
    pki = Pki(folder / "pki", valid_days=365)
    broker = Broker(folder / "broker", pki, kits=devices)
    heard = [f"ln/1/+/+/{channel}" for channel in ("record", "decision", "execution")]
    broker.admit("commissioning", reads=heard, writes=["ln/1/+/+/setpoint"])
    try:
        yield broker, pki, make_identity(folder / "keys", DEPLOYMENT)
    finally:
        broker.stop()


@contextmanager
def back_end(folder: Path, broker: Broker, pki: Pki, identity: Identity) -> Iterator[Backend]:
    """The back end at work, on this computer's clock."""
    chain = EmbeddedChain(identity.operator.rjust(32, b"\0"))
    mine = pki.client("backend")
    access = BrokerAccess(broker.host, broker.port, pki.ca_pem, mine.cert_pem, mine.key_pem)
    made = Backend(folder, identity, access, chain.ledger, _now_ms)
    made.start()
    made.register.announce(identity.issuer_key.public, "issuer", _now_ms())
    try:
        with _repeated(lambda: made.step(_now_ms()), _STEP_S):
            yield made
    finally:
        made.stop()
        chain.close()


@contextmanager
def meter() -> Iterator[str]:
    """The path of a meter with a load."""
    station = Station(Meter(POD, meter_map("sdm630"), ct_ratio=CT_RATIO), unit=1)

    def offer() -> None:
        station.offer(_now_ms(), Terminals.spread(3, LOAD_W, REACTIVE_VAR, PHASE_MV))

    offer()
    with on_a_terminal(station) as path, _repeated(offer, 1.0):
        yield path


@contextmanager
def energy_manager(port: int) -> Iterator[None]:
    """An energy manager that follows the device's registers as soon as they are there."""
    held: list[object] = []

    def follow() -> None:
        try:
            held[:] = held or [over_tcp("127.0.0.1", port)]
            held[0].follow()  # type: ignore[attr-defined]
        except EmsError:
            held.clear()  # the device is starting, or starts again

    with _repeated(follow, 1.0):
        yield


def new_board(folder: Path) -> Board:
    """A board as it is bought: MicroPython, and nothing else."""
    said = subprocess.run(
        [*micropython_command(), "-c", "import sys; print(*sys.implementation.version[:3])"],
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout.split()  # fmt: skip
    board = Board(folder, "unix", bytes.fromhex("0200000000000001"), starts_main=True)
    board.install(firmware("unix", (int(said[0]), int(said[1]), int(said[2])), _FIRMWARE_BYTES, 1))
    return board


def commission(folder: Path, technician: str, say: Say) -> Commissioned:
    """Everything, in the order of the documentation. folder: new. RigError, PartMissing."""
    if folder.exists() and any(folder.iterdir()):
        raise RigError(f"{folder} is not empty: name a new folder with --out")
    folder = folder.resolve()
    scd, van = folder / "operator", folder / "technician"
    for made in (scd, van):
        made.mkdir(parents=True)
    devices = scd / "devices.pem"
    hand = Technician(van, say)
    with ExitStack() as stack:
        broker, pki, identity = stack.enter_context(operator(scd, devices))
        _kit(scd, broker, pki, devices, hand)
        broker.start()
        backend = stack.enter_context(back_end(scd, broker, pki, identity))
        ems_port = _free_port()
        _site_files(van, stack.enter_context(meter()), ems_port)
        _operator_file(van, broker, pki, scd)
        stack.enter_context(energy_manager(ems_port))
        board = stack.enter_context(new_board(folder / "board"))
        _put_into_service(hand, str(board.port))
        device = _reading(backend, say)
        _prove(hand, str(board.port), scd / "scd.sqlite", technician)
        readings = _verified(backend, device)
        return _told(van, device, readings)


def _kit(scd: Path, broker: Broker, pki: Pki, devices: Path, hand: Technician) -> None:
    (scd / "pods.txt").write_text(POD + "\n")
    address = f"127.0.0.1:{broker.device_port}"
    hand.run(
        "lightnode", "kit", "make", "--folder", str(scd), "--deployment", DEPLOYMENT.hex(), "--pods", str(scd / "pods.txt"),
        "--broker", address, "--ca", str(pki.ca_pem), "--devices", str(devices), "--out", "kit.json",
    )  # fmt: skip


def _site_files(van: Path, meter_path: str, ems_port: int) -> None:
    site = {
        "meter": {"port": meter_path, "unit": 1, "map": "sdm630", "ct_ratio": CT_RATIO, "vt_ratio": 1},
        "limits": {"max_withdrawal_w": 100_000, "max_injection_w": 100_000},
        "journal": {"path": "/journal", "bytes": 655_360},
        "ems": {"listen": f"127.0.0.1:{ems_port}"},
    }
    (van / "site.json").write_text(json.dumps(site, indent=1) + "\n")


def _operator_file(van: Path, broker: Broker, pki: Pki, scd: Path) -> None:
    """Access to the broker for the checks, as the operator gives it to a technician."""
    mine = pki.client("commissioning")
    lines = [
        f'deployment = "{DEPLOYMENT.hex()}"', "[broker]", f'host = "{broker.host}"', f"port = {broker.port}",
        f'ca = "{pki.ca_pem}"', f'cert = "{mine.cert_pem}"', f'key = "{mine.key_pem}"',
        "[issuer]", f'key = "{scd / "keys" / "setpoint.key"}"', "role = 1",
    ]  # fmt: skip
    (van / "operator.toml").write_text("\n".join(lines) + "\n")


def _put_into_service(hand: Technician, port: str) -> None:
    hand.run("flash", "build", "--board", "unix", "--out", "build")
    hand.run("flash", "write", "--board", "unix", "--port", port, "--name", NAME, "--build", "build")
    hand.run(
        "flash",
        "enrol",
        port,
        "--board",
        "unix",
        "--name",
        NAME,
        "--pod",
        POD,
        "--kit",
        "kit.json",
        "--config",
        "site.json",
    )
    hand.run("flash", "sync", "--kit", "kit.json")


def _reading(backend: Backend, say: Say) -> bytes:
    """The device, once its first reading is in the database."""
    say("waiting for its first reading in the back end's database")
    end = time.monotonic() + _LONGEST_S
    while time.monotonic() < end:
        for party in backend.store.parties():
            if party.role == "node" and backend.store.count_readings(party.id):
                return party.id
        time.sleep(0.2)
    findings = [what for _, what in backend.store.findings()]
    raise RigError(f"no reading came within {_LONGEST_S:g} s: {findings[-1] if findings else 'nothing was refused'}")


def _prove(hand: Technician, port: str, database: Path, technician: str) -> None:
    config = f"outbox/settings/{NAME}.json"
    hand.run("flash", "status", "--port", port)
    for left in range(_VERIFIED_MOST - 1, -1, -1):  # a computer that is busy lets a meter's answer come too late
        try:
            hand.run(
                "flash", "verify", port, "--expect-w", f"{LOAD_W * 9 // 10}..{LOAD_W * 11 // 10}", "--config", config,
                "--operator", "operator.toml", "--database", str(database), "--out", f"{NAME}.verify.json",
            )  # fmt: skip
            break
        except RigError:
            if not left:
                raise
    hand.run("flash", "key", "--make", "technician.key")
    hand.run(
        "flash", "record", "make", f"{NAME}.verify.json", "--config", config, "--build", "build", "--kit", "technician.key",
        "--pod", POD, "--place", PLACE, "--meter-serial", "1", "--technician", technician, "--port", port, "--out", NAME,
    )  # fmt: skip
    hand.run("flash", "record", "check", f"{NAME}/record.json")
    hand.run("flash", "label", f"{NAME}/record.json", "--out", NAME)


def _verified(backend: Backend, device: bytes) -> int:
    """How many readings of the device are stored; each is verified once more. RigError if one is not the device's."""
    keys = {party.generation: party.public for party in backend.store.parties() if party.id == device}
    kept = backend.store.of_kind(device, 1)
    for one in kept:
        generation = envelope.peek(one.sealed).generation
        envelope.open_sealed(one.sealed, DEPLOYMENT, verifier(keys[generation]))
    return len(kept)


def _told(van: Path, device: bytes, readings: int) -> Commissioned:
    stated = json.loads((van / "outbox" / f"{device.hex()}.json").read_text())
    record = json.loads((van / NAME / "record.json").read_text())
    if record["facts"]["device"] != device.hex():
        raise RigError("the record is of another device")
    files = {path.name: str(path) for path in sorted((van / NAME).iterdir())}
    key = hashlib.sha256(bytes.fromhex(stated["public_key"])).hexdigest()
    return Commissioned(device.hex(), POD, key, stated["tls_key_sha256"], readings, files)


@contextmanager
def _repeated(work: Callable[[], None], every_s: float) -> Iterator[None]:
    """The work is done again and again meanwhile; what it raises is raised at the end."""
    stop, failure = threading.Event(), []

    def turn() -> None:
        try:
            while not stop.wait(every_s):
                work()
        except Exception as error:  # of a thread: nobody else would see it
            failure.append(error)

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
    if failure:
        raise failure[0]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
