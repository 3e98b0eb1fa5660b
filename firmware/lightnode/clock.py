"""Time with known trust, and when the next slot is due.

1. Trusted time is the back end's signed answer to this device's nonce; its error is half the round trip. An answer with an
   error over a second, or too early by rule 3, is not trusted: ask again.
2. Before trust a reading carries this boot's monotonic time and says so.
3. The clock never moves back and never below the floor: build time, or the last trusted time in the journal. A crystal that
   is fast is put right all the same, by up to twice the bound of rule 5: the time shown stands until UTC has come up with it.
4. Slots are absolute: with trusted time multiples of 4 s in UTC, before it of the monotonic time. None is done twice, nor
   the floor's own.
5. Between answers the board's crystal counts, at most DRIFT_PPM wrong (its tolerance, temperature and years): the bound of
   the error grows by that. Trust is renewed every six hours, and earlier if the bound is over RENEW_ERROR_MS.
6. HOLDOVER: the bound is over half a slot, so that a reading might belong to the slot beside its own. At 50 ppm that is
   after eleven hours without an answer.
7. An answer that knows the time less well than the clock does is not taken.
"""

BUILD_MS = 1_764_547_200_000  # 2025-12-01
ERROR_MAX_MS = 1000
RENEW_MS = 6 * 3_600_000
SLOT_MS = 4000
DRIFT_PPM = 50
HOLDOVER_ERROR_MS = SLOT_MS // 2
RENEW_ERROR_MS = 1500


class Clock:
    """Maps a source's monotonic ms, counted from this boot, to UTC."""

    def __init__(self, source, floor_ms: int, random) -> None:  # type: ignore[no-untyped-def]
        """source: monotonic_ms() and agrees(utc_ms); random(count) gives bytes for the nonce."""
        self._source = source
        self._random = random
        self._floor_ms = self._shown_ms = max(BUILD_MS, floor_ms)
        self._offset_ms: int | None = None
        self._nonce = b""
        self._asked_ms = 0
        self._trusted_ms = 0
        self._done: int | None = None
        self._began_ms: int | None = None  # when slots were first asked for: the first mark behind it is the first slot
        self._answer_error_ms = 0

    @property
    def trusted(self) -> bool:
        """Whether UTC is known."""
        return self._offset_ms is not None

    @property
    def error_ms(self) -> int:
        """Bound of the error of UTC now (rule 5); before trust 0, since there is no UTC."""
        if self._offset_ms is None:
            return 0
        return self._answer_error_ms + _drift_ms(self.monotonic_ms() - self._trusted_ms)

    @property
    def in_holdover(self) -> bool:
        """Rule 6."""
        return self.error_ms > HOLDOVER_ERROR_MS

    @property
    def wants_answer(self) -> bool:
        """Whether it is time to ask."""
        return not self.trusted or self.monotonic_ms() - self._trusted_ms > RENEW_MS or self.error_ms > RENEW_ERROR_MS

    @property
    def nonce(self) -> bytes:
        """The nonce of the question that is open, b"" if none is: what makes a set-point fresh before there is time."""
        return self._nonce

    def monotonic_ms(self) -> int:
        """The source's time since this boot."""
        return self._source.monotonic_ms()  # type: ignore[no-any-return]

    def utc_ms(self) -> int:
        """UTC now; before trust the floor. It never falls."""
        if self._offset_ms is not None:
            self._shown_ms = max(self._shown_ms, self.monotonic_ms() + self._offset_ms)
        return self._shown_ms

    def utc_of(self, monotonic_ms: int) -> int:
        """UTC of an instant of this boot; only once trusted."""
        return monotonic_ms + (self._offset_ms or 0)

    def next_slot(self) -> int:
        """Monotonic instant of the next slot mark to be done (rule 4); in the past if slots went by undone."""
        offset = self._offset_ms or 0
        now = self.monotonic_ms() + offset
        if self._began_ms is None:
            self._began_ms = self.monotonic_ms()
        due = _next_mark(self._began_ms + offset)
        if self._done is not None:
            due = max(due, self._done + SLOT_MS)
        return max(due, now // SLOT_MS * SLOT_MS) - offset

    def begin_slot(self, mark: int) -> int:
        """The slot of a monotonic mark is being done: the time_ms of its reading, UTC once trusted, else monotonic."""
        slot = _nearest_mark(mark + (self._offset_ms or 0))
        if self._done is not None:
            slot = max(slot, self._done + SLOT_MS)
        self._done = slot
        return slot

    def ask(self) -> bytes:
        """A fresh nonce (16 bytes) to send to the back end."""
        self._nonce = self._random(16)
        self._asked_ms = self.monotonic_ms()
        return self._nonce

    def answer(self, nonce: bytes, utc_ms: int) -> bool:
        """Takes a signed answer (signature checked by the caller); True if time is trusted by it."""
        if not self._nonce or nonce != self._nonce:
            return False
        now = self.monotonic_ms()
        self._nonce = b""
        error = (now - self._asked_ms + 1) // 2
        if error > ERROR_MAX_MS or utc_ms + error < self._earliest_ms(now) or not self._source.agrees(utc_ms):
            return False
        if self.trusted and error > self.error_ms:
            return False
        offset = utc_ms + error - now
        if self._offset_ms is None:
            self._place_done(now, offset)
        self._offset_ms = offset
        self._trusted_ms = now
        self._answer_error_ms = error
        return True

    def _earliest_ms(self, now: int) -> int:
        """What UTC cannot be before (rule 3)."""
        if self._offset_ms is None:
            return self._floor_ms
        return max(self._floor_ms, now + self._offset_ms - 2 * self.error_ms)

    def _place_done(self, now: int, offset: int) -> None:
        """The last slot before trust has its place in UTC too; it is none that the journal may have already (rule 4)."""
        last = self._floor_ms // SLOT_MS * SLOT_MS
        if self._done is not None:
            last = max(last, _nearest_mark(self._done + offset), _next_mark(now + offset) - SLOT_MS)
        self._done = last


def _drift_ms(elapsed_ms: int) -> int:
    return (elapsed_ms * DRIFT_PPM + 999_999) // 1_000_000


def _nearest_mark(instant: int) -> int:
    return (instant + SLOT_MS // 2) // SLOT_MS * SLOT_MS


def _next_mark(instant: int) -> int:
    return (instant + SLOT_MS - 1) // SLOT_MS * SLOT_MS
