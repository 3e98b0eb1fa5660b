"""An update from announcement to commit, and everything that must not become one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lightboot import state as states
from lightnode import download
from lightnode import update as updates
from lightwire import envelope, records, update

from hil.updates import Terms
from tests.lightnode.parts import DEPLOYMENT, T0
from tests.lightnode.updating import DAY_MS, NEW, NEXT_KEY, OLD, STRANGER, UPDATE_KEY, Device, made

COMMITTED, ROLLED_BACK, REFUSED = records.UPDATE_COMMITTED, records.UPDATE_ROLLED_BACK, records.UPDATE_REFUSED


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "app")


def test_worked_example_from_announcement_to_commit(device: Device) -> None:
    found = made()
    assert device.running == "a" and device.holds("a", OLD)
    device.announce(found.announcement)
    assert device.serve(found) == 3  # 320 bytes, then 1,400 in two; cbor.py is copied, an empty file needs nothing
    assert device.updates.restart and device.holds("a", OLD) and device.holds("b", NEW)
    device.start()
    assert device.running == "b" and device.updates.is_on_trial and device.updates.sequence == 10
    device.live()
    assert device.outcomes() == [(COMMITTED, "none")] and not device.updates.is_on_trial and not device.updates.restart
    report = device.reports()[0]
    assert (report.sequence, report.version, report.digest) == (11, 1 << 16, found.digest)
    assert (report.time_ms, report.flags) == (T0, 0)
    assert (device.state.sequence, device.state.floor, device.state.outcome) == (11, 5, 0)
    assert device.start().running == "b"


def test_the_next_update_goes_into_the_other_directory(device: Device) -> None:
    device.take(made())
    device.start().live()
    device.take(made(OLD, sequence=12))
    assert device.start().running == "a"
    device.live()
    assert device.state.sequence == 12 and device.holds("a", OLD)


def altered(at: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]


def refusals() -> dict[str, tuple[bytes, str]]:
    """What is announced to a device that runs 10 with floor 5, and the reason it has to give."""
    good = made()
    other = made({**NEW, "lightnode/app.py": b"evil= 2\n" * 40}, sequence=12)
    unsigned = envelope.wrap(records.encode(good.manifest), bytes(64))
    outside = good.listing.replace(b"lightwire/cbor.py", b"../../../cbor.pyc")
    return {
        "arbitrary software": (unsigned + good.listing, "signature"),
        "wrong key": (made(key=STRANGER).announcement, "signature"),
        "another deployment": (made(deployment=bytes(16)).announcement, "signature"),
        "an altered manifest": (altered(20)(good.sealed) + good.listing, "signature"),
        "another generation": (made(key_generation=2).announcement, "key generation"),
        "rollback": (made(sequence=9).announcement, "rollback"),
        "replayed": (made(OLD, sequence=10).announcement, "replayed"),
        "fast-forward": (made(sequence=1011).announcement, "fast-forward"),
        "fast-forward to the end": (made(sequence=2**32 - 1).announcement, "fast-forward"),
        "a floor above itself": (made(floor=12).announcement, "fast-forward"),
        "freeze": (made(created_ms=T0 - 31 * DAY_MS).announcement, "expired"),
        "from the future": (made(created_ms=T0 + DAY_MS).announcement, "created in the future"),
        "valid for ever": (made(valid_ms=500 * DAY_MS).announcement, "valid for too long"),
        "mix-and-match": (good.sealed + other.listing, "listing"),
        "wrong hardware class": (made(hardware="esp32-c3").announcement, "hardware class"),
        "a truncated listing": (good.announcement[:-20], "listing"),
        "a truncated manifest": (good.announcement[:150], "malformed"),
        "no listing": (good.sealed, "malformed"),
        "paths outside": (good.sealed + outside, "listing"),
        "an endless listing": (good.sealed + good.listing * 40, "malformed"),
        "another kind": (envelope.wrap(records.encode(records.Checkpoint(b"8" * 8, 1, 1, 1, bytes(32))), bytes(64)), "malformed"),
        "one byte": (b"x", "malformed"),
    }  # fmt: skip


@pytest.mark.parametrize("case", list(refusals()))
def test_1_it_is_refused_with_its_reason_and_nothing_is_touched(device: Device, case: str) -> None:
    announcement, reason = refusals()[case]
    before = device.state.encode()
    device.announce(announcement)
    assert device.outcomes() == [(REFUSED, reason)]
    assert device.updates.wish() == b"" and not device.updates.restart
    assert device.state.encode() == before and not (device.root / "offer").exists() and not (device.root / "b").exists()
    assert device.start().running == "a" and device.holds("a", OLD)


def test_1_a_path_outside_is_refused_even_if_the_update_key_signed_it(device: Device) -> None:
    for path in ("../evil.py", "/evil.py", "a/../../evil.py"):
        listing = b"1 " + hashlib.sha256(b"x").hexdigest().encode() + b" " + path.encode() + b"\n"
        terms = Terms(sequence=11, created_ms=T0, deployment=DEPLOYMENT)
        manifest = records.Manifest(
            terms.hardware.encode().ljust(16, b"\0"), 11, 0, 1, T0, T0 + DAY_MS, 1, 1, hashlib.sha256(listing).digest(), 1, bytes(33)
        )  # fmt: skip
        device.announce(envelope.seal(manifest, DEPLOYMENT, UPDATE_KEY.sign) + listing)
    assert device.outcomes() == [(REFUSED, "malformed")] * 3


def test_1_without_trusted_time_the_announcement_waits(device: Device) -> None:
    device.start(trusted=False)
    device.announce(made().announcement)
    assert device.updates.wish() == b"" and device.outcomes() == []
    device.node.trust(T0)
    device.step()
    assert device.updates.wish()


def test_1_a_release_that_expires_during_its_download_is_not_started(device: Device) -> None:
    found = made(valid_ms=DAY_MS + 60_000)
    device.announce(found.announcement)
    wishes = 0
    while wish := device.updates.wish():
        device.node.source.now += 30_000
        sequence, path, offset, length = update.decode_wish(wish)
        data = found.files[path][offset : offset + length]
        device.updates.receive("chunk", update.encode_piece(sequence, path, offset, data))
        device.step()
        wishes += 1
    assert wishes and not device.updates.restart and device.outcomes() == [(REFUSED, "expired")]
    assert device.start().running == "a"


def test_1_a_release_that_expired_while_the_power_was_off_does_not_go_on(device: Device) -> None:
    found = made()
    device.announce(found.announcement)
    device.start(trusted=False)
    device.node.trust(T0 + 40 * DAY_MS)
    device.step()
    assert device.updates.wish() == b"" and device.outcomes() == [(REFUSED, "expired")]
    assert not (device.root / "offer").exists()


def test_1_a_rotated_key_counts_from_the_commit_on_and_the_old_one_no_more(device: Device) -> None:
    device.announce(made(key=NEXT_KEY, key_generation=2).announcement)
    device.take(made(next_key=NEXT_KEY.public))
    device.start().live()
    device.announce(made(OLD, sequence=12).announcement)
    device.announce(made(OLD, sequence=12, key_generation=2).announcement)
    reasons = [(REFUSED, "key generation"), (COMMITTED, "none"), (REFUSED, "key generation"), (REFUSED, "signature")]
    assert device.outcomes() == reasons
    device.take(made(OLD, key=NEXT_KEY, key_generation=2, sequence=12))


def test_1_a_rotation_that_is_rolled_back_rotates_nothing(device: Device) -> None:
    device.take(made(next_key=NEXT_KEY.public))
    for _ in range(states.ATTEMPTS + 1):
        device.start()
    assert device.running == "a"
    device.take(made(sequence=12))


def test_1_a_next_key_that_is_no_point_would_end_updates_and_is_refused(device: Device) -> None:
    device.announce(made(next_key=b"\x02" + b"\xff" * 32).announcement)
    device.announce(made(next_key=b"\x05" + bytes(32)).announcement)
    assert device.outcomes() == [(REFUSED, "next key")] * 2


def test_1_settings_with_a_newer_generation_rule_over_the_state(device: Device) -> None:
    device.take(made(next_key=NEXT_KEY.public))
    device.start().live()
    again = Device(device.root.parent / "two", update__key=STRANGER.public, update__key_generation=3)
    again.announce(made(key=STRANGER, key_generation=3).announcement)
    assert again.updates.wish()


def test_1_without_a_key_there_are_no_updates(tmp_path: Path) -> None:
    device = Device(tmp_path, update__key=None)
    device.announce(made().announcement)
    assert device.updates.wish() == b"" and device.outcomes() == []


def test_2_of_two_releases_the_higher_is_brought(device: Device) -> None:
    first, second = made(), made({"lightnode/app.py": b"third = 3"}, sequence=12)
    device.announce(first.announcement)
    device.announce(second.announcement)
    device.announce(first.announcement)
    assert device.outcomes() == [(REFUSED, "superseded")] * 2
    device.serve(second)
    device.start().live()
    assert device.state.sequence == 12


def test_2_what_the_running_release_has_too_is_copied(device: Device) -> None:
    device.announce(made(OLD, sequence=12).announcement)
    assert device.updates.restart and device.holds("b", OLD)


def test_2_during_a_trial_nothing_is_taken(device: Device) -> None:
    device.take(made())
    device.start()
    device.announce(made({"lightnode/app.py": b"third = 3"}, sequence=12).announcement)
    assert device.updates.wish() == b""
    device.live()
    device.live()
    assert device.updates.wish()


def test_3_refusals_are_reported_at_a_bounded_rate(device: Device) -> None:
    for n in range(40):
        device.announce(made(sequence=n % 9, version=n).announcement)
    assert len(device.reports()) == updates.REFUSALS_MAX and device.updates.refused == 40
    device.node.source.now += 900_000
    device.announce(made().announcement)
    assert device.updates.wish()


def test_3_the_same_announcement_is_answered_once(device: Device) -> None:
    for _ in range(5):
        device.announce(made(sequence=9).announcement)
    assert device.outcomes() == [(REFUSED, "rollback")]


def test_3_of_an_announcement_that_is_too_long_no_more_is_kept_than_shows_it(device: Device) -> None:
    device.announce(bytes(65_536))
    assert device.outcomes() == [(REFUSED, "malformed")]
    assert device.reports()[0].digest == hashlib.sha256(bytes(8_404)).digest()


def broken(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


def test_a_swapped_file_of_equal_length_never_comes_to_run(device: Device) -> None:
    found = made()
    device.announce(found.announcement)
    device.serve(found, lambda path, _offset, data: broken(data) if path.endswith("app.py") else data)
    assert not device.updates.restart and device.outcomes() == [(REFUSED, "content")]
    assert device.start().running == "a"


def test_a_file_that_came_wrong_once_is_fetched_again(device: Device) -> None:
    found, bad = made(), ["lightnode/app.py"]

    def once(path: str, _offset: int, data: bytes) -> bytes:
        return broken(data) if path in bad and not bad.remove(path) else data  # type: ignore[func-returns-value]

    device.announce(found.announcement)
    device.serve(found, once)
    assert device.updates.restart and device.holds("b", NEW)


def test_endless_data_never_grows_a_file_and_ends_the_download(device: Device) -> None:
    found = made()
    device.announce(found.announcement)
    wish = device.updates.wish()
    sequence, path, offset, length = update.decode_wish(wish)
    most, sent = 4 * found.manifest.total_bytes + 65536, 0
    while device.updates._download is not None:
        device.updates.receive("chunk", update.encode_piece(sequence, path, offset, bytes(1024)))
        device.step()
        sent += 1024
        assert sent < most + 2048
        assert (
            sum(p.stat().st_size for p in (device.root / "b").rglob("*.*") if p.is_file()) <= found.manifest.total_bytes
        )
    assert device.outcomes() == [(REFUSED, "endless data")] and length < 1024


@pytest.mark.parametrize(
    "piece",
    [
        lambda s, p, o, d: (s + 1, p, o, d), lambda s, p, o, d: (s, "lightwire/__init__.py", o, d), lambda s, p, o, d: (s, p, o + 1, d),
        lambda s, p, o, d: (s, p, o, d + b"x"), lambda s, p, o, d: (s, "evil.py", o, d),
    ],
)  # fmt: skip
def test_only_the_piece_that_was_wished_for_is_taken(device: Device, piece: Any) -> None:
    found = made()
    device.announce(found.announcement)
    sequence, path, offset, length = update.decode_wish(device.updates.wish())
    device.updates.receive("chunk", update.encode_piece(*piece(sequence, path, offset, found.files[path][:length])))
    device.step()
    assert (device.root / "b" / path).read_bytes() == b"" and not (device.root / "b" / "evil.py").exists()
    device.node.source.now += updates.ASK_AGAIN_MS
    assert device.serve(found) and device.updates.restart


def test_extra_files_are_gone_before_the_switch(device: Device) -> None:
    (device.root / "b" / "lightnode").mkdir(parents=True)
    (device.root / "b" / "lightnode" / "old.py").write_text("left over")
    found = made()
    device.announce(found.announcement)
    (device.root / "b" / "json.py").write_text("stands in for json")
    device.serve(found)
    assert device.updates.restart and device.holds("b", NEW)


def test_the_download_goes_on_after_power_was_lost(device: Device) -> None:
    found = made()
    device.announce(found.announcement)
    served = 0
    while not device.updates.restart:
        wish = device.updates.wish()
        sequence, path, offset, length = update.decode_wish(wish)
        piece = update.encode_piece(sequence, path, offset, found.files[path][offset : offset + length])
        device.updates.receive("chunk", piece)
        device.step()
        served += 1
        if not device.updates.restart:
            device.start()
            device.step()
    assert served == 3
    device.start().live()
    assert device.outcomes() == [(COMMITTED, "none")]


def test_an_open_wish_is_said_again_after_a_while_and_in_a_new_session(device: Device) -> None:
    device.announce(made().announcement)
    wish = device.updates.wish()
    assert wish and device.updates.wish() == b""
    device.uplink.sessions += 1
    assert device.updates.wish() == wish and device.updates.wish() == b""
    device.node.source.now += updates.ASK_AGAIN_MS
    assert device.updates.wish() == wish


def test_a_full_flash_ends_the_download_with_its_reason(device: Device) -> None:
    found = made()
    device.announce(found.announcement)
    path = device.root / "b" / "lightnode" / "app.py"
    path.unlink()
    path.mkdir()  # what cannot be written, as a full flash cannot
    device.serve(found)
    assert device.outcomes() == [(REFUSED, "no space")] and not device.updates.restart
    assert device.start().running == "a"


def test_4_without_a_meter_it_is_rolled_back(device: Device) -> None:
    device.take(made())
    device.start()
    device.node.meter.silent = True
    device.live()
    assert device.updates.is_on_trial and not device.updates.restart
    device.node.source.now += updates.TRIAL_MS + 1
    device.live()
    assert device.updates.restart
    device.start()
    device.node.meter.silent = False
    device.live()
    assert device.running == "a" and device.outcomes() == [(ROLLED_BACK, "meter")]
    report = device.reports()[0]
    assert (report.sequence, report.digest, report.boot) == (11, made().digest, device.node.journal.boot)


def test_4_without_a_broker_it_is_rolled_back_and_not_tried_again(device: Device) -> None:
    device.take(made())
    device.start()
    device.node.source.now += updates.BROKER_MS
    device.node.sampler.produced = 1
    device.step()
    assert device.updates.is_on_trial and not device.updates.restart
    device.node.source.now += 1
    device.step()
    assert device.updates.restart
    device.start().live()
    device.announce(made().announcement)
    device.announce(made(sequence=12).announcement)
    assert device.outcomes() == [(ROLLED_BACK, "broker"), (REFUSED, "failed before")] and device.updates.wish()


@pytest.mark.parametrize(("is_offline", "commits"), [(True, True), (False, False)])
def test_4_a_node_without_a_broker_before_commits_after_the_grace(
    device: Device, is_offline: bool, commits: bool
) -> None:
    found = made()
    for _ in download.begin(str(device.root), 2, device.state, found.announcement):
        pass
    bringing = download.Download(str(device.root), 2, 1)
    while not bringing.is_complete:
        for _ in bringing.work():
            pass
        if bringing.wish:
            path, offset, length = bringing.wish
            assert bringing.offer(path, offset, found.files[path][offset : offset + length])
    bringing.switch(device.state, is_offline)
    device.start()
    device.node.sampler.produced = 1
    device.node.source.now += updates.BROKER_MS
    device.step()
    assert device.updates.is_on_trial
    device.node.source.now += 1
    device.step()
    assert device.updates.restart is not commits and device.outcomes() == [(COMMITTED, "none")] * commits
    assert device.start().running == ("b" if commits else "a")


def test_4_a_code_that_cannot_sign_is_rolled_back(device: Device) -> None:
    device.take(made())
    device.start()

    class Liar:
        public = STRANGER.public
        sign = UPDATE_KEY.sign

    device.updates._key = Liar()
    device.live()
    assert device.updates.restart
    device.start().live()
    assert device.running == "a" and device.outcomes() == [(ROLLED_BACK, "own signature")]


def test_5_a_release_below_the_new_floor_is_given_up(device: Device) -> None:
    device.take(made(floor=11))
    device.start().live()
    assert device.state.floor == 11 and not any(device.state.release(1))
    (device.root / "b" / "lightnode" / "app.py").write_text("damaged")
    assert device.start().running == ""


def test_5_the_floor_never_falls(device: Device) -> None:
    device.take(made(floor=11))
    device.start().live()
    device.take(made(OLD, sequence=12, floor=0))
    device.start().live()
    assert device.state.floor == 11


def test_6_the_report_survives_a_cut_before_it_is_kept(device: Device) -> None:
    device.take(made())
    device.start()
    state = device.state
    device.live()
    state.trial, state.active, state.attempts, state.outcome = 0, 2, 0, COMMITTED
    states.write(str(device.root), state)
    states.write(str(device.root), state)
    device.start().live()
    assert [r.sequence for r in device.reports()] == [11, 11] and device.state.outcome == 0


def test_6_a_dead_meter_does_not_keep_the_report_back(device: Device) -> None:
    device.take(made())
    for _ in range(states.ATTEMPTS + 1):
        device.start()
    device.node.meter.silent = True
    device.live()
    assert device.outcomes() == []
    device.node.source.now += updates.TRIAL_MS + 1
    device.live()
    assert device.outcomes() == [(ROLLED_BACK, "starts")]


def test_6_without_trusted_time_the_report_says_so(device: Device) -> None:
    device.take(made())
    for _ in range(states.ATTEMPTS + 1):
        device.start(trusted=False)
    device.live()
    assert [r.flags for r in device.reports()] == [records.UNTRUSTED_CLOCK] and device.reports()[0].time_ms < 10**6


def test_code_that_the_chooser_did_not_start_is_no_trial(device: Device) -> None:
    root = str(device.root)
    assert updates.running_slot(root, root + "/b") == 2 and updates.running_slot(root, root + "/a") == 1
    for other in ("", root, root + "/c", root + "a", "/x/a", root + "/a/b"):
        assert updates.running_slot(root, other) == 0


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mutated_announcement_or_piece_never_runs(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    device = Device(tmp_path_factory.mktemp("device"))
    found = made()
    raw = bytearray(found.announcement)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        what = data.draw(st.sampled_from(["flip", "cut", "insert", "double"]))
        if what == "flip":
            raw[at] ^= 1 << data.draw(st.integers(0, 7))
        elif what == "cut":
            del raw[at : at + data.draw(st.integers(1, 40))]
        elif what == "insert":
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            raw[at:at] = raw[at : at + 40]
        raw = raw or bytearray(b"x")
    if bytes(raw) == found.announcement:
        return
    device.announce(bytes(raw))
    assert device.updates.wish() == b"" and not device.updates.restart
    assert [r.outcome for r in device.reports()] == [REFUSED]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_pieces_are_healed_or_refused_and_never_run(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    device = Device(tmp_path_factory.mktemp("device"))
    found = made()

    def alter(_path: str, _offset: int, piece: bytes) -> bytes:
        if data.draw(st.integers(0, 2)):
            return piece
        at = data.draw(st.integers(0, len(piece) - 1))
        return piece[:at] + data.draw(st.binary(max_size=4)) + piece[at + 1 :] or b"x"

    device.announce(found.announcement)
    for _ in range(40):
        device.serve(found, alter)
        device.node.source.now += updates.ASK_AGAIN_MS
    assert device.updates.restart or [o for o, _ in device.outcomes()] == [REFUSED] or device.updates.wish()
    if device.updates.restart:
        assert device.holds("b", NEW)
