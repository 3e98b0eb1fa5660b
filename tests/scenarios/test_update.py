"""An update over the real broker into the real VM: committed, or rolled back by itself, reported and signed, nothing lost."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightflash.key import Key
from lightflash.release import Release
from lightnode import update as updates
from lightwire import envelope, records, update

from hil.bench import Bench
from hil.broker import client_context
from hil.updates import FIRMWARE, Publisher, Terms, application, furnish, live_on, release

pytestmark = pytest.mark.timeout(1800)  # several starts of the VM and, on a busy computer, many writes to its disk
START_MS = 1_796_040_000_000
POD = "IT001E00000001"
KEY = Key(b"\x11" * 32)
COMMITTED, ROLLED_BACK = records.UPDATE_COMMITTED, records.UPDATE_ROLLED_BACK


class Rig:
    """A bench whose one node runs sequence 10 from directory a, and a publisher."""

    def __init__(self, bench: Bench, publisher: Publisher) -> None:
        self.bench = bench
        self.publisher = publisher
        self.node = bench.nodes[POD]

    def made(self, sequence: int, changed: dict[str, str] | None = None, **terms: Any) -> Release:
        """The application with other sources in it."""
        return made(self.bench, sequence, changed, **terms)

    def until(self, true: Callable[[], bool]) -> None:
        """Lives on until it is true. The flash of this computer takes its own time: what is waited for is the next piece,
        start or report."""
        seen, end = None, 0.0
        while not true():
            now = self.publisher.pieces, self.facts.get("release"), len(self.reports)
            if now != seen:
                seen, end = now, time.monotonic() + 200
            assert time.monotonic() < end, (
                f"still not so; the node said: {self.node.child and self.node.child.last_words()}"
            )
            live_on(self.bench, POD)

    def hurry(self, slots: int) -> None:
        """So many slots, also for a node that has no trusted time."""
        for _ in range(slots):
            self.bench.conductor.tick(self.bench.step_backend)

    @property
    def facts(self) -> Any:
        return self.bench.facts.get(POD, {})

    @property
    def reports(self) -> list[tuple[int, str, int]]:
        """(outcome, reason, sequence) of every report that the back end verified and stored."""
        stored = self.bench.backend.store.of_kind(self.node.device, records.UPDATE_REPORT)
        found = [envelope.peek(message.sealed) for message in stored]
        return [(r.outcome, update.REASONS[r.reason], r.sequence) for r in found]

    def check_readings(self, refused: bool = False) -> None:
        """Everything produced is stored; every slot without a reading lies in a gap; nothing else was refused."""
        self.bench.warm_up()
        for _ in range(3):
            self.bench.tick()
        self.bench.drain()
        store, device = self.bench.backend.store, self.node.device
        kept = {m.seq for m in store.of_kind(device, records.READING)}
        assert {line["seq"] for line in self.bench.produced(POD)} <= kept
        times = sorted(t for t, *_ in store.readings(device, START_MS, 2**62))
        gaps = [envelope.peek(m.sealed) for m in store.of_kind(device, records.GAP)]
        named = {t for gap in gaps for t in range(gap.start_ms, gap.end_ms, 4000)}
        missing = set(range(times[0], times[-1], 4000)) - set(times)
        assert missing == named and len(times) == len(set(times))
        assert self.bench.backend.collect.refused == 0 or refused


def made(bench: Bench, sequence: int, changed: dict[str, str] | None = None, **terms: Any) -> Release:
    said = {"created_ms": START_MS - 86_400_000, "deployment": bench.identity.deployment}
    return release(application(changed=changed), Terms(sequence, **(said | terms)), KEY)


@pytest.fixture
def rig(tmp_path: Path, mosquitto: list[str], micropython: object) -> Iterator[Rig]:
    with Bench(tmp_path, pods=[POD], start_ms=START_MS) as bench:
        bench.kill_node(POD)
        furnish(bench.nodes[POD], made(bench, 10), KEY)
        bench.start_node(POD)
        bench.warm_up()
        mine = bench.pki.client("backend")
        context = client_context(bench.pki, mine.cert_pem, mine.key_pem)
        with Publisher(bench.broker.host, bench.broker.port, context) as publisher:
            yield Rig(bench, publisher)


def source(name: str, old: str, new: str) -> dict[str, str]:
    """A module of the application with one line changed."""
    text = (FIRMWARE / name).read_text()
    assert old in text
    return {name: text.replace(old, new, 1)}


def test_a_release_is_downloaded_tried_and_committed_and_the_next_one_too(rig: Rig) -> None:
    assert rig.facts["release"] == 10
    changed = source("lightnode/sampler.py", '"""Every 4 s:', '"""Every four seconds:')
    for sequence, slot in ((11, "b"), (12, "a")):
        found = rig.made(sequence, changed | source("lightnode/__init__.py", "0.1.0", f"0.1.{sequence}"))
        rig.publisher.announce(rig.node.device, found)
        rig.until(lambda sequence=sequence: rig.facts.get("release") == sequence)  # type: ignore[misc]
        rig.until(lambda sequence=sequence: (COMMITTED, "none", sequence) in rig.reports)  # type: ignore[misc]
        there = {
            str(p.relative_to(rig.node.folder / "app" / slot)) for p in (rig.node.folder / "app" / slot).rglob("*.mpy")
        }
        assert there == set(found.files)
    assert rig.publisher.pieces < 40  # what the running release has is copied, not fetched
    rig.check_readings()


READ = "    async def read(self) -> Quantities:\n"
NO_METER = READ + "        raise MeterError('x')\n\n    async def _read(self) -> Quantities:\n"
SIGN = "ecdsa.signing(ecdsa.SECP256K1, self._secret"
BROKEN = {
    "raises at import": ("lightnode/app.py", "import asyncio\n", "import asyncio\nraise OSError('broken')\n", "starts"),
    "fails in its slot": (
        "lightnode/sampler.py",
        "        self._notice_skipped()\n",
        "        raise ValueError\n",
        "starts",
    ),
    "reads no meter": ("lightnode/meter.py", READ, NO_METER, "meter"),
    "reaches no broker": ("lightnode/uplink.py", 'value("broker.port")', '1 + 0 * value("broker.port")', "broker"),
    "signs wrongly": ("lightnode/keys.py", SIGN, SIGN.replace("self._secret", "5"), "own signature"),
}


LONG = ("fails in its slot", "reaches no broker", "reads no meter", "signs wrongly")


@pytest.mark.parametrize("broken", [pytest.param(b, marks=[pytest.mark.long] * (b in LONG)) for b in BROKEN])
def test_a_broken_release_is_rolled_back_by_itself_with_a_signed_report(rig: Rig, broken: str) -> None:
    *change, reason = BROKEN[broken]
    rig.publisher.announce(rig.node.device, rig.made(11, source(*change)))
    if reason in ("meter", "broker"):
        rig.until(lambda: bool(rig.facts.get("on_trial")))
        rig.hurry(update_slots(reason))
    rig.until(lambda: (ROLLED_BACK, reason, 11) in rig.reports)
    assert rig.facts["release"] == 10 and not rig.facts["on_trial"]
    rig.check_readings(reason == "own signature")  # what it had signed wrongly is signed again and taken


def update_slots(reason: str) -> int:
    """How long a trial is waited for."""
    return (updates.TRIAL_MS if reason == "meter" else updates.BROKER_MS) // 4000 + 1


@pytest.mark.long
def test_a_loss_of_power_at_any_time_of_the_download_only_delays_it(rig: Rig) -> None:
    changed = {f"lightnode/extra_{n}.py": f"WORDS = {list(range(n, n + 400))!r}\n" for n in range(8)}
    found = rig.made(11, changed)
    rig.publisher.announce(rig.node.device, found)
    rig.until(lambda: rig.publisher.pieces > 0)
    cuts = 0
    while cuts < 5:
        rig.bench.tick()
        rig.bench.kill_node(POD)
        rig.bench.start_node(POD)
        rig.bench.warm_up()
        cuts += 1
    rig.until(lambda: (COMMITTED, "none", 11) in rig.reports)
    rig.check_readings()


@pytest.mark.long
def test_a_release_damaged_on_flash_gives_way_at_the_next_start_and_comes_again(rig: Rig) -> None:
    found = rig.made(11, source("lightnode/__init__.py", "0.1.0", "0.1.11"))
    rig.publisher.announce(rig.node.device, found)
    rig.until(lambda: (COMMITTED, "none", 11) in rig.reports)
    rig.bench.kill_node(POD)
    path = rig.node.folder / "app" / "b" / "lightnode" / "app.mpy"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    rig.bench.start_node(POD)
    rig.until(lambda: (ROLLED_BACK, "integrity", 11) in rig.reports)
    rig.publisher.announce(rig.node.device, found)
    rig.until(lambda: rig.reports.count((COMMITTED, "none", 11)) == 2)
    rig.check_readings()


@pytest.mark.long
def test_what_must_not_be_taken_is_refused_over_the_wire_and_reported(rig: Rig) -> None:
    stranger = Key(b"\x22" * 32)
    good = rig.made(11)
    forged = release(application(), Terms(11, created_ms=START_MS, deployment=rig.bench.identity.deployment), stranger)
    cases = [
        (forged.announcement, "signature"), (rig.made(9).announcement, "rollback"), (rig.made(5000).announcement, "fast-forward"),
        (rig.made(11, created_ms=START_MS - 90 * 86_400_000).announcement, "expired"), (good.announcement[:-1], "listing"),
        (rig.made(11, hardware="esp32-s3").announcement, "hardware class"),
        (good.sealed + rig.made(12, {"lightnode/a.py": ""}).listing, "listing"),
    ]  # fmt: skip
    for announcement, reason in cases:
        before = len(rig.reports)
        rig.publisher.send(rig.node.device, "update", announcement)
        rig.until(lambda before=before: len(rig.reports) > before)  # type: ignore[misc]
        assert rig.reports[-1][:2] == (records.UPDATE_REFUSED, reason)
    assert rig.publisher.pieces == 0 and rig.facts["release"] == 10 and rig.bench.node_is_alive(POD)
    rig.check_readings()
