"""Emulated field devices (I-19): a voltage sensor, a current sensor and the breaker of a low-voltage feeder.

1. A device measures what is true at its place, with its own noise (seeded) and, if told, a fault: ``factor_ppm`` on all it says
   (a wrong ratio), or ``stuck`` (it repeats the first).
2. It keeps what the port has not acknowledged, at most 64 messages, the oldest lost first, and sends it in order.
"""

import json
import random
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.grid.field import FieldReading, written

KINDS: Mapping[str, tuple[str, ...]] = {
    "voltage": ("voltage_mv",),
    "current": ("current_ma",),
    "breaker": ("voltage_mv", "current_ma", "power_w", "power_var"),
}
_KEPT = 64
_PPM = 1_000_000


@dataclass(slots=True)
class FieldDevice:
    """kind: "voltage", "current" or "breaker"; noise_ppm: one standard deviation of what it says, of the value."""

    id: str
    key: bytes
    kind: str
    noise_ppm: int = 2_000
    factor_ppm: int = _PPM
    stuck: bool = False
    seed: int = 0
    seq: int = 0
    is_open: bool = False
    unsent: deque[FieldReading] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _first: Mapping[str, int] | None = None

    def measure(self, truth: Mapping[str, int], time_ms: int) -> FieldReading:
        """Takes a sample of what is true (mV, mA, W, var into the branch) and keeps it to be sent."""
        said = {name: 0 if self.is_open and name != "voltage_mv" else truth[name] for name in KINDS[self.kind]}
        self.seq += 1
        dice = random.Random(f"{self.seed}/{self.id}/{self.seq}")
        said = {name: self._distorted(value, dice) for name, value in said.items()}
        if self.stuck:
            said = dict(self._first) if self._first is not None else said
            self._first = said
        breaker = ("open" if self.is_open else "closed") if self.kind == "breaker" else ""
        reading = FieldReading(
            self.id, self.seq, time_ms, said.get("voltage_mv"), said.get("current_ma"), said.get("power_w"),
            said.get("power_var"), breaker,
        )  # fmt: skip
        self.unsent.append(reading)
        return reading

    def _distorted(self, value: int, dice: random.Random) -> int:
        noisy = value * (1 + dice.gauss(0, self.noise_ppm) / _PPM)
        return round(noisy * self.factor_ppm / _PPM)

    def send(self, address: tuple[str, int], timeout_s: float = 5.0) -> list[Mapping[str, object]]:
        """Sends what is kept; the port's answers. What is taken, or will never be, is kept no longer."""
        answers: list[Mapping[str, object]] = []
        with socket.create_connection(address, timeout_s) as link, link.makefile("rb") as lines:
            while self.unsent:
                link.sendall(written(self.unsent[0], self.key) + b"\n")
                line = lines.readline(4096)
                if not line:
                    break
                answers.append(json.loads(line))
                self.unsent.popleft()
        return answers
