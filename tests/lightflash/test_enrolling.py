"""A device is enrolled over its cable: with its own keys, whatever is pulled, and with no secret anywhere but on it."""

import hashlib
import json
import os
import random
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lightflash import cli
from lightflash.device_log import DONE
from lightflash.errors import FlashError
from lightflash.kit import open_kit
from lightflash.outbox import Outbox
from lightwire import envelope, topics

from hil.boards.board import Board
from tests.lightflash.enrolments import OTHER_POD, POD, SITE, Registry, Technician, written_board
from tests.shelf import files_on

pytestmark = [pytest.mark.usefixtures("micropython"), pytest.mark.timeout(900)]
SAMPLE = 5


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "back-end")


@pytest.fixture
def technician(tmp_path: Path, registry: Registry) -> Technician:
    return Technician(tmp_path / "van", registry.kit())


def identity(board: Board) -> tuple[bytes, bytes]:
    """The key files in the device's flash, empty where there is none."""
    files = files_on(board)
    return files.get("/state/device.key", b""), files.get("/state/key.der", b"")


def refusal(technician: Technician, board: Board) -> FlashError:
    with pytest.raises(FlashError) as refused:
        technician.enrol(board)
    assert "\n" not in str(refused.value) and technician.name in str(refused.value)
    return refused.value


def test_offline_a_device_is_enrolled_and_appears_in_the_register_after_the_sync(
    tmp_path: Path, registry: Registry, technician: Technician
) -> None:
    with written_board(tmp_path / "b1") as board:
        statement = technician.enrol(board)
        again = technician.enrol(board)
    assert again == statement and technician.outbox.statements() == [statement]
    files = files_on(board)
    certificate = x509.load_der_x509_certificate(files["/state/cert.der"])
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(open_kit(technician.kit).certificate))
    device = bytes.fromhex(statement.device)
    assert certificate.subject.rfc4514_string() == f"CN={topics.station(device)}"
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert files["/state/key.der"][-65:] == spki[-65:]
    settings = json.loads(files["/config.json"])
    assert settings["operator"] == registry.operator.hex() and settings["broker"]["host"] == "127.0.0.1"
    assert files["/state/ca.der"] == registry.pki.ca_der.read_bytes() and files["/state/wlan"] == b"the password"
    assert [(entry.name, entry.pod, entry.state) for entry in technician.log.entries()] == [("N01", POD, DONE)]
    assert registry.nodes() == []
    for _ in range(2):
        said = registry.take(statement)
        assert said["outcome"] == "registered" and registry.nodes() == [(statement.device, POD)]
    entry = envelope.peek(bytes.fromhex(said["entry"]))
    assert entry.tls_fingerprint == hashlib.sha256(spki).digest() == bytes.fromhex(statement.tls_key_sha256)
    assert entry.public_key.hex() == statement.public_key and statement.level == 1


def test_a_pulled_cable_leaves_a_device_that_the_same_command_finishes_with_the_same_key(
    tmp_path: Path, registry: Registry, technician: Technician, pytestconfig: pytest.Config
) -> None:
    with written_board(tmp_path / "whole", 99) as board:
        Technician(tmp_path / "office", registry.kit(), "N99", OTHER_POD).enrol(board)
        total = board.transfers
    seed = int(os.environ.get("LIGHTNODE_SEED", str(random.randrange(1 << 32))))
    print(f"repeat it with LIGHTNODE_SEED={seed}")
    every = range(1, total)
    cuts = every if pytestconfig.getoption("--long") else sorted(random.Random(seed).sample(every, SAMPLE))
    for number, cut in enumerate(cuts, start=1):
        check_cut(tmp_path / f"cut{number}", Registry(tmp_path / f"scd{number}"), cut)


def check_cut(folder: Path, registry: Registry, cut: int) -> None:
    technician = Technician(folder / "van", registry.kit())
    board = written_board(folder / "board")
    board.plug(cut)
    state = DONE
    try:
        technician.enrol(board)  # a run may take a few transfers less than the one that was counted
    except FlashError as stopped:
        state = "half-done"
        assert stopped.cure and "\n" not in str(stopped) and "N01" in str(stopped), f"after {cut} transfers: {stopped}"
    finally:
        board.unplug()
    before = identity(board)
    named = technician.outbox.statements()
    if before[0]:
        assert [entry.state for entry in technician.log.entries()] == [state], f"after {cut} transfers"
    with board:
        statement = technician.enrol(board)
    after = identity(board)
    for old, new in zip(before, after, strict=True):
        assert old in (b"", new), f"after {cut} transfers: another key"
    assert all(one.device == statement.device for one in named), f"after {cut} transfers: two identities"
    assert [one.device for one in technician.outbox.statements()] == [statement.device]
    assert [entry.state for entry in technician.log.entries()] == [DONE]
    assert registry.take(statement)["outcome"] == "registered" and len(registry.nodes()) == 1


def test_another_device_for_the_pod_another_pod_for_the_device_and_a_foreign_answer_are_refused(
    tmp_path: Path, registry: Registry, technician: Technician
) -> None:
    with written_board(tmp_path / "b1") as first, written_board(tmp_path / "b2", 2) as second:
        technician.enrol(first)
        other = Technician(technician.folder, technician.kit, "N02", POD)
        assert f"POD {POD} has device" in str(refusal(other, second))
        assert {entry.name: entry.state for entry in technician.log.entries()} == {"N01": DONE, "N02": "half-done"}
        for name, pod, reason in (("N01", OTHER_POD, f"for POD {POD}"), ("N03", OTHER_POD, "is N01 in the log")):
            assert reason in str(refusal(Technician(technician.folder, technician.kit, name, pod), first))
        assert len(technician.outbox.statements()) == 1
        other.pod = OTHER_POD  # which is the right one for this device
        other.enrol(second)
    assert [(one.name, one.pod) for one in technician.outbox.statements()] == [("N01", POD), ("N02", OTHER_POD)]
    assert {entry.state for entry in technician.log.entries()} == {DONE}


def test_a_list_is_enrolled_at_once_and_again_until_all_of_it_is(
    tmp_path: Path, registry: Registry, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pods = ("IT01", "IT02", "IT03", "IT04")
    kit = registry.kit(pods)
    monkeypatch.chdir(tmp_path)
    Path("site.json").write_text(json.dumps(SITE))
    boards = [written_board(tmp_path / f"b{n}", n) for n in range(1, 5)]
    words = ["enrol", "--batch", "list.csv", "--kit", str(kit), "--config", "site.json", "--json"]

    def listed(*pods: str) -> None:
        rows = [
            f"N0{n},unix,{board.port},{pod}" for n, (board, pod) in enumerate(zip(boards, pods, strict=True), start=1)
        ]
        Path("list.csv").write_text("\n".join(["name,board,port,pod", *rows]) + "\n")

    listed("IT01", "IT9", "IT03", "IT04")
    with boards[0], boards[1], boards[2], boards[3]:
        boards[3].plug(80)
        assert cli.main(words) == 1
        said = json.loads(capfd.readouterr().out)
        assert [one["name"] for one in said["devices"]] == ["N01", "N03"]
        assert "N02" in said["refused"][0] and "is not for POD 'IT9'" in said["refused"][0]
        assert "N04" in said["refused"][1] and "went away" in said["refused"][1]
        boards[3].plug()
        listed(*pods)
        assert cli.main(words) == 0
    devices = [one["device"] for one in json.loads(capfd.readouterr().out)["devices"]]
    assert len(set(devices)) == 4 and devices[::2] == [one["device"] for one in said["devices"]]
    assert [registry.take(one)["outcome"] for one in Outbox(Path("outbox")).statements()] == ["registered"] * 4
    assert sorted(pod for _, pod in registry.nodes()) == list(pods)


def test_a_board_without_the_application_says_so(tmp_path: Path, technician: Technician) -> None:
    from tests.shelf import a_board

    with a_board(tmp_path / "b1", "unix") as board:
        assert "the application is not on the board" in str(refusal(technician, board))
    with a_board(tmp_path / "b2", "esp32-s3") as board:
        assert "not unix" in str(refusal(technician, board))
