"""What a field device says (I-19): one line of JSON, authenticated with the device's own key, to a checked record.

1. ``lightnode-field/1``: format, sensor (16 hexadecimal digits), seq (1 and up, rising), time_ms (UTC), mac, and at least one of
   voltage_mv (phase to phase), current_ma, power_w with power_var (into the branch, or withdrawn), breaker ("open", "closed").
2. mac: HMAC-SHA256, in hexadecimal, with the device's 32 byte key over all other fields as JSON with sorted keys and without
   spaces. It is checked before anything else is believed.
3. At most 1024 bytes; whole numbers within what a grid can have; no other field.
4. Accepted within five minutes of the clock here, in rising seq and never back in time: what was heard once is not heard
   again. Its seq again with another content is refused: acknowledged, what it says would be lost.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import Rejected
from backend.nesting import once_each

FORMAT = "lightnode-field/1"
MAX_BYTES = 1024
CLOCK_MS = 300_000
_MOST = 10**12
_NUMBERS = ("voltage_mv", "current_ma", "power_w", "power_var")
_NOT_NEGATIVE = ("voltage_mv", "current_ma")
_BREAKER = ("open", "closed")
_REQUIRED = {"format", "sensor", "seq", "time_ms", "mac"}


@dataclass(frozen=True, slots=True)
class FieldReading:
    """One message of a device; None is what it does not measure. breaker: "open", "closed" or "" if it is none."""

    sensor: str
    seq: int
    time_ms: int
    voltage_mv: int | None = None
    current_ma: int | None = None
    power_w: int | None = None
    power_var: int | None = None
    breaker: str = ""


def written(reading: FieldReading, key: bytes) -> bytes:
    """The line that a device sends, without its end."""
    fields: dict[str, object] = {
        "format": FORMAT, "sensor": reading.sensor, "seq": reading.seq, "time_ms": reading.time_ms,
    }  # fmt: skip
    fields |= {name: getattr(reading, name) for name in _NUMBERS if getattr(reading, name) is not None}
    if reading.breaker:
        fields["breaker"] = reading.breaker
    return _canonical({**fields, "mac": _mac(fields, key)})


def parse(line: bytes, keys: Mapping[str, bytes]) -> FieldReading:
    """The record in a line of a known device. Raises Rejected, which never repeats more of the line than a name."""
    if len(line) > MAX_BYTES:
        raise Rejected(f"field message: {len(line)} bytes, at most {MAX_BYTES}")
    try:
        fields = json.loads(line, object_pairs_hook=lambda pairs: once_each(pairs, "field message"))
    except (ValueError, RecursionError) as error:
        raise Rejected("field message: not JSON") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT or not set(fields) >= _REQUIRED:
        raise Rejected(f"field message: expected {FORMAT} with {', '.join(sorted(_REQUIRED))}")
    sensor, mac = fields["sensor"], fields.pop("mac")
    if not isinstance(sensor, str) or sensor not in keys:
        raise Rejected("field message: of no sensor that is registered here")
    if not isinstance(mac, str) or not hmac.compare_digest(ascii(mac), ascii(_mac(fields, keys[sensor]))):
        raise Rejected(f"field message of {sensor}: its mac does not hold")
    return _record(fields, sensor)


def is_repeated(reading: FieldReading, last_seq: int, last: FieldReading | None, now_ms: int) -> bool:
    """Whether it is the message of last_seq once more; last: that message, None if it is kept no longer. Rejected by rule 4."""
    where = f"field message of {reading.sensor}"
    if reading.seq == last_seq:
        if last is not None and last != reading:
            raise Rejected(f"{where}: seq {last_seq} was heard with another content, expected a higher one")
        return True
    if reading.seq < last_seq:
        raise Rejected(f"{where}: seq {reading.seq}, heard already up to {last_seq}, expected a higher one")
    if abs(reading.time_ms - now_ms) > CLOCK_MS:
        raise Rejected(
            f"{where}: {reading.time_ms - now_ms} ms from the clock here, expected at most {CLOCK_MS}: set its clock"
        )
    if last is not None and reading.time_ms < last.time_ms:
        back_ms = last.time_ms - reading.time_ms
        raise Rejected(f"{where}: time_ms is {back_ms} ms before that of seq {last_seq}, expected no earlier one")
    return False


def _record(fields: Mapping[str, Any], sensor: str) -> FieldReading:
    where = f"field message of {sensor}"
    for name in sorted(set(fields) - _REQUIRED - set(_NUMBERS) - {"breaker"}):
        raise Rejected(f"{where}: no such field as {name[:20]!r}")
    for name in ("seq", "time_ms", *_NUMBERS):
        if name in fields and (type(fields[name]) is not int or abs(fields[name]) > _MOST * 10):
            raise Rejected(f"{where}: {name}, expected a whole number of at most {_MOST * 10}")
    for name, least in (("seq", 1), *((name, 0) for name in _NOT_NEGATIVE)):
        if fields.get(name, least) < least:
            raise Rejected(f"{where}: {name} {fields[name]}, expected {least} or more")
    if fields.get("breaker", "open") not in _BREAKER:
        raise Rejected(f"{where}: breaker, expected open or closed")
    if ("power_w" in fields) != ("power_var" in fields):
        raise Rejected(f"{where}: power_w and power_var belong together")
    said = {name: fields.get(name) for name in _NUMBERS}
    if all(value is None for value in said.values()) and "breaker" not in fields:
        raise Rejected(f"{where}: it measures nothing")
    return FieldReading(sensor, fields["seq"], fields["time_ms"], **said, breaker=fields.get("breaker", ""))


def _canonical(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _mac(fields: Mapping[str, object], key: bytes) -> str:
    return hmac.new(key, _canonical(fields), "sha256").hexdigest()
