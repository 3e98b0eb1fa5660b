"""What the README says of the journal is what the journal does."""

import inspect
import re

from lightnode import journal, ring

from tests.conftest import ROOT
from tests.lightnode.test_journal import OUTAGES
from tests.lightnode.test_signatures import OUTAGES as OF_RANDOM_SIGNATURES

README = (ROOT / "firmware" / "README.md").read_text()
FORMAT = (ROOT / "firmware" / "lightwire" / "FORMAT.md").read_text()


def test_the_slot_and_the_block_are_those_of_the_ring() -> None:
    assert f"one slot of {ring.SLOT} bytes" in README and f"their size, which must be {ring.SECTOR}" in README
    assert f"a {ring.SLOT}-byte slot of the journal" in FORMAT


def test_every_request_to_the_device_is_named_and_no_other() -> None:
    source = inspect.getsource(ring) + inspect.getsource(journal)
    assert set(re.findall(r"ioctl\((\d)", README)) == set(re.findall(r"flash\.ioctl\((\d)", source))


def test_the_outages_are_those_that_are_tested() -> None:
    stated = re.findall(r"(\d+) (KiB|MiB)[^.]*? (\d+) hours", README)
    assert [(int(n) * (1024 if unit == "MiB" else 1), int(hours)) for n, unit, hours in stated] == [
        *(tuple(one.values) for one in OF_RANDOM_SIGNATURES),
        *OUTAGES,
    ]
