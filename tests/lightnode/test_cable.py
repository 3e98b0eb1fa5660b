"""What a technician does from MicroPython's prompt: a release over the cable, a device given up for another site."""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from lightboot import chooser
from lightboot import state as states
from lightnode import board_unix, cable, keys
from lightnode.errors import NodeError
from lightnode.journal import Journal
from lightnode.settings import load
from lightwire import update

from hil.flash import NorFlash, PowerCut
from hil.updates import install
from tests.lightnode.parts import DEPLOYMENT, T0
from tests.lightnode.test_journal import INCARNATION, reading, statement
from tests.lightnode.updating import NEW, OLD, STRANGER, UPDATE_KEY, made

EXAMPLE = Path(__file__).parents[2] / "firmware" / "device" / "config.example.json"
FED: list[int] = []


def feed() -> None:
    FED.append(1)


class Board:
    """A device's files on this computer: sequence 10 in directory a."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.root, self.state_dir, self.config = folder / "app", folder / "state", folder / "config.json"
        self.state_dir.mkdir()
        install(self.root, made(OLD, sequence=10))
        document = json.loads(EXAMPLE.read_text())
        document |= {"state_dir": str(self.state_dir), "deployment": DEPLOYMENT.hex(), "hardware": "unix"}
        document["update"] = {"root": str(self.root), "key": UPDATE_KEY.public.hex()}
        document["network"] = {"ssid": "site", "password_file": str(self.state_dir / "wlan")}
        document["broker"] |= {name: str(self.state_dir / f"{name}.der") for name in ("ca", "cert", "key")}
        document["journal"] = {"path": str(folder / "journal"), "bytes": 65_536}
        self.config.write_text(json.dumps(document | changed))
        for name in ("wlan", "ca.der", "cert.der", "key.der"):
            (self.state_dir / name).write_bytes(name.encode())

    def bringing(self, utc_ms: int = T0, is_offline: bool = False) -> cable.Bringing:
        """As the flasher makes it."""
        chosen = chooser.choose(str(self.root), lambda line: None)
        return cable.Bringing(str(self.config), chosen, utc_ms, is_offline, feed)

    def bring(self, found: Any, pieces: int = 10**6, **options: Any) -> dict[str, Any]:
        """Offers a release and hands out what is wished for, so many pieces at most."""
        at = self.bringing(**options)
        path = self.root / "cable"
        path.write_bytes(found.announcement)
        state = at.offer(str(path))
        while state["wish"] and pieces:
            name, offset, length = state["wish"]
            state = at.piece(found.manifest.sequence, name, offset, found.files[name][offset : offset + length])
            pieces -= 1
        return state

    @property
    def state(self) -> states.State:
        found, _ = states.read(str(self.root))
        assert found is not None
        return found


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_rule_1_a_release_is_brought_and_on_trial_from_the_next_start_on(board: Board) -> None:
    FED.clear()
    state = board.bring(made())
    assert state == {"wish": None, "switched": True, "refused": "", "trial": 11}
    assert board.state.trial == 2 and board.state.report_sequence == 11 and FED
    assert chooser.choose(str(board.root), lambda line: None).endswith("/b")
    assert {
        str(p.relative_to(board.root / "b")): p.read_bytes() for p in (board.root / "b").rglob("*.py")
    }.items() <= NEW.items()


def test_rule_1_after_a_cut_what_is_whole_is_not_wished_for_again(board: Board) -> None:
    found = made()
    board.bring(found, pieces=1)
    at = board.bringing()
    wish = at.offer(str(board.root / "cable"))["wish"]
    assert wish is not None and board.bring(found)["switched"]


REFUSED = [
    ("signature", lambda: made(key=STRANGER), {}),
    ("rollback", lambda: made(sequence=9), {}),
    ("replayed", lambda: made(sequence=10), {}),
    ("expired", lambda: made(), {"utc_ms": T0 + 90 * 86_400_000}),
    ("created in the future", lambda: made(created_ms=T0 + 86_400_000), {}),
    ("hardware class", lambda: made(hardware="esp32"), {}),
    ("fast-forward", lambda: made(sequence=5000), {}),
    ("signature", lambda: made(deployment=bytes(16)), {}),
]


@pytest.mark.parametrize(("reason", "make", "options"), REFUSED)
def test_rule_1_what_must_not_be_taken_is_refused_in_the_devices_words(
    board: Board, reason: str, make: Any, options: dict[str, int]
) -> None:
    before = board.state.encode()
    state = board.bring(make(), **options)
    assert state["refused"].endswith(": " + reason) and not state["switched"] and state["wish"] is None
    assert board.state.encode() == before


def test_rule_1_bytes_that_are_no_release_are_refused(board: Board) -> None:
    path = board.root / "cable"
    for content in (b"", b"x", os.urandom(500)):
        path.write_bytes(content)
        state = board.bringing().offer(str(path))
        assert not state["switched"] and state["wish"] is None and (not content or "malformed" in state["refused"])


def test_rule_1_a_piece_that_is_not_as_listed_is_wished_for_again_and_then_refused(board: Board) -> None:
    found, at = made(), board.bringing()
    (board.root / "cable").write_bytes(found.announcement)
    state = at.offer(str(board.root / "cable"))
    for _ in range(10_000):
        if not state["wish"]:
            break
        name, offset, length = state["wish"]
        state = at.piece(found.manifest.sequence, name, offset, bytes(length))
    assert state["refused"].endswith(": content") and board.state.trial == 0


def test_rule_2_a_clock_before_the_installed_release_does_not_bring_back_an_expired_one(board: Board) -> None:
    old = made(created_ms=T0 - 90 * 86_400_000)  # over for 60 days when the installed one was made
    assert board.bring(old, utc_ms=T0 - 70 * 86_400_000)["refused"].endswith(": expired")


def test_a_broker_that_is_away_lets_the_trial_do_without_it(board: Board) -> None:
    board.bring(made(), is_offline=True)
    assert board.state.flags & states.OFFLINE


def test_a_release_on_trial_is_waited_for(board: Board) -> None:
    board.bring(made())
    assert board.bringing().state()["trial"] == 11
    with pytest.raises(NodeError, match="a release is on trial"):
        board.bring(made(sequence=12))


def test_without_an_update_key_no_release_is_taken(tmp_path: Path) -> None:
    board = Board(tmp_path, update={"root": str(tmp_path / "app"), "key": None})
    with pytest.raises(NodeError, match=r"no update\.key"):
        board.bringing()


def a_journal(board: Board, count: int, acked: int) -> keys.DeviceKey:
    value = load(str(board.config)).value
    key = keys.open_key(str(board.state_dir), os.urandom)
    journal = Journal(board_unix.open_flash(value("journal.path"), 65_536), key.device, 1)
    for slot in range(count):
        journal.append(reading(journal, slot))
    journal.accept(7, T0, b"set-point" * 10)
    journal.append(statement(journal, count))
    if acked:
        journal.acknowledge(acked, INCARNATION)
    return key


def forget(board: Board, device: str, to_lose: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = cable.forget(str(board.config), device, to_lose, feed)
    return found


def test_rule_3_the_site_goes_and_the_identity_stays(board: Board) -> None:
    key = a_journal(board, 30, 31)
    kept = {
        p: p.read_bytes()
        for p in (board.state_dir / "device.key", board.state_dir / "cert.der", board.state_dir / "key.der")
    }
    app = {p: p.read_bytes() for p in board.root.rglob("*") if p.is_file()}
    said = forget(board, key.device.hex())
    assert said["lost"] == 0 and str(board.config) in said["removed"]
    assert (
        not board.config.exists()
        and not (board.state_dir / "wlan").exists()
        and not (board.state_dir / "ca.der").exists()
    )
    assert all(path.read_bytes() == content for path, content in (kept | app).items())
    content = (board.config.parent / "journal").read_bytes()
    assert sum(content[at : at + 4096] != b"\xff" * 4096 for at in range(0, 65_536, 4096)) == 1
    journal = Journal(board_unix.open_flash(str(board.config.parent / "journal"), 65_536), key.device, 1)
    assert (journal.seq, journal.acked, journal.command, journal.boot) == (31, 31, 7, 3)
    assert list(journal.after(0)) == [] and any(journal.head) and journal.setpoints() == []


def test_rule_3_readings_that_nobody_signed_for_are_only_lost_if_that_is_said(board: Board) -> None:
    key = a_journal(board, 30, 20)
    with pytest.raises(NodeError, match="11 records are not acknowledged by the back end"):
        forget(board, key.device.hex())
    assert board.config.exists() and (board.state_dir / "wlan").exists()
    assert forget(board, key.device.hex(), True)["lost"] == 11


def test_rule_3_the_id_of_another_device_is_refused(board: Board) -> None:
    key = a_journal(board, 3, 4)
    with pytest.raises(NodeError, match=f"this is device {key.device.hex()}"):
        forget(board, "00" * 8, True)
    assert board.config.exists()


def test_rule_3_a_device_without_a_key_is_refused_and_gets_none(board: Board) -> None:
    with pytest.raises(NodeError, match="it has no key"):
        forget(board, "00" * 8, True)
    assert not (board.state_dir / "device.key").exists()


def test_rule_4_a_second_time_finishes_what_a_cut_left(board: Board) -> None:
    key = a_journal(board, 30, 31)
    (board.state_dir / "wlan").unlink()
    (board.state_dir / "ca.der").unlink()
    assert forget(board, key.device.hex())["removed"] == [str(board.config)]
    with pytest.raises(NodeError, match="no such file"):
        forget(board, key.device.hex())


def test_the_journal_forgets_over_a_cut_at_every_operation(every_cut: bool) -> None:
    whole = NorFlash(6)
    journal = Journal(whole, bytes(8), 1)
    for slot in range(400):
        journal.append(reading(journal, slot))
        if slot % 50 == 0:
            journal.acknowledge(journal.seq, INCARNATION)
    journal.acknowledge(journal.seq, INCARNATION)
    cells, seq, boot = bytes(whole.cells), journal.seq, journal.boot
    steps = 0
    while True:
        flash = NorFlash(6)
        flash.cells[:] = cells
        first = Journal(flash, bytes(8), 1)
        flash.left = steps
        try:
            list(first.forget())
        except PowerCut:
            flash.left = None
            second = Journal(flash, bytes(8), 1)
            assert (second.seq, second.acked) == (seq, seq) and second.boot > boot
            assert list(second.after(second.acked)) == []
            list(second.forget())
            assert list(Journal(flash, bytes(8), 1).after(0)) == []
            steps += 1 if every_cut else 7
            continue
        break
    assert steps > 200  # bytes of a header and its entry, and erases
    flash.left = None
    third = Journal(flash, bytes(8), 1)
    third.append(reading(third, 500))
    assert [r.seq for r in third.after(third.acked)] == [seq + 1]


def test_what_is_handed_to_the_device_is_named_by_hashes_it_reads_back(board: Board) -> None:
    found = made()
    board.bring(found)
    release = (board.root / "b.release").read_bytes()
    assert hashlib.sha256(release).digest() == board.state.release_b
    assert update.split(release)[0] == found.sealed and sys.platform in ("linux", "darwin")
