"""From a kit to the register by the documented commands: offline, then synced, and what a thief of a kit cannot do."""

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lightflash.kit import Kit, open_kit
from lightwire import records
from paho.mqtt.enums import CallbackAPIVersion

from backend import cli as back_end_cli
from backend.adapters.ethereum import EmbeddedChain
from backend.adapters.mqtt import BrokerAccess
from backend.wiring import Backend, make_identity
from hil.boards.board import Board
from hil.broker import Broker
from hil.pki import Pki
from tests.lightflash.enrolments import SITE, now_ms, written_board
from tests.shelf import files_on

pytestmark = [pytest.mark.usefixtures("micropython"), pytest.mark.timeout(400)]
DEPLOYMENT = bytes(range(16))
ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse 7731"
PODS = ("IT001E00000001", "IT001E00000002")


class Operator:
    """A back end's folder, a broker for it, and a kit that `lightnode kit make` made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = Pki(folder / "pki")
        self.devices = folder / "devices.pem"
        self.devices.touch()
        self.broker = Broker(folder / "broker", self.pki, kits=self.devices)
        (folder / "pods.txt").write_text("\n".join(PODS) + "\n")
        self.kit = folder / "kit.json"
        self.made = back_end_cli.main(
            ["kit", "make", "--folder", str(folder), "--deployment", DEPLOYMENT.hex(), "--pods", str(folder / "pods.txt"),
             "--broker", f"127.0.0.1:{self.broker.device_port}", "--ca", str(self.pki.ca_pem), "--devices", str(self.devices),
             "--out", str(self.kit)]
        )  # fmt: skip

    @contextmanager
    def running(self) -> Iterator[Backend]:
        """The back end at work."""
        identity = make_identity(self.folder / "keys", DEPLOYMENT)
        chain = EmbeddedChain(identity.operator.rjust(32, b"\0"))
        mine = self.pki.client("backend")
        access = BrokerAccess(self.broker.host, self.broker.port, self.pki.ca_pem, mine.cert_pem, mine.key_pem)
        backend = Backend(self.folder, identity, access, chain.ledger, now_ms)
        stop = threading.Event()

        def step() -> None:
            while not stop.wait(0.05):
                backend.step(now_ms())

        clock = threading.Thread(target=step, daemon=True)
        backend.start()
        clock.start()
        try:
            yield backend
        finally:
            stop.set()
            clock.join(5)
            backend.stop()
            chain.close()


@pytest.fixture
def operator(tmp_path: Path, mosquitto: list[str]) -> Operator:
    made = Operator(tmp_path / "operator")
    assert made.made == 0 and made.kit.stat().st_mode & 0o077 == 0
    return made


class Van:
    """A technician's folder, where the documented commands run; `seen`: every command line of the machine meanwhile."""

    def __init__(self, folder: Path, kit: Path) -> None:
        folder.mkdir()
        self.folder, self.kit = folder, kit
        self.seen: set[bytes] = set()
        self.printed = ""
        (folder / "site.json").write_text(json.dumps(SITE))
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "password").chmod(0o600)

    def run(self, *words: str) -> tuple[int, str]:
        """(exit code, what it said at last)."""
        command = [sys.executable, "-m", "lightflash", *words, "--kit", str(self.kit)]
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'firmware'}"},
            )
            while process.poll() is None:
                self._look()
                time.sleep(0.03)
        said = (self.folder / "out").read_text() + (self.folder / "err").read_text()
        assert "Traceback" not in said, said
        self.printed += said
        return process.returncode, said

    def _look(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.seen.add(path.read_bytes())
            except OSError:
                continue  # it has ended

    def enrol(self, board: Board, name: str, pod: str) -> tuple[int, str]:
        """As the README has it."""
        return self.run(
            "enrol", str(board.port), "--board", "unix", "--name", name, "--pod", pod, "--config", "site.json",
            "--wifi-password", "password", "--set", "meter.ct_ratio=40",
        )  # fmt: skip


def forms(secret: bytes) -> list[bytes]:
    """How a secret could be written down."""
    whole = base64.b64encode(secret)
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), whole, whole[:20]]


def test_a_device_flashed_offline_is_registered_after_sync_once_and_no_secret_is_anywhere(
    tmp_path: Path, operator: Operator, capfd: pytest.CaptureFixture[str]
) -> None:
    van = Van(tmp_path / "van", operator.kit)
    board = written_board(tmp_path / "board")
    with board:
        code, said = van.enrol(board, "N01", PODS[0])
        assert code == 0 and "security level 1 (keys in files)" in said, said
    code, said = van.run("sync")
    assert code == 3 and "cannot be reached" in said
    files = files_on(board)
    assert json.loads(files["/config.json"])["meter"]["ct_ratio"] == 40
    with operator.broker, operator.running() as backend:
        assert [party.role for party in backend.store.parties()] == []
        for _ in range(2):
            code, said = van.run("sync")
            assert code == 0 and ": registered" in said, said
            nodes = [(party.id.hex(), party.pod) for party in backend.store.parties()]
            assert nodes == [(json.loads(next((van.folder / "outbox").glob("*.json")).read_text())["device"], PODS[0])]
            assert len(backend.store.leaves(records.TREE_KEYS)) == 2  # the key and its place
        statement = next((van.folder / "outbox").glob("*.json"))
        statement.write_text(
            statement.read_text().replace('"registered"', '"waiting"')
        )  # the answer was lost on the way
        assert van.run("sync")[0] == 0 and len(backend.store.leaves(records.TREE_KEYS)) == 2
        check_thief(open_kit(operator.kit), operator, tmp_path)
    assert back_end_cli.main(["kit", "list", "--folder", str(operator.folder)]) == 0
    assert "used 1" in capfd.readouterr().out
    device, tls = files["/state/device.key"], files["/state/key.der"]
    kit_key = bytes.fromhex(json.loads(operator.kit.read_text())["key"])
    log_key = (operator.folder / "keys" / "log.key").read_bytes()
    for secret in (device[3:35], tls[7:39], PASSWORD.encode(), kit_key[36:68], log_key):
        check_nowhere(secret, van, operator)


def check_nowhere(secret: bytes, van: Van, operator: Operator) -> None:
    kept = [operator.kit, operator.folder / "keys" / "log.key", van.folder / "password"]
    written = [path for folder in (van.folder, operator.folder) for path in folder.rglob("*") if path.is_file()]
    texts = {str(path): path.read_bytes() for path in written if path not in kept}
    assert len(texts) > 8 and len(van.seen) > 3 and any(b"enrol" in line for line in van.seen)
    texts |= {"printed": van.printed.encode(), "processes": b"\n".join(van.seen)}
    for where, text in texts.items():
        assert not any(form in text for form in forms(secret)), f"a secret is in {where}"


def check_thief(kit: Kit, operator: Operator, folder: Path) -> None:
    """Who has the kit is heard as a device or as the kit, whatever name is in the certificate."""
    heard: list[str] = []
    refused: list[int] = []
    ready = threading.Event()
    for number, port in enumerate((operator.broker.device_port, operator.broker.port)):
        key = ec.generate_private_key(ec.SECP256R1())
        pem = folder / f"thief{number}.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pem.write_bytes(ssl.DER_cert_to_PEM_cert(kit.vouch(key.public_key(), "backend")).encode() + secret)
        context = ssl.create_default_context(cadata=kit.ca)
        context.load_cert_chain(pem)
        client = mqtt.Client(CallbackAPIVersion.VERSION2, f"thief{number}")
        client.tls_set_context(context)
        client.on_message = lambda _c, _d, message: heard.append(message.topic)
        client.on_connect = lambda client, *_: client.subscribe([("ln/1/#", 1), ("ln/1/backend/time", 1)])
        client.on_subscribe = lambda *_: ready.set()
        try:
            client.connect("127.0.0.1", port)
            client.loop_start()
            if number:
                time.sleep(0.5)
                refused.append(int(not client.is_connected()))
            else:
                assert ready.wait(10)
                client.publish("ln/1/1/0123456789abcdef/setpoint", b"evil", 1).wait_for_publish(10)
                client.publish("ln/1/kit/0123456789abcdef/enrol", b"evil", 1).wait_for_publish(10)
                assert client.is_connected()
        except OSError:
            refused.append(1)
        finally:
            client.disconnect()
            client.loop_stop()
        pem.unlink()
    assert refused == [1] and heard == []


@pytest.mark.long
def test_without_an_answer_it_is_pending_and_refusals_are_named(tmp_path: Path, operator: Operator) -> None:
    van = Van(tmp_path / "van", operator.kit)
    with written_board(tmp_path / "b1") as first, written_board(tmp_path / "b2", 2) as second:
        assert van.enrol(first, "N01", PODS[0])[0] == 0
        assert van.enrol(second, "N02", PODS[1])[0] == 0
        code, said = van.enrol(second, "N02", "IT9")
        assert code == 1 and "is not for POD 'IT9'" in said and len(said.splitlines()) == 1
    with operator.broker:
        code, said = van.run("sync", "--timeout", "0.5")
        assert code == 4 and "has not answered" in said
        path = next(p for p in (van.folder / "outbox").glob("*.json") if '"N02"' in p.read_text())
        path.write_text(path.read_text().replace(PODS[1], PODS[0]))
        with operator.running() as backend:
            code, said = van.run("sync", "--json")
            assert code == 1 and "a nonce for another POD" in said, said
            assert [party.pod for party in backend.store.parties()] == [PODS[0]]


def test_kit_commands_refuse_in_one_line(operator: Operator, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, pods = str(operator.folder), operator.folder / "pods.txt"
    words = ["kit", "make", "--folder", folder, "--deployment", DEPLOYMENT.hex(), "--broker", "b:1", "--ca", str(operator.pki.ca_pem),
             "--devices", str(operator.devices)]  # fmt: skip
    for more, reason in (
        (["--pods", str(pods), "--out", str(operator.kit)], "name a file that is not there"),
        (["--pods", str(tmp_path / "none"), "--out", str(tmp_path / "k")], "one POD a line"),
        (["--pods", str(operator.devices), "--out", str(tmp_path / "k")], "is no POD"),
        (["--pods", str(pods), "--out", str(tmp_path / "k"), "--ca", str(pods)], "is no certificate in PEM"),
    ):
        assert back_end_cli.main([*words, *more]) == 1
        assert reason in (said := capfd.readouterr().err) and len(said.splitlines()) == 1
    id = json.loads(operator.kit.read_text())["body"]["kit"]
    assert back_end_cli.main(["kit", "close", "--folder", folder, id]) == 0
    assert back_end_cli.main(["kit", "close", "--folder", folder, "00" * 8]) == 1
    assert back_end_cli.main(["kit", "list", "--folder", str(tmp_path)]) == 1
    assert "closed True" in capfd.readouterr().out


def another_kit(operator: Operator, out: Path) -> Path:
    """For the same PODs."""
    words = ["kit", "make", "--folder", str(operator.folder), "--deployment", DEPLOYMENT.hex()]
    words += ["--broker", f"127.0.0.1:{operator.broker.device_port}", "--ca", str(operator.pki.ca_pem)]
    words += ["--pods", str(operator.folder / "pods.txt"), "--devices", str(operator.devices), "--out", str(out)]
    assert back_end_cli.main(words) == 0
    return out


def revoked(operator: Operator, kit: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    id = json.loads(kit.read_text())["body"]["kit"]
    capfd.readouterr()
    words = ["kit", "revoke", "--folder", str(operator.folder), "--devices", str(operator.devices), id, "--json"]
    assert back_end_cli.main(words) == 0
    (said,) = json.loads(capfd.readouterr().out)["kits"]
    return dict(said)


def test_a_revoked_kit_leaves_the_brokers_file_and_every_other_authority_stays(
    operator: Operator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = operator.devices.read_text()
    another_kit(operator, tmp_path / "other.json")
    other = operator.devices.read_text().removeprefix(first)
    operator.devices.write_text("# mine\n" + first.replace("\n", "\r\n") + other)  # edited elsewhere
    operator.devices.chmod(0o640)
    said = revoked(operator, operator.kit, capfd)
    assert (said["was_trusted"], said["closed"], said["devices"]) == (True, True, [])
    assert operator.devices.read_text() == "# mine\n" + other and operator.devices.stat().st_mode & 0o777 == 0o640
    again = revoked(operator, operator.kit, capfd)
    assert (again["was_trusted"], again["revoked_ms"]) == (False, said["revoked_ms"])
    words = ["kit", "revoke", "--folder", str(operator.folder), "--devices"]
    assert back_end_cli.main([*words, str(operator.devices), "00" * 8]) == 1
    assert "is not ours" in capfd.readouterr().err
    assert back_end_cli.main([*words, str(tmp_path / "none"), "00" * 8]) == 1
    assert "the broker's file of authorities" in capfd.readouterr().err


@pytest.mark.long
def test_a_lost_kit_is_revoked_its_device_gets_another_certificate_and_the_broker_hears_no_thief(
    tmp_path: Path, operator: Operator, capfd: pytest.CaptureFixture[str]
) -> None:
    van = Van(tmp_path / "van", operator.kit)
    with written_board(tmp_path / "board") as board:
        assert van.enrol(board, "N01", PODS[0])[0] == 0
        with operator.broker, operator.running():
            assert van.run("sync")[0] == 0
        lost, van.kit = van.kit, another_kit(operator, tmp_path / "other.json")
        said = revoked(operator, lost, capfd)
        assert len(said["devices"]) == 1  # type: ignore[arg-type]
        with operator.broker, operator.running() as backend:
            path = next((van.folder / "outbox").glob("*.json"))
            path.write_text(path.read_text().replace('"registered"', '"waiting"'))
            van.kit = lost
            code, printed = van.run("sync")
            assert code == 3 and "cannot be reached" in printed, printed
            path.unlink()
            van.kit = tmp_path / "other.json"
            assert van.enrol(board, "N01", PODS[0])[0] == 0
            code, printed = van.run("sync")
            assert code == 0 and ": registered" in printed, printed
            assert len(backend.store.parties()) == 1
