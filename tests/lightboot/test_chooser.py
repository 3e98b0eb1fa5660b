"""What the chooser starts after damage of every kind, and what it leaves alone."""

import shutil
from pathlib import Path

import pytest
from lightboot import chooser
from lightboot import state as states
from lightwire import records, update

from hil.updates import install
from tests.lightnode.updating import NEW, OLD, Device, made


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """It runs 11 from b; a holds 10."""
    device = Device(tmp_path / "app")
    device.take(made())
    device.start().live()
    return device.start()


def test_1_it_reads_a_manifest_where_the_wire_format_has_its_fields() -> None:
    found = made(
        sequence=0x01020304, floor=0x01020303, version=0x0A0B0C0D, key_generation=0x0102, next_key=bytes(range(2, 35))
    )
    assert len(found.sealed) == chooser.SEALED_BYTES == update.SEALED_BYTES
    assert chooser.RELEASE_MAX == update.SEALED_BYTES + update.LISTING_MAX
    state = states.blank()
    chooser.begin_trial(state, 1, found.announcement, False)
    assert (state.report_sequence, state.report_version) == (0x01020304, 0x0A0B0C0D)
    assert state.report_digest == found.digest
    assert chooser._number(found.sealed, chooser._FLOOR_AT, 4) == 0x01020303
    assert chooser._number(found.sealed, chooser._GENERATION_AT, 2) == 0x0102
    assert found.sealed[chooser._NEXT_AT :][:33] == bytes(range(2, 35))
    assert found.sealed[chooser._LISTING_AT :][:32] == found.manifest.listing


def test_the_reasons_are_those_of_the_wire() -> None:
    assert (states.STARTS, states.INTEGRITY, states.ROLLED_BACK) == (
        update.STARTS,
        update.INTEGRITY,
        records.UPDATE_ROLLED_BACK,
    )


def test_2_a_file_that_is_not_listed_is_removed_and_named(device: Device) -> None:
    stranger = device.root / "b" / "lightnode" / "hashlib.py"
    stranger.write_text("stands in for another")
    (device.root / "b" / "deep" / "er").mkdir(parents=True)
    assert device.start().running == "b" and device.holds("b", NEW)
    assert not (device.root / "b" / "deep").exists()
    assert [line for line in device.said if "hashlib.py" in line]


@pytest.mark.parametrize(
    "damage", ["bit", "longer", "shorter", "missing", "swapped", "folder", "listing", "manifest", "release"]
)
def test_4_a_damaged_release_gives_way_to_the_one_before_and_says_so(device: Device, damage: str) -> None:
    path = device.root / "b" / "lightnode" / "app.py"
    release = device.root / "b.release"
    data, kept = path.read_bytes(), release.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "release":
        release.unlink()
    elif damage == "manifest":
        release.write_bytes(kept[:40] + bytes((kept[40] ^ 1,)) + kept[41:])
    elif damage == "listing":
        release.write_bytes(kept.replace(b"320 ", b"321 "))
    else:
        path.write_bytes(
            {"bit": data[:-1] + b"\0", "longer": data + b"x", "shorter": data[:-1], "swapped": data[::-1]}[damage]
        )
    assert device.start().running == "a" and device.holds("a", OLD) and device.said
    device.live()
    assert device.outcomes()[-1] == (records.UPDATE_ROLLED_BACK, "integrity")
    assert device.reports()[-1].sequence == 11
    assert device.start().running == "a" and len(device.outcomes()) == 2


def test_4_what_was_damaged_may_come_again_and_what_is_older_not(device: Device) -> None:
    (device.root / "b" / "lightnode" / "app.py").write_text("damaged")
    device.start().live()
    device.announce(made(OLD, sequence=10).announcement)
    assert device.outcomes()[-1] == (records.UPDATE_REFUSED, "rollback")
    device.take(made())
    device.start().live()
    assert device.running == "b" and device.state.flags == 0
    device.announce(made(floor=1).announcement)
    assert device.outcomes()[-1] == (records.UPDATE_REFUSED, "replayed")


def test_4_with_both_damaged_nothing_is_chosen_and_an_update_mends_it(device: Device) -> None:
    for slot in "ab":
        (device.root / slot / "lightnode" / "app.py").write_text("damaged")
    assert device.start().running == ""
    assert device.start().running == ""
    device.live()
    assert device.outcomes()[-1] == (records.UPDATE_ROLLED_BACK, "integrity")
    device.take(made())
    assert device.start().running in ("a", "b")
    device.live()
    assert device.state.sequence == 11


def test_3_a_trial_that_never_commits_is_over_after_its_starts(device: Device) -> None:
    device.take(made(OLD, sequence=12))
    ran = [device.start().running for _ in range(states.ATTEMPTS + 2)]
    assert ran == ["a"] * states.ATTEMPTS + ["b", "b"]
    device.live()
    assert device.outcomes()[-1] == (records.UPDATE_ROLLED_BACK, "starts") and device.reports()[-1].sequence == 12
    device.announce(made(OLD, sequence=12).announcement)
    assert device.outcomes()[-1] == (records.UPDATE_REFUSED, "failed before")


def test_3_a_trial_whose_files_changed_after_the_switch_never_starts(device: Device) -> None:
    device.take(made(OLD, sequence=12))
    (device.root / "a" / "lightnode" / "app.py").write_bytes(b"evil = 1" * 40)
    assert device.start().running == "b"
    device.live()
    assert device.outcomes()[-1] == (records.UPDATE_ROLLED_BACK, "integrity")


@pytest.mark.parametrize("copy", ["state.0", "state.1"])
@pytest.mark.parametrize("damage", ["gone", "torn", "bit", "old"])
def test_one_lost_copy_of_the_state_changes_nothing_and_is_made_again(device: Device, copy: str, damage: str) -> None:
    path = device.root / copy
    data, before = path.read_bytes(), device.state.encode()
    if damage == "gone":
        path.unlink()
    elif damage == "old":
        older = device.state
        older.serial, older.floor, older.sequence = older.serial - 1, 0, 1
        path.write_bytes(older.encode())
    else:
        path.write_bytes(data[:50] if damage == "torn" else data[:50] + b"\xff" + data[51:])
    assert device.start().running == "b" and device.state.encode() == before
    assert (device.root / "state.0").read_bytes() == (device.root / "state.1").read_bytes() == before


def test_5_without_a_state_what_is_whole_runs_and_the_higher_is_tried_again(device: Device) -> None:
    for copy in ("state.0", "state.1"):
        (device.root / copy).unlink()
    assert device.start().running == "b" and device.updates.is_on_trial
    assert (device.state.sequence, device.state.floor) == (10, 5)
    device.live()
    assert device.state.sequence == 11 and device.start().running == "b"


def test_5_without_a_state_and_with_one_whole_directory_that_one_runs(device: Device) -> None:
    for copy in ("state.0", "state.1"):
        (device.root / copy).write_bytes(b"x" * 250)
    shutil.rmtree(device.root / "a")
    assert device.start().running == "b" and device.state.sequence == 11
    device.announce(made().announcement)
    assert device.outcomes()[-1] == (records.UPDATE_REFUSED, "replayed")


def test_5_without_a_state_the_key_follows_the_manifest(tmp_path: Path) -> None:
    device = Device(tmp_path)
    install(tmp_path, made(OLD, sequence=10, key_generation=3, next_key=bytes(range(2, 35))))
    for copy in ("state.0", "state.1"):
        (tmp_path / copy).unlink()
    assert device.start().running == "a"
    assert (device.state.generation, device.state.key) == (4, bytes(range(2, 35)))


def test_an_empty_root_chooses_nothing_and_writes_nothing(tmp_path: Path) -> None:
    assert chooser.choose(str(tmp_path / "none"), print) == "" and not (tmp_path / "none").exists()


def test_a_start_without_damage_or_trial_writes_nothing(device: Device) -> None:
    stamps = {p: p.stat().st_mtime_ns for p in device.root.rglob("*")}
    device.start()
    assert stamps == {p: p.stat().st_mtime_ns for p in device.root.rglob("*")} and device.said == []
