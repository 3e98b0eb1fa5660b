"""What the agent asks of an energy manager, in its own words."""

from dataclasses import dataclass
from typing import Protocol


class EmsUnavailable(Exception):
    """The energy manager did not answer, or not as its map says."""


@dataclass(frozen=True, slots=True)
class EmsState:
    """Power at the POD and at the DER [W, withdrawal positive]."""

    pod_w: int
    der_w: int


class Ems(Protocol):
    """One energy manager."""

    def read(self) -> EmsState:
        """Its measures now; EmsUnavailable."""
        ...

    def command(self, der_w: int) -> int:
        """Commands the DER and returns the set-point it reads back [W]; EmsUnavailable."""
        ...

    def release(self) -> None:
        """Lets the DER do what it does by itself; EmsUnavailable."""
        ...
