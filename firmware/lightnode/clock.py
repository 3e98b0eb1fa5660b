"""Time with known trust.

1. Trusted time is the back end's signed answer to this device's nonce; its error is half the round trip. An answer with
   an error over a second is not trusted: ask again.
2. Before trust a reading carries this boot's monotonic time and says so.
3. The clock never moves back and never below the floor: build time, or the last trusted time in the journal.
"""

BUILD_MS = 1_764_547_200_000  # 2025-12-01
ERROR_MAX_MS = 1000


class Clock:
    """Maps a source's monotonic ms to UTC once trusted."""

    def __init__(self, source, floor_ms: int, random) -> None:  # type: ignore[no-untyped-def]
        self._source = source
        self._random = random
        self._floor_ms = max(BUILD_MS, floor_ms)
        self._offset_ms: int | None = None
        self._nonce = b""
        self._asked_ms = 0
        self.error_ms = 0

    @property
    def trusted(self) -> bool:
        """Whether UTC is known."""
        return self._offset_ms is not None

    def monotonic_ms(self) -> int:
        """The source's time."""
        return self._source.monotonic_ms()  # type: ignore[no-any-return]

    def utc_ms(self, monotonic_ms: int) -> int:
        """UTC of a monotonic instant; before trust the floor."""
        if self._offset_ms is None:
            return self._floor_ms
        return max(self._floor_ms, monotonic_ms + self._offset_ms)

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
        if error > ERROR_MAX_MS or utc_ms + error < self._floor_ms:
            return False
        self._offset_ms = utc_ms + error - now
        self.error_ms = error
        return True
