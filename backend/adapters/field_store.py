"""Field devices and what they said, in the shared customer database.

field_sensor: id, name (that of its measuring points in the network document), key (32 bytes, a secret), the last seq heard.
field_reading: one row per accepted message; null is what the device does not measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.adapters.sqlite import SqliteStore
from backend.grid.field import FieldReading

_COLUMNS = "sensor, seq, time_ms, voltage_mv, current_ma, power_w, power_var, breaker"


@dataclass(frozen=True, slots=True)
class FieldSensor:
    """A registered device."""

    id: str
    name: str
    key: bytes
    last_seq: int = 0


class FieldStore:
    """Field devices in a back end's database."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def register(self, sensor: FieldSensor) -> None:
        """Adds a device, or gives a known one another name and key; what was heard of it stays."""
        sql = "insert into field_sensor values (?,?,?,0) on conflict (id) do update set name = ?, key = ?"
        self._store.change(sql, sensor.id, sensor.name, sensor.key, sensor.name, sensor.key)

    def sensors(self) -> dict[str, FieldSensor]:
        """All devices by id."""
        rows = self._store.rows("select id, name, key, last_seq from field_sensor order by id")
        return {row[0]: FieldSensor(*row) for row in rows}

    def keep(self, reading: FieldReading) -> None:
        """A message and that it was heard, in one commit."""
        values = [getattr(reading, name) for name in _COLUMNS.split(", ")]
        with self._store.writing():
            self._store.change(f"insert into field_reading ({_COLUMNS}) values (?,?,?,?,?,?,?,?)", *values)
            self._store.change("update field_sensor set last_seq = ? where id = ?", reading.seq, reading.sensor)

    def last(self, sensor: str, before_ms: int | None = None) -> FieldReading | None:
        """The last message of a device, before an instant if one is given; None if there is none."""
        sql = f"select {_COLUMNS} from field_reading where sensor = ? and (? is null or time_ms < ?) order by seq desc limit 1"
        rows = self._store.rows(sql, sensor, before_ms, before_ms)
        return FieldReading(*rows[0]) if rows else None

    def latest(self, before_ms: int, since_ms: int) -> Sequence[FieldReading]:
        """The newest message of each device in since_ms <= time < before_ms, by device."""
        sql = (
            f"select {_COLUMNS} from field_reading r where time_ms >= ? and time_ms < ? and seq = (select max(seq) from"
            " field_reading where sensor = r.sensor and time_ms >= ? and time_ms < ?) order by sensor"
        )
        return [FieldReading(*row) for row in self._store.rows(sql, since_ms, before_ms, since_ms, before_ms)]
