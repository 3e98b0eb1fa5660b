"""`lightnode grid field`: a device is registered, what it sends is in the database; wrong usage is named."""

import json
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from backend.adapters.field_store import FieldStore
from backend.adapters.sqlite import SqliteStore
from backend.cli import main
from backend.grid.field import FieldReading, written
from hil.field import FieldDevice

ID, KEY = "00112233445566aa", bytes(range(32))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["grid", "field", *map(str, arguments)])
    return code, *capsys.readouterr()


def registered(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    key, db = folder / "key", folder / "scd.sqlite"
    key.write_text(KEY.hex() + "\n")
    code, out, err = run(capsys, "--db", db, "--register", ID, "--name", "Q2", "--key", key)
    assert code == 0 and out == f"registered {ID} as Q2\n" and KEY.hex() not in out + err
    return db


def listening(db: Path, messages: int, capsys: pytest.CaptureFixture[str]) -> tuple[threading.Thread, tuple[str, int]]:
    """The port's command, which ends after so many messages, and where it listens."""
    arguments = ["grid", "field", "--db", str(db), "--listen", "127.0.0.1:0", "--messages", str(messages), "--json"]
    port = threading.Thread(target=main, args=(arguments,))
    port.start()
    said = ""
    while not (found := re.search(r"field port on 127\.0\.0\.1:(\d+)", said)):
        said += capsys.readouterr().err
        assert port.is_alive()
    return port, ("127.0.0.1", int(found.group(1)))


def test_registered_then_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = registered(tmp_path, capsys)
    port, address = listening(db, 2, capsys)
    device = FieldDevice(ID, KEY, "voltage")
    for _ in range(2):
        device.measure({"voltage_mv": 400_000}, time.time_ns() // 1_000_000)
    assert device.send(address) == [{"taken": 1}, {"taken": 2}]
    port.join()
    assert json.loads(capsys.readouterr().out) == {"taken": 2, "refused": 0}
    store = SqliteStore(db)
    assert FieldStore(store).sensors()[ID].last_seq == 2
    store.close()


def test_what_is_refused_is_told_to_whoever_runs_the_port_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forged line, then a good one, then its seq with another content."""
    db = registered(tmp_path, capsys)
    port, address = listening(db, 3, capsys)
    now_ms = time.time_ns() // 1_000_000
    good, other = (written(FieldReading(ID, 1, now_ms, voltage_mv=mv), KEY) for mv in (400_000, 390_000))
    forged = re.sub(rb'"mac":"[^"]*"', rb'"mac":"\\ud800"', good)
    with socket.create_connection(address, 60) as link, link.makefile("rb") as lines:
        link.sendall(b"\n".join((forged, good, other, b"")))
        answers = [json.loads(lines.readline()) for _ in range(3)]
    port.join()
    told = capsys.readouterr()
    assert [*map(list, answers)] == [["refused"], ["taken"], ["refused"]]
    assert json.loads(told.out) == {"taken": 1, "refused": 2}
    assert [line for line in told.err.splitlines() if "refused" in line] == [
        f"lightnode: refused: field message of {ID}: its mac does not hold",
        f"lightnode: refused: field message of {ID}: seq 1 was heard with another content, expected a higher one",
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "either --register ID or --listen"),
        (("--register", "xyz"), "16 hexadecimal digits"),
        (("--register", ID), "needs --name"),
        (("--register", ID, "--name", "Q2", "--key", __file__), "expected a key of 64 hexadecimal digits"),
        (("--listen", "4712"), "expected HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "expected HOST:PORT"),
    ],
)
def test_wrong_usage_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    code, out, err = run(capsys, "--db", tmp_path / "scd.sqlite", *arguments)
    assert (code, out) == (1, "") and named in err


def test_two_devices_never_share_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = registered(tmp_path, capsys)
    other = ("--register", "f" * 16, "--name", "Q2", "--key", tmp_path / "key")
    assert "another sensor has it" in run(capsys, "--db", db, *other)[2]
