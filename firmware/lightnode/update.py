"""Updates: takes announcements, lets the rules decide, brings the release, tries it, commits or rolls back, and reports.

1. A release is taken if its manifest is signed by the update key that rules (of the settings and of the last rotation the
   one of the higher generation) and `lightwire.update.judge` has no reason against it, all by trusted time: without it the
   announcement waits. Expiry is looked at again when a download goes on after a restart and before the switch.
2. Of several releases the one with the highest sequence is brought. While a release is on trial none is taken.
3. Every refusal is answered by a signed report, at most REFUSALS_MAX in a quarter-hour; above that announcements are
   dropped unread, so that a forger costs neither journal nor time. The same announcement is answered once in that time.
4. A trial passes when the meter was read, a signature was made and verified and the broker was reached, all by the code
   on trial. Without meter TRIAL_MS after the start, without broker BROKER_MS after it, the release is rolled back. One
   that came over the cable to a node whose broker was away is committed then: going back would not bring the broker.
5. The commit raises sequence and floor, makes the next key count, and gives up the other directory if its release is
   below the floor. It is one write of the state.
6. The report of a commit or of a return is in the state until it is in the journal; a cut between may give it twice.
"""

import asyncio
import hashlib

from lightboot import chooser, files
from lightboot import state as states
from lightwire import ecdsa, envelope, records, update
from lightwire.errors import BadSignature, OutOfRange, WireError

from . import download
from .compat import sleep_ms
from .slices import holds, opened, sliced

TRIAL_MS = 600_000
BROKER_MS = 1_800_000
REFUSALS_MAX = 8
ASK_AGAIN_MS = 10_000
_QUARTER_MS = 900_000
_ANNOUNCEMENT_MAX = update.SEALED_BYTES + update.LISTING_MAX
_SLOTS = {"a": 1, "b": 2}
_OUTCOMES = ("", "committed", "rolled back", "refused")


def running_slot(root: str, first_path: str) -> int:
    """The slot that the code runs from, 0 for none; first_path: the first entry of sys.path, where the chooser puts it."""
    return _SLOTS.get(first_path[len(root) + 1 :], 0) if first_path[: len(root) + 1] == root + "/" else 0


class Updates:
    """`restart`: the device is to be started again; `refused`: announcements refused or dropped since the start; `last`: the
    outcome that was reported last, in words; `root`, `running` (slot) and `state` of the chooser."""

    def __init__(self, settings, recorder, clock, key, sampler, uplink, running: int) -> None:  # type: ignore[no-untyped-def]
        """running: the slot that this code runs from. Without an update key in the settings nothing is ever taken."""
        value = settings.value
        self.root = value("update.root")
        self._settings_key = value("update.key_generation"), value("update.key")
        self._hardware = (value("hardware").encode() + bytes(16))[:16]
        self._deployment = value("deployment")
        self._recorder = recorder
        self._clock = clock
        self._key = key
        self._sampler = sampler
        self._uplink = uplink
        self.running = running
        self._work = asyncio.Event()
        self.state = states.read(self.root)[0] or states.blank()
        self._announced = b""
        self._seen = b""
        self._download: download.Download = None  # type: ignore[assignment]
        self._piece = b""
        self._asked: tuple[int, int] | None = None  # (session, monotonic ms) of the last wish
        self._quarter = self._refusals = 0
        self._has_signed = False
        self.restart = False
        self.is_offline = False  # the broker is known to be away: a trial may do without it
        self.refused = 0
        self.last = ""
        self._resume()

    @property
    def is_on_trial(self) -> bool:
        """Whether this code is on trial."""
        return self.state.trial != 0 and self.state.trial == self.running

    @property
    def sequence(self) -> int:
        """Of the release that was committed last."""
        return self.state.sequence

    @property
    def wanted(self):  # type: ignore[no-untyped-def]
        """(path, offset, length) of the piece that is waited for, None for none."""
        return None if self._download is None else self._download.wish

    def receive(self, channel: str, payload: bytes) -> None:
        """Takes an announcement (`update`) or a piece (`chunk`); what to do about it is decided in `run`."""
        if channel == "update" and self._settings_key[1] is not None:
            self._announced = payload[: _ANNOUNCEMENT_MAX + 1]  # what is longer is none, whatever follows
        elif channel == "chunk" and self._download is not None:
            self._piece = payload
        self._work.set()

    def wish(self) -> bytes:
        """What is to be sent on `fetch` now, b"" for nothing: each wish once in a session, and again if it stays open."""
        if self.wanted is None:
            return b""
        now = self._clock.monotonic_ms()
        if self._asked and self._asked[0] == self._uplink.sessions and now - self._asked[1] < ASK_AGAIN_MS:
            return b""
        self._asked = self._uplink.sessions, now
        return update.encode_wish(self._download.manifest.sequence, *self.wanted)

    def tick(self) -> None:
        """Once a slot."""
        self._work.set()

    async def run(self, alive=lambda: None) -> None:  # type: ignore[no-untyped-def]
        """Works when there is something to do; never returns. alive() is called before each time."""
        while True:
            await self._work.wait()
            self._work.clear()
            alive()
            if not self.restart:
                await self.step()

    async def step(self) -> None:
        """Does all that may be done now."""
        if self.state.outcome and (self._sampler.produced or self._clock.monotonic_ms() > TRIAL_MS):
            await self._report_outcome()
        if self.state.trial:
            if self.is_on_trial:
                await self._watch_trial()
            return
        if self._announced and self._clock.trusted:
            announcement, self._announced = self._announced, b""
            await self._consider(announcement)
        if self._download is not None:
            await self._bring()

    def _resume(self) -> None:
        """A download that had begun goes on if its offer is still good; what was decided about is forgotten."""
        offer = download.kept_offer(self.root)
        if offer and self._settings_key[1] is not None and not self.state.trial:
            if update.manifest_of(offer[: update.SEALED_BYTES]).sequence <= self.state.failed:
                download.forget(self.root)
            else:
                self._announced = offer

    async def _consider(self, announcement: bytes) -> None:
        digest = hashlib.sha256(announcement).digest()
        if self._too_many() or digest == self._seen:
            return
        self._seen = digest
        manifest, reason = await self._judged(announcement)
        if reason == update.NONE and manifest is not None and self._download is not None:
            if manifest.sequence <= self._download.manifest.sequence:
                reason = update.SUPERSEDED
            else:
                await self._refuse(update.SUPERSEDED, self._download.manifest)
        if reason != update.NONE:
            if announcement == download.kept_offer(self.root):
                download.forget(self.root)
            await self._refuse(reason, manifest, announcement)
            if self._download is None:
                self._resume()
            return
        await self._begin(announcement, manifest)

    async def _begin(self, announcement: bytes, manifest) -> None:  # type: ignore[no-untyped-def]
        self._download = None  # type: ignore[assignment]
        target = 3 - (self.running or self.state.active or 2)
        try:
            if announcement != download.kept_offer(self.root):
                await _done(download.begin(self.root, target, self.state, announcement))
            self._download = download.Download(self.root, target, self.running)
        except OSError:
            download.forget(self.root)
            await self._refuse(update.SPACE, manifest)

    async def _judged(self, announcement: bytes):  # type: ignore[no-untyped-def]
        """(the manifest, or None if there is none in it; the reason to refuse it)."""
        manifest = None
        generation, key = self._ruling_key()
        try:
            sealed, listing = update.split(announcement)
            manifest = update.manifest_of(sealed)
            if not isinstance(manifest, records.Manifest):
                return None, update.MALFORMED
            if manifest.key_generation != generation or key is None:
                return manifest, update.KEY_GENERATION
            await self._check_seal(sealed, key)
            state = self.state
            may_repeat = bool(state.flags & states.REPAIR)
            trust = update.Trust(self._hardware, generation, state.sequence, may_repeat, state.floor, state.failed)
            reason = update.judge(manifest, listing, trust, self._clock.utc_ms())
        except BadSignature:
            return manifest, update.SIGNATURE
        except WireError:
            return manifest, update.MALFORMED
        if reason == update.NONE and not _is_key(manifest.next_key):
            reason = update.NEXT_KEY
        return manifest, reason

    async def _check_seal(self, sealed: bytes, key: bytes) -> None:
        """BadSignature unless the key signed it for this deployment."""
        await opened(sealed, self._deployment, lambda digest, signature: holds(key, digest, signature))

    def _ruling_key(self):  # type: ignore[no-untyped-def]
        """(generation, key or None) of who may sign (rule 1)."""
        generation, key = self._settings_key
        if self.state.generation <= generation:
            return generation, key
        return self.state.generation, self.state.key if any(self.state.key) else None

    async def _bring(self) -> None:
        """As far as it goes with what is there."""
        bringing = self._download
        try:
            if self._piece:
                piece, self._piece = self._piece, b""
                sequence, path, offset, data = update.decode_piece(piece)
                if sequence != bringing.manifest.sequence or not bringing.offer(path, offset, data):
                    return
            if bringing.wish is None:
                await _done(bringing.work())
                self._asked = None
                self._recorder.wake()
            if not bringing.is_complete or not self._clock.trusted:
                return
            reason = update.time_reason(bringing.manifest, self._clock.utc_ms())
            if reason:
                raise download.Refused(reason)
            bringing.switch(self.state, self.is_offline)
        except WireError:
            return
        except download.Refused as error:
            await self._give_up(error.reason)
        except OSError:
            await self._give_up(update.SPACE)
        else:
            self._download = None  # type: ignore[assignment]
            self.restart = True

    async def _give_up(self, reason: int) -> None:
        manifest = self._download.manifest
        self._download = None  # type: ignore[assignment]
        download.forget(self.root)
        await self._refuse(reason, manifest)

    async def _watch_trial(self) -> None:
        """Rule 4."""
        if not self._has_signed:
            digest = self.state.report_digest
            if not await holds(self._key.public, digest, await sliced(self._key.signing(digest))):
                self._roll_back(update.OWN_SIGNATURE)
                return
            self._has_signed = True
        now = self._clock.monotonic_ms()
        if not self._sampler.produced:
            if now > TRIAL_MS:
                self._roll_back(update.METER)
        elif self._uplink.sessions:
            await self._commit()
        elif now > BROKER_MS:
            if self.state.flags & states.OFFLINE:
                await self._commit()
            else:
                self._roll_back(update.BROKER)

    async def _commit(self) -> None:
        """Rule 5."""
        state = self.state
        manifest = update.manifest_of(self._release(state.trial)[: update.SEALED_BYTES])
        state.active, state.trial, state.attempts, state.flags = state.trial, 0, 0, 0
        state.sequence, state.version = manifest.sequence, manifest.version
        state.floor = max(state.floor, manifest.floor)
        if any(manifest.next_key):
            state.generation, state.key = manifest.key_generation + 1, manifest.next_key
        other = self._release(3 - state.active)
        if other and update.manifest_of(other[: update.SEALED_BYTES]).sequence < state.floor:
            state.set_release(3 - state.active, bytes(32))
        state.outcome, state.reason = records.UPDATE_COMMITTED, update.NONE
        states.write(self.root, state)
        download.forget(self.root)
        await self._report_outcome()

    def _roll_back(self, reason: int) -> None:
        states.roll_back(self.state, reason)
        states.write(self.root, self.state)
        self.restart = True

    def _release(self, slot: int) -> bytes:
        """The release file of a slot that may be started, b"" if there is none."""
        if not any(self.state.release(slot)):
            return b""
        return files.read(chooser.release_path(self.root, slot), chooser.RELEASE_MAX)

    async def _report_outcome(self) -> None:
        """Rule 6."""
        state = self.state
        await self._report(
            state.outcome, state.reason, state.report_sequence, state.report_version, state.report_digest
        )
        state.outcome = 0
        states.write(self.root, state)

    def _too_many(self) -> bool:
        """Rule 3."""
        quarter = self._clock.monotonic_ms() // _QUARTER_MS
        if self._quarter != quarter:
            self._quarter, self._refusals, self._seen = quarter, 0, b""
        self.refused += self._refusals >= REFUSALS_MAX
        return self._refusals >= REFUSALS_MAX

    async def _refuse(self, reason: int, manifest, announcement: bytes = b"") -> None:  # type: ignore[no-untyped-def]
        """manifest: None if there is none in the announcement."""
        self._refusals += 1
        self.refused += 1
        if manifest is None:
            await self._report(records.UPDATE_REFUSED, reason, 0, 0, hashlib.sha256(announcement).digest())
            return
        digest = envelope.payload_digest(records.encode(manifest))
        await self._report(records.UPDATE_REFUSED, reason, manifest.sequence, manifest.version, digest)

    async def _report(self, outcome: int, reason: int, sequence: int, version: int, digest: bytes) -> None:
        self.last = f"{_OUTCOMES[outcome]} {sequence}: {update.REASONS[reason]}"
        trusted = self._clock.trusted
        time_ms = self._clock.utc_ms() if trusted else self._clock.monotonic_ms()
        flags = 0 if trusted else records.UNTRUSTED_CLOCK
        await self._recorder.keep(
            lambda device, generation, boot, seq: records.UpdateReport(
                device, generation, boot, seq, time_ms, flags, sequence, version, outcome, reason, digest
            )
        )


async def _done(steps) -> None:  # type: ignore[no-untyped-def]
    """All steps, others may work between two."""
    for _ in steps:
        await sleep_ms(0)


def _is_key(next_key: bytes) -> bool:
    """Whether it is none, or a point of the curve."""
    if not any(next_key):
        return True
    try:
        ecdsa.decompress(ecdsa.SECP256K1, next_key)
    except OutOfRange:
        return False
    return True
