"""What README and FORMAT.md say of updates is what the code does."""

import re

from lightboot import chooser
from lightboot import state as states
from lightnode import download
from lightnode import update as updates
from lightwire import update

from tests.conftest import ROOT

README = (ROOT / "firmware" / "README.md").read_text()
FORMAT = (ROOT / "firmware" / "lightwire" / "FORMAT.md").read_text()


def test_the_reasons_are_those_of_the_code() -> None:
    table = FORMAT[FORMAT.index("Reasons of an UpdateReport") :]
    rows = re.findall(r"^\| (\d+) \| ([a-z -]+) \| ", table, re.MULTILINE)
    assert [(int(number), name) for number, name in rows] == list(enumerate(update.REASONS))


def test_the_limits_are_those_of_the_code() -> None:
    text = FORMAT[FORMAT.index("## Updates") :]
    for words in (
        f"1 to {update.PATH_MAX} characters and at most {update.PARTS_MAX} parts",
        f"At most {update.FILES_MAX} files, {update.LISTING_MAX} bytes of listing, {update.TOTAL_MAX:,} bytes",
        f"at most {update.JUMP_MAX} above", f"at most {update.AHEAD_MAX_MS // 60_000} min ahead",
        f"at most {update.WINDOW_MAX_MS // 86_400_000} days", f"1 to {update.CHUNK_BYTES}",
        f"announcement at most {update.SEALED_BYTES + update.LISTING_MAX:,} bytes",
        f"piece at most {9 + update.PATH_MAX + update.CHUNK_BYTES:,} bytes",
    ):  # fmt: skip
        assert words in text, words


def test_the_trial_and_the_files_are_those_of_the_code() -> None:
    assert f"after {updates.TRIAL_MS // 60_000} min, without a broker after {updates.BROKER_MS // 60_000} min" in README
    assert (
        f"after {states.ATTEMPTS} starts without a commit" in README
        and f"pieces of {update.CHUNK_BYTES} bytes" in README
    )
    assert chooser.release_path("/app", 1) in README and "/app" + download._OFFER in README
