"""What the shared customer database knows of a POD's energy in a quarter-hour, for a settlement.

1. By 4 s readings (I-04): their mean power over the whole of it; complete to the part of its 225 slots that have one. Only what
   was verified is in the database.
2. By registers: import less export at its end less the same at its begin, of one light node; none unless both were read, and
   none where one of them fell: another meter, or an overflow, is no energy.
3. A table of quarter-hours (I-01), where one is given, takes the place of the registers: one column of W per POD.
4. Of reactive energy (POD/var) it knows the 4 s readings; no registers count it, so a table of quarter-hours stands alone.
5. By set-points: of active power, or of reactive power, the last that holds for the whole quarter-hour at the POD, by the
   number of its command, and what the light node decided on it.
"""

from collections import defaultdict
from typing import Any

from lightwire import envelope, records

from backend.adapters.rows import SetPointRow as Kept
from backend.adapters.sqlite import SqliteStore
from backend.domain.quantity import FRAME_MS, FRAME_S, PPM, half_even
from backend.grid.candidate import History
from backend.market.settled_input import MeasuredRow, SetPointRow, Told

SLOTS = 225
_WS_PER_WH = 3_600


class SettledMeter:
    """Measurements of PODs."""

    def __init__(self, store: SqliteStore, quarters: History | None = None) -> None:
        self._store = store
        self._quarters = quarters
        self._devices: dict[str, list[bytes]] = defaultdict(list)
        for party in store.parties():
            if party.role == "node" and party.id not in self._devices[party.pod]:
                self._devices[party.pod].append(party.id)
        self._points: dict[str, list[tuple[Kept, Any]]] = defaultdict(list)
        for row in store.setpoints():
            self._points[row.pod].append((row, envelope.peek(row.sealed)))

    def measured(self, pod: str, frame: int) -> MeasuredRow:
        """The energies of a POD (or POD/var) in a quarter-hour, as far as they are known."""
        name, start, end = pod.removesuffix("/var"), frame * FRAME_MS, (frame + 1) * FRAME_MS
        slots: dict[int, int] = {}
        registers_ws = None
        for device in self._devices.get(name, ()):
            if name != pod:
                slots |= self._reactive_var(device, start, end)
                continue
            rows = self._store.readings(device, start, end + 1)
            slots |= {at: power for at, power, _, _ in rows if at < end}
            ends = {at: (imported, exported) for at, _, imported, exported in rows if at in (start, end)}
            if len(ends) == 2 and ends[end][0] >= ends[start][0] and ends[end][1] >= ends[start][1]:
                moved = [b - a for a, b in zip(ends[start], ends[end], strict=True)]
                registers_ws = (moved[0] - moved[1]) * _WS_PER_WH
        mean_ws = half_even(sum(slots.values()) * FRAME_S, len(slots)) if slots else None
        stated_ws = self._stated_ws(pod, frame)
        return MeasuredRow(
            pod, frame, mean_ws, min(PPM, len(slots) * PPM // SLOTS), registers_ws if stated_ws is None else stated_ws
        )

    def _reactive_var(self, device: bytes, start_ms: int, end_ms: int) -> dict[int, int]:
        """Rule 4, by slot mark."""
        rows = self._store.sealed_readings(device, start_ms, end_ms)
        return {at: int(envelope.peek(sealed).reactive_var) for at, sealed in rows}

    def told(self, pod: str, frame: int) -> SetPointRow:
        """Rule 5."""
        name, start, end = pod.removesuffix("/var"), frame * FRAME_MS, (frame + 1) * FRAME_MS
        mine = [
            (point.command, point, row.decision)
            for row, point in self._points.get(name, ())
            if point.not_before_ms <= start
            and point.not_after_ms >= end
            and (point.control == records.REACTIVE_TARGET) == (name != pod)
        ]
        if not mine:
            return SetPointRow(pod, frame, None, Told.NOT_SENT)
        _, point, decision = max(mine, key=lambda one: int(one[0]))
        told = point.control in (records.TARGET, records.REACTIVE_TARGET) and point.resource == records.POD_NET
        target_w = int(point.value) if told else None
        if not decision:
            return SetPointRow(pod, frame, target_w, Told.UNANSWERED)
        accepted = envelope.peek(decision).outcome == records.ACCEPTED
        return SetPointRow(pod, frame, target_w, Told.ACCEPTED if accepted else Told.REFUSED)

    def _stated_ws(self, pod: str, frame: int) -> int | None:
        """Rule 3."""
        table = self._quarters
        if table is None or pod not in table.names or not table.first_frame <= frame < table.end_frame:
            return None
        return int(table.rows([frame])[0][table.names.index(pod)]) * FRAME_S
