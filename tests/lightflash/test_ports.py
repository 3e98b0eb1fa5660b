"""Ports and drives: found by USB ids, by INFO_UF2.TXT, and told to be one board by their place."""

from pathlib import Path

from lightflash.batch import Row
from lightflash.board import board
from lightflash.many import Bench, transport
from lightflash.ports import Drive, Port, at_place, drives, ports_of, serial_ports

S3 = Port("/dev/ttyACM0", "303a:1001", "7CDF", "1-1.2")
PICO = Port("/dev/ttyACM1", "2e8a:0005", "E660", "1-1.3")
PLAIN = Port("/dev/ttyS0")


def test_rule_1_ports_belong_to_a_board_by_their_usb_ids() -> None:
    assert ports_of(board("esp32-s3").usb, [S3, PICO, PLAIN]) == [S3]
    assert ports_of(board("rp2040-w").usb, [S3, PICO, PLAIN]) == [PICO]
    assert ports_of(board("chip").usb, [S3, PICO, PLAIN]) == []


def test_the_ports_of_this_computer_can_be_listed() -> None:
    assert all(port.path for port in serial_ports())


def test_rules_2_and_3_a_drive_is_found_among_the_mounts_with_its_place(tmp_path: Path) -> None:
    drive, other = tmp_path / "RPI RP2", tmp_path / "stick"
    drive.mkdir()
    other.mkdir()
    (drive / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    device = tmp_path / "devices" / "usb1" / "1-1" / "1-1.3" / "1-1.3:1.0" / "block" / "sdb" / "sdb1"
    device.mkdir(parents=True)
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "sdb1").symlink_to(device)
    mounts = tmp_path / "mounts"
    escaped = str(drive).replace(" ", "\\040")
    mounts.write_text(f"/dev/sdb1 {escaped} vfat rw 0 0\n/dev/sdc1 {other} vfat rw 0 0\nproc /proc proc rw 0 0\n")
    assert drives(mounts, tmp_path / "block") == [Drive(str(drive), "1-1.3")]
    assert at_place("1-1.3", [S3, PICO]) == "/dev/ttyACM1"
    assert at_place("", [PLAIN]) == ""


def test_rule_3_the_port_of_a_board_is_found_after_its_drive_went(tmp_path: Path) -> None:
    """Its firmware gave it another name; the place in the USB tree is the same."""
    plugged: list[Port] = []
    bench = Bench(lambda: plugged, lambda: [Drive(str(tmp_path), "1-1.3")])
    (tmp_path / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    made = transport(Row("N01", "rp2040-w", drive=str(tmp_path)), board("rp2040-w"), bench)
    assert made.identify().chip == "RPI-RP2"
    plugged.append(PICO)
    assert made._repl._find() == "/dev/ttyACM1"  # type: ignore[attr-defined]
