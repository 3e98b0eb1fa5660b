"""The register map that an energy manager (EMS) reads and writes, without any I/O. EMS.md is normative.

1. Big endian, high word first. The node's block begins at register 0 and is only read; the block that the EMS writes
   begins at register 100.
2. What is not known or not commanded is said by the not-available pattern of its form, never by 0 or a large number.
3. `state` says what rules. Only in force and fallback command anything, and only what `target_w`, `max_withdrawal_w` and
   `max_injection_w` then say.
4. A write is taken whole or not at all: no value may be cut, none out of its range.
5. What the EMS says counts from the write that changes its heartbeat. Emergency stop and local switch count at once.
"""

from lightwire import decision, records

MAGIC = 0x4C4E454D  # "LNEM"
VERSION = 1
EMS_BASE = 100

# H unsigned 16 bits, I 32, Q 64, i signed 32, a number: that many bytes
NODE_FIELDS = (
    ("magic", "I"),
    ("version", "H"),
    ("device", 8),
    ("sequence", "H"),
    ("heartbeat", "H"),
    ("clock", "H"),
    ("utc_ms", "Q"),
    ("state", "H"),
    ("id", 16),
    ("command", "I"),
    ("control", "H"),
    ("value", "i"),
    ("ramp_w_per_s", "I"),
    ("begins_in_s", "I"),
    ("ends_in_s", "I"),
    ("fallback", "H"),
    ("fallback_value", "i"),
    ("target_w", "i"),
    ("max_withdrawal_w", "i"),
    ("max_injection_w", "i"),
    ("silent", "H"),
    ("sequence_again", "H"),
)
EMS_FIELDS = (
    ("heartbeat", "H"),
    ("state", "H"),
    ("reason", "H"),
    ("command", "I"),
    ("commanded_w", "i"),
    ("measured_w", "i"),
    ("measured_var", "i"),
    ("charge_permille", "H"),
    ("local_switch", "H"),
    ("emergency_stop", "H"),
)
_HIGHEST = {"state": records.FAILED, "reason": len(decision.REASONS) - 1, "local_switch": 1, "emergency_stop": 1}
_MAY_MISS = ("command", "commanded_w", "measured_w", "measured_var", "charge_permille")
_COUNTERS = ("heartbeat", "sequence", "sequence_again")  # they turn over through every value
_WIDTHS = {"H": 2, "I": 4, "Q": 8, "i": 4}

# clock: whether the time is known
CLOCK_UNKNOWN = 0
CLOCK_TRUSTED = 1
CLOCK_HOLDOVER = 2

# state: what rules
NONE = 0
PENDING = 1
IN_FORCE = 2
FALLBACK = 3
STALE = 4
LOCAL = 5
STOP = 6
_STATES = {
    decision.RULES_NOTHING: NONE,
    decision.RULES_WINDOW: IN_FORCE,
    decision.RULES_FALLBACK: FALLBACK,
    decision.RULES_UNKNOWN: STALE,
    decision.RULES_LOCAL: LOCAL,
    decision.RULES_STOP: STOP,
}


def width(form: object) -> int:
    """Bytes of a form."""
    return form if isinstance(form, int) else _WIDTHS[form]  # type: ignore[index]


def encode(fields, values) -> bytes:  # type: ignore[no-untyped-def]
    """The registers of a block; None and what is missing become the not-available pattern."""
    return b"".join([_octets(form, values.get(name)) for name, form in fields])


def _octets(form: object, value) -> bytes:  # type: ignore[no-untyped-def]
    if value is None:
        return b"\x80\0\0\0" if form == "i" else b"\xff" * width(form)
    if isinstance(value, bytes):
        return value
    return (value & 0xFFFFFFFF if form == "i" else value).to_bytes(width(form), "big")  # type: ignore[no-any-return]


def decode(fields, octets: bytes) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """The values of a block by name; None is not available."""
    values: dict[str, object] = {}
    at = 0
    for name, form in fields:
        part = bytes(octets[at : at + width(form)])
        at += width(form)
        number = int.from_bytes(part, "big")
        if part == _octets(form, None) and name not in _COUNTERS:
            values[name] = None
        elif isinstance(form, int):
            values[name] = part
        else:
            values[name] = number - (1 << 32) if form == "i" and number >> 31 else number
    return values


def offered(ruling, points, now_ms, limits) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """State and set-point as they are offered at now_ms (None: the time is not known).

    points: all that are held, for the one that begins next; limits: of the point, W (withdrawal, injection).
    """
    values: dict[str, object] = {"state": _STATES[ruling.mode]}
    point = ruling.point
    if ruling.mode == decision.RULES_NOTHING and now_ms is not None:
        for other in points:
            if point is None or (other.not_before_ms, -other.command) < (point.not_before_ms, -point.command):
                point = other
        if point is not None:
            values["state"] = PENDING
    if point is None or now_ms is None:
        return values
    values["id"] = point.id
    values["command"] = point.command
    values["control"] = point.control
    values["value"] = point.value
    values["ramp_w_per_s"] = point.ramp_w_per_s
    values["begins_in_s"] = _seconds(point.not_before_ms - now_ms)
    values["ends_in_s"] = _seconds(point.not_after_ms - now_ms)
    values["fallback"] = point.fallback
    values["fallback_value"] = point.fallback_value if point.fallback == records.FALLBACK_VALUE else None
    values["target_w"], values["max_withdrawal_w"], values["max_injection_w"] = decision.bounds(ruling, *limits)
    return values


def _seconds(span_ms: int) -> int:
    """Rounded up: 0 only when it is over."""
    return max(0, (span_ms + 999) // 1000)


def fault_of(values) -> str:  # type: ignore[no-untyped-def]
    """The first field of what an EMS says that is missing, out of range or too many, "" if all is well."""
    for name, form in EMS_FIELDS:
        if name not in values:
            return name
        value = values[name]
        if value is None:
            if name not in _MAY_MISS:
                return name
        elif isinstance(value, bool) or not isinstance(value, int):
            return name
        elif form == "i":
            if not -0x80000000 < value < 0x80000000:
                return name
        elif not 0 <= value <= _highest(name, form):
            return name
    return "" if len(values) == len(EMS_FIELDS) else "too many"


def _highest(name: str, form: str) -> int:
    if name == "charge_permille":
        return 1000
    if name in _HIGHEST:
        return _HIGHEST[name]
    return 0xFFFF if form == "H" else 0xFFFFFFFE


class EmsBlock:
    """What the EMS wrote. `beats`: how often its heartbeat changed; `statement`: what it said with the last one (rule 5)."""

    def __init__(self) -> None:
        blank = {"heartbeat": 0, "state": 0, "reason": 0, "local_switch": 0, "emergency_stop": 0}
        self.octets = encode(EMS_FIELDS, blank)
        self.values = decode(EMS_FIELDS, self.octets)
        self.statement = self.values
        self.beats = 0

    def write(self, first: int, octets: bytes) -> bool:
        """Writes whole registers from register EMS_BASE + first on; False, and nothing is taken, by rule 4."""
        at = 2 * first
        edges = [0]
        for _, form in EMS_FIELDS:
            edges.append(edges[-1] + width(form))
        if not octets or at not in edges or at + len(octets) not in edges:
            return False
        return self.take(decode(EMS_FIELDS, self.octets[:at] + octets + self.octets[at + len(octets) :]))

    def take(self, values) -> bool:  # type: ignore[no-untyped-def]
        """All fields at once; False, and nothing is taken, if one is not valid."""
        if fault_of(values):
            return False
        if values["heartbeat"] != self.values["heartbeat"]:
            self.beats += 1
            self.statement = values
        self.values = values
        self.octets = encode(EMS_FIELDS, values)
        return True
