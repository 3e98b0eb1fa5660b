"""The list of devices: a worked one, every finding with its row, hostile files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightflash.batch import Row, checked, rows
from lightflash.errors import FlashError

HEAD = "name,pod,board,port,serial,drive,config,firmware\n"
GOOD = HEAD + "N01,IT001E1,esp32-s3,/dev/ttyACM0,,,n01.json,\nN02,IT001E2,rp2040-w,,E6605,/media/RPI-RP2,,other\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_list_is_read_and_its_files_stand_beside_it(tmp_path: Path) -> None:
    assert rows(written(tmp_path, GOOD)) == [
        Row("N01", "esp32-s3", "/dev/ttyACM0", "", "", "IT001E1", tmp_path / "n01.json", ""),
        Row("N02", "rp2040-w", "", "E6605", "/media/RPI-RP2", "IT001E2", None, "other"),
    ]


def test_a_spreadsheets_mark_of_byte_order_and_line_ends_are_no_findings(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfname,board,port\r\nN01,esp32,/dev/ttyUSB0\r\n"
    assert rows(written(tmp_path, text)) == [Row("N01", "esp32", "/dev/ttyUSB0")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it has no rows"),
        (HEAD, "it has no rows"),
        ("name,port\nN01,/dev/x\n", "column board is missing"),
        ("name,board,port,colour\nN01,esp32,/dev/x,red\n", "column 'colour' is unknown"),
        (GOOD.replace("N02", "N 2"), "row 2: name is 'N 2', 1 to 32 of"),
        (GOOD.replace("N02", "../../N02"), "row 2: name is"),
        (GOOD.replace("N02", "N01"), "row 2: name N01 is that of row 1 too"),
        (GOOD.replace("IT001E2", "IT001E1"), "row 2: pod IT001E1 is that of row 1 too"),
        (GOOD.replace("IT001E2", "=cmd()"), "row 2: pod is '=cmd\\(\\)'"),
        (GOOD.replace("rp2040-w", "pdp-11"), "row 2: board is 'pdp-11', one of chip, esp32, esp32-c3"),
        (GOOD.replace("/dev/ttyACM0", ""), "row 1: port, serial and drive are empty"),
        (GOOD.replace(",E6605", "/dev/x,E6605"), "row 2: port and serial are both given"),
        (GOOD + "N03,,esp32,/dev/ttyACM0\n", "row 3: port /dev/ttyACM0 is that of row 1 too"),
        (GOOD + "N03,,esp32,/dev/y,,,n01.json\n", "row 3: config .*n01.json is that of row 1 too"),
        (GOOD + "N03,,esp32,/dev/y,,,,,,,9\n", "row 3: more fields than the header has columns"),
        (GOOD + 'N03,"', "is not CSV"),
        (b"\xff\xfe", "is not UTF-8"),
        (HEAD + "N01,,esp32,/dev/x\n" * 1001, "it has 1001 rows, 1000 at most"),
        (HEAD + "x" * (1 << 20), "1048576 at most"),
    ],
)
def test_rule_1_what_is_wrong_is_told_with_its_row(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(FlashError, match=says) as refused:
        rows(written(tmp_path, text))
    assert "\n" not in str(refused.value) and "list.csv" in str(refused.value)


def test_rule_1_every_finding_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match="row 1: name is '!'.*row 2: board is 'pdp-11'"):
        rows(written(tmp_path, GOOD.replace("N01", "!").replace("rp2040-w", "pdp-11")))


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match=r"none\.csv cannot be read"):
        rows(tmp_path / "none.csv")


@given(st.binary(max_size=300))
def test_any_bytes_give_rows_or_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for content in (data, HEAD.encode() + data):
        path.write_bytes(content)
        try:
            assert checked(rows(path)) == []
        except FlashError as error:
            assert "\n" not in str(error)
