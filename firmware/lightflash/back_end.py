"""What a commissioning asks of the back end, whoever answers: its database, its broker, or the back end itself.

1. Everything that comes from there is sealed bytes; the flasher verifies each itself, with the keys that are registered.
2. What cannot be known there is None, never a guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Registered:
    """A device in the register. key: public, 33 bytes; certificate: SHA-256 of its TLS key or certificate, 32 bytes; agents:
    public keys of its POD's agents; by: who says so."""

    key: bytes
    generation: int
    certificate: bytes
    agents: tuple[bytes, ...] = ()
    by: str = "the register"


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back to a set-point, sealed; b"" while there is nothing: the device's Decision, and who acted - the agent's
    Execution or the device's EmsReport."""

    decision: bytes
    action: bytes


class BackEnd(Protocol):
    """The back end of one deployment. PartMissing when it cannot be reached."""

    deployment: bytes

    def registered(self, device: bytes) -> Registered | None:
        """The register's newest entry of a device (id, 8 bytes); None if it has none."""
        ...

    def readings(self, device: bytes, after_seq: int) -> Sequence[bytes] | None:
        """Sealed readings that it has, seq above after_seq; None if that cannot be seen from here."""
        ...

    def send_test(self, device: bytes, command: int) -> bytes | None:
        """Sends a set-point that changes nothing and gives its id (16 bytes): a maximum withdrawal at the limit that holds
        anyway. command: the last command number that the device has accepted. None if it cannot be sent from here."""
        ...

    def answers(self, device: bytes, setpoint: bytes) -> Answers:
        """What came back to it so far."""
        ...
