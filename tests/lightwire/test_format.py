"""FORMAT.md is what the code does: its tables, its example, its vectors."""

import json
import re
from pathlib import Path

import pytest
from lightwire import envelope, records

ROOT = Path(__file__).parents[2]
FORMAT = (ROOT / "firmware" / "lightwire" / "FORMAT.md").read_text()
VECTORS = json.loads((ROOT / "tests" / "vectors" / "records.json").read_text())
FORMS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i32": "i", "u32 x 3": "V"}


def stated_fields(kind: int) -> list[tuple[str, object]]:
    section = FORMAT.split(f"### {kind} ")[1].split("\n##")[0]
    rows = re.findall(r"^\| \d+ \| (\w+) \| ([^|]+) \|", section, re.MULTILINE)
    return [(name, FORMS.get(form) or int(form.removeprefix("bytes "))) for name, form in rows]


@pytest.mark.parametrize("kind", range(1, 19))
def test_the_table_of_each_kind_names_the_fields_of_the_code(kind: int) -> None:
    assert stated_fields(kind) == list(records.fields(kind))


@pytest.mark.parametrize("kind", range(1, 19))
def test_the_stated_lengths_are_the_lengths_of_the_code(kind: int) -> None:
    found = re.search(rf"### {kind} \w+\n\nSigned by: [^.]*\. Payload (\d+) bytes, message (\d+)", FORMAT)
    assert found and (int(found[1]), int(found[2])) == (records.payload_length(kind), envelope.message_length(kind))


def test_the_worked_example_is_a_vector() -> None:
    example = next(v for v in VECTORS["good"] if v["name"] == "reading 1")
    for value in (example["payload"], example["message"], example["to_sign_sha256"], example["payload_sha256"]):
        assert value in FORMAT


def test_every_kind_has_a_vector() -> None:
    assert {v["kind"] for v in VECTORS["good"]} == set(range(1, 19))
