"""Field devices to the shared customer database (I-19): the order of steps for each message.

1. A line comes in at the field port; its mac is checked, then its fields, then its seq and clock (grid.field).
2. What holds is stored and committed, then acknowledged; a device keeps what is not acknowledged and sends it again.
3. What does not hold is refused with its reason, counted and told to whoever runs the port. A repeated message is acknowledged
   and not stored: its first answer may have been lost.
"""

import json
from collections.abc import Callable

from backend.adapters.field_store import FieldStore
from backend.errors import Rejected
from backend.grid.field import FieldReading, is_repeated, parse
from backend.ports import FieldPort


class FieldIntake:
    """Takes in what a field port delivers. refused: how many messages did not hold."""

    def __init__(
        self,
        store: FieldStore,
        port: FieldPort,
        now_ms: Callable[[], int],
        tell: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """tell: hears why a message is refused."""
        self._store = store
        self._port = port
        self._now_ms = now_ms
        self._tell = tell
        self.refused = 0

    def run_once(self, timeout_s: float = 0.0) -> FieldReading | None:
        """One message; None if there was none, or it was refused."""
        came = self._port.receive(timeout_s)
        if came is None:
            return None
        whom, line = came
        try:
            reading = self._take(line)
        except Rejected as refusal:
            self.refused += 1
            self._tell(refusal.reason)
            self._port.answer(whom, json.dumps({"refused": refusal.reason}).encode())
            return None
        self._port.answer(whom, json.dumps({"taken": reading.seq}).encode())
        return reading

    def _take(self, line: bytes) -> FieldReading:
        known = self._store.sensors()
        reading = parse(line, {id: sensor.key for id, sensor in known.items()})
        last = self._store.last(reading.sensor)
        if not is_repeated(reading, known[reading.sensor].last_seq, last, self._now_ms()):
            self._store.keep(reading)
        return reading
