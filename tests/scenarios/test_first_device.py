"""Two commands take a stranger to a commissioned device: its record, the register, its readings."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lightflash.record import parse
from lightwire import records

from backend.adapters.sqlite import SqliteStore
from hil import cli

ROOT = Path(__file__).parents[2]
FLOW = ("build", "write", "enrol", "sync", "status", "verify", "key", "record", "record", "label")


def test_the_documents_name_the_two_commands_and_nothing_else_is_needed() -> None:
    for name in ("README.md", "firmware/lightflash/README.md"):
        assert "```\n./run setup\n./run hil commission --out commissioned\n```" in (ROOT / name).read_text(), name
    assert "  setup)" in (ROOT / "run").read_text()


@pytest.mark.timeout(600)
def test_a_stranger_gets_a_commissioned_device_with_its_record_registered_and_reading(
    tmp_path: Path, mosquitto: list[str], micropython: object
) -> None:
    command = [sys.executable, "-m", "hil", "commission", "--out", "commissioned", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=580)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert tuple(re.findall(r"^\$ \./run flash (\w+)", done.stderr, re.MULTILINE)) == FLOW
    out = tmp_path / "commissioned"
    check_record(out / "technician" / "N01", said)
    store = SqliteStore(out / "operator" / "scd.sqlite")
    device = bytes.fromhex(said["device"])
    (party,) = [one for one in store.parties() if one.role == "node"]
    assert (party.id, party.pod) == (device, said["pod"])
    assert hashlib.sha256(party.public).hexdigest() == said["key_sha256"]
    readings = store.of_kind(device, records.READING)
    assert len(readings) == said["readings"] > 5
    assert [p for p in (out / "technician").rglob("*") if p.name in ("device.key", "key.der")] == []


def check_record(folder: Path, said: dict[str, str]) -> None:
    record = parse((folder / "record.json").read_bytes(), None)
    facts = record.facts
    assert facts.is_commissioned and facts.device.hex() == said["device"] and facts.pod == said["pod"]
    assert record.device_signature, "the device was on the cable when the record was made"
    assert (folder / "record.pdf").read_bytes().startswith(b"%PDF-")
    assert said["device"] in (folder / "record.html").read_text().replace(" ", "")
    assert {"label.pdf", "label.png", "label.svg"} <= {path.name for path in folder.iterdir()}


def test_a_folder_that_is_not_new_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert cli.main(["commission", "--out", str(tmp_path)]) == 1
    assert "name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
