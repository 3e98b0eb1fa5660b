"""Flash wear of a journal, from a life that was really run: what a reading costs, and what fifteen years make of it.

A NOR sector is good for 100,000 erases (the least that data sheets of serial NOR promise). The ring uses its sectors evenly, so
the most worn one has what all have.
"""

from dataclasses import dataclass

SLOT_MS = 4000
RATED_ERASES = 100_000
_YEAR_S = 31_557_600


@dataclass(frozen=True, slots=True)
class Wear:
    """Of one run: readings kept, erases of all sectors, bytes programmed, sectors of the ring."""

    readings: int
    erases: int
    programmed_bytes: int
    sectors: int

    @property
    def erases_per_reading(self) -> float:
        """Erases of any sector."""
        return self.erases / self.readings

    @property
    def bytes_per_reading(self) -> float:
        """Everything that was programmed: statements, state and acknowledgements with it."""
        return self.programmed_bytes / self.readings

    def cycles(self, years: float = 15) -> float:
        """Erases of each sector after so many years of a reading every 4 s."""
        readings = years * _YEAR_S * 1000 / SLOT_MS
        return readings * self.erases_per_reading / self.sectors

    def years(self, rated_erases: int = RATED_ERASES) -> float:
        """How long until each sector has its rated erases."""
        return rated_erases / self.cycles(1)

    def __str__(self) -> str:
        """For a report."""
        return (
            f"{self.bytes_per_reading:.1f} bytes and {self.erases_per_reading:.4f} erases a reading; in 15 years "
            f"{self.cycles():,.0f} erases of each of {self.sectors} sectors, of {RATED_ERASES:,} that are good"
        )
