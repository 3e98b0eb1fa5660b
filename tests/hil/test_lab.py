"""The lab file: what is described is had, what is wrong is named, what is missing is found."""

from pathlib import Path

import pytest

from hil.lab import Board, LabError, LabMeter, load
from hil.lease import LeaseTaken, lease
from hil.power import Relay, Tasmota, Uhubctl

GOOD = """
[boards.red]
port = "/dev/ttyACM0"
kind = "esp32-s3"
power = "plug"
meter = "left"

[switches.plug]
driver = "tasmota"
url = "http://127.0.0.1:8080"

[switches.hub]
driver = "uhubctl"
location = "1-1"
port = 2

[switches.board]
driver = "relay"
device = "/dev/ttyUSB9"
channel = 3

[meters.left]
port = "/dev/ttyUSB1"
model = "sdm120"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "lab.toml"
    path.write_text(text)
    return path


def test_a_lab_is_read(tmp_path: Path) -> None:
    lab = load(written(tmp_path, GOOD))
    assert lab.boards == {"red": Board("/dev/ttyACM0", "esp32-s3", power="plug", meter="left")}
    assert lab.meters == {"left": LabMeter("/dev/ttyUSB1", "sdm120")}
    assert lab.switches == {
        "plug": Tasmota("http://127.0.0.1:8080"), "hub": Uhubctl("1-1", 2), "board": Relay("/dev/ttyUSB9", 3),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "esp32-s3"', 'kind = "pdp-11"', "boards.red.kind is 'pdp-11', one of esp32"),
        ('kind = "esp32-s3"', "", "boards.red lacks kind, a text"),
        ('power = "plug"', 'power = "pulg"', "boards.red.power is 'pulg', which the file does not describe"),
        ('driver = "relay"', 'driver = "hand"', "switches.board.driver is 'hand', one of uhubctl, tasmota, relay"),
        ("port = 2", "port = 0", "switches.hub.port is 0, a whole number above zero"),
        ("channel = 3", "channel = true", "switches.board.channel is True"),
        ("[meters.left]", "[metres.left]", r"unknown table \[metres\]"),
        ('model = "sdm120"', 'modell = "sdm120"', "unknown key meters.left.modell, known are port, model"),
        ("[boards.red]", "[boards.red", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_what_belongs_there(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(LabError, match=says):
        load(written(tmp_path, GOOD.replace(old, new)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"lab\.toml: No such file"):
        load(tmp_path / "lab.toml")


def test_what_the_machine_lacks_is_found(tmp_path: Path) -> None:
    (tmp_path / "tty").touch()
    lab = load(written(tmp_path, GOOD.replace("/dev/ttyACM0", str(tmp_path / "tty"))))
    lines = lab.missing()
    assert [line.split(":")[0] for line in lines] == ["meters.left", "switches.board"]
    assert "is its cable in?" in lines[0]


def test_a_board_is_leased_with_its_meter_and_its_switch(tmp_path: Path) -> None:
    lab = load(written(tmp_path, GOOD))
    with lab.leased("red", tmp_path) as board:
        assert board.kind == "esp32-s3"
        for thing in ("/dev/ttyACM0", "/dev/ttyUSB1", "switch plug"):
            with pytest.raises(LeaseTaken, match=thing), lease(thing, tmp_path):
                pass
    with lease("/dev/ttyACM0", tmp_path):
        pass
