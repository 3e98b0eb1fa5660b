"""Signatures that the journal keeps, for a key that would make other ones the next time.

1. A signature is kept before the message can leave, in an entry of its own behind its record; the later of two counts.
2. Looking one up reads a sector; where the others of that sector stand is remembered, so a drain reads each sector once.
"""

KIND = 8


class Signatures:
    """Over the sectors of a ring, oldest first, each with the first and last seq of its records."""

    def __init__(self, ring) -> None:  # type: ignore[no-untyped-def]
        self._ring = ring
        self._newest = 0
        self._sector = None
        self._slots: dict[int, int] = {}

    def entry(self, seq: int, signature: bytes) -> bytes:
        """The body of the entry that keeps a signature."""
        body = seq.to_bytes(4, "big") + signature
        self.note(body)
        return body

    def note(self, body: bytes) -> None:
        """There is such an entry."""
        self._newest = max(self._newest, int.from_bytes(body[:4], "big"))

    def find(self, seq: int) -> bytes:
        """The signature (64 bytes) of a record, b"" if none is kept."""
        if seq > self._newest:
            return b""
        if seq not in self._slots:
            self._look_for(seq)
        if seq in self._slots:
            for _, kind, body in self._ring.entries(self._sector, self._slots[seq]):
                return body[4:] if kind == KIND and body[:4] == seq.to_bytes(4, "big") else b""  # type: ignore[no-any-return]
        return b""

    def _look_for(self, seq: int) -> None:
        for sector in list(self._ring.sectors):
            if sector.last >= seq or not sector.first:
                self._sector = sector
                self._slots = {}
                for slot, kind, body in self._ring.entries(sector):
                    if kind == KIND:
                        self._slots[int.from_bytes(body[:4], "big")] = slot
                if seq in self._slots:
                    return
