"""What the agent needs of an energy manager. Powers in W, positive for withdrawal."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most the flexible resource can inject and withdraw, both as magnitudes."""

    injection_w: int
    withdrawal_w: int

    def clip(self, power_w: int) -> int:
        """The nearest power the resource can do."""
        return max(-self.injection_w, min(self.withdrawal_w, power_w))


@dataclass(frozen=True, slots=True)
class Measured:
    """What the energy manager says now: at the POD, at the resource, and which command it holds (None: none)."""

    pod_w: int
    der_w: int
    commanded_w: int | None
    local_switch: bool
    emergency_stop: bool

    @property
    def other_w(self) -> int:
        """The load at the POD that is not the resource."""
        return self.pod_w - self.der_w


@dataclass(frozen=True, slots=True)
class Command:
    """Power of the resource, and what it reverts to alone if nobody comes again.

    reverts_after_s: 0 never; reverts_to_w: None lets go.
    """

    der_w: int
    reverts_after_s: int = 0
    reverts_to_w: int | None = None


class Ems(Protocol):
    """An energy manager. Each method blocks for a bounded time and raises EmsUnreachable or EmsRefused."""

    def bounds(self) -> Bounds:
        """What the resource can do."""

    def measure(self) -> Measured:
        """What is now."""

    def command(self, command: Command) -> None:
        """Sets the resource's power."""

    def release(self) -> None:
        """Lets the resource follow its own schedule."""

    def close(self) -> None:
        """Ends the connection; what was commanded stays."""
