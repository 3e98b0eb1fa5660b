"""Where a SunSpec meter keeps a model: found by the marker and the chain of models, kept until it is lost.

SunSpec Device Information Model Specification: 'SunS' at register 40000, 50000 or 0, then models one after the other, each
with ID and length; the end model has the ID 0xFFFF.

1. A search never sends more than the cycle's requests: it goes on in the next cycle where it stood.
2. A chain is followed for HOPS_MAX models and to the last register, whatever its lengths say.
3. A base that refuses, is silent, has no marker or not the model is left for the next one.
4. A place is forgotten when the model was not there twice in a row: one answer may be a wrong one.
"""

from .errors import MeterError, Refused

BASES = (40_000, 50_000, 0)
HOPS_MAX = 32
_COMMON = 60  # registers of the common model that a request for the marker may read with it
_END = 0xFFFF


class Place:
    """The place of one model of a device."""

    def __init__(self, model: int, length: int) -> None:
        """length: registers behind ID and length that the model must have at least."""
        self._model = model
        self._length = length
        self._turn = 0  # of BASES
        self._next: int | None = None  # register of the next header in the chain
        self._hops = 0
        self._misses = 0
        self._found: int | None = None

    async def find(self, master, unit: int, function: int) -> int:  # type: ignore[no-untyped-def]
        """The register of the model's ID; MeterError while it is not found."""
        while self._found is None:
            if not master.left:
                raise MeterError(f"still looking for SunSpec model {self._model}")
            try:
                await self._look(master, unit, function)
            except MeterError:
                if self._next is None:
                    self._leave()
                raise
        return self._found

    def confirm(self, header: bytes) -> None:
        """What was read at the place begins with this ID and length; MeterError if they are not the model's."""
        if self._is_model(header):
            self._misses = 0
            return
        self.missed()
        raise MeterError(f"SunSpec model {self._model} is not where it was")

    def missed(self) -> None:
        """The place was refused or holds something else (rule 4)."""
        self._misses += 1
        if self._misses > 1:
            self._misses = 0
            self._found = None

    async def _look(self, master, unit: int, function: int) -> None:  # type: ignore[no-untyped-def]
        base = BASES[self._turn]
        request = (base, 4, 0, _COMMON) if self._next is None else (self._next, 2, 0, 0)
        try:
            (found,) = await master.read(unit, function, (request,))
        except Refused:
            self._leave()
            return
        if self._next is not None:
            self._take(self._next, found)
        elif found[:4] == b"SunS":
            self._hops = 0
            self._take(base + 2, found[4:])
        else:
            self._leave()

    def _take(self, at: int, header: bytes) -> None:
        self._hops += 1
        following = at + 2 + (header[2] << 8 | header[3])
        if self._is_model(header):
            self._found, self._next = at, None
        elif header[:2] == b"\xff\xff" or self._hops >= HOPS_MAX or following > _END - 1:
            self._leave()
        else:
            self._next = following

    def _is_model(self, header: bytes) -> bool:
        return (header[0] << 8 | header[1]) == self._model and (header[2] << 8 | header[3]) >= self._length

    def _leave(self) -> None:
        self._next = None
        self._turn = (self._turn + 1) % len(BASES)
