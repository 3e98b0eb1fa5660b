"""The fixed byte layout of every kind: which fields, in which form, at which offset. FORMAT.md is normative.

1. A payload is one CBOR array: kind, version, then the fields of the kind in order.
2. Each form has one head whatever the value, so every payload of a kind has one length and fixed offsets.
3. Forms: B H I Q unsigned of 1 2 4 8 bytes, i signed of 4, V three unsigned of 4, a number: that many bytes.
"""

from . import choice
from .errors import OutOfRange, Truncated, UnknownVersion

_DEVICE = (("device", 8), ("generation", "H"), ("boot", "I"), ("seq", "I"))

_FIELDS = {
    choice.READING: _DEVICE
    + (
        ("time_ms", "Q"),
        ("flags", "H"),
        ("power_w", "i"),
        ("reactive_var", "i"),
        ("import_wh", "Q"),
        ("export_wh", "Q"),
        ("voltage_mv", "V"),
        ("frequency_mhz", "H"),
    ),
    choice.STATEMENT: _DEVICE
    + (
        ("previous", 32),
        ("first_seq", "I"),
        ("last_seq", "I"),
        ("count", "H"),
        ("missing", "H"),
        ("causes", "B"),
        ("start_ms", "Q"),
        ("end_ms", "Q"),
        ("import_start_wh", "Q"),
        ("import_end_wh", "Q"),
        ("export_start_wh", "Q"),
        ("export_end_wh", "Q"),
        ("root", 32),
    ),
    choice.GAP: _DEVICE
    + (
        ("cause", "B"),
        ("start_ms", "Q"),
        ("end_ms", "Q"),
        ("slots", "I"),
        ("first_seq", "I"),
        ("last_seq", "I"),
    ),
    choice.CLOCK_LINK: _DEVICE + (("monotonic_ms", "Q"), ("utc_ms", "Q"), ("error_ms", "I")),
    choice.TIME_ANSWER: (("operator", 8), ("device", 8), ("nonce", 16), ("utc_ms", "Q")),
    choice.SET_POINT: (
        ("id", 16),
        ("device", 8),
        ("issuer", 8),
        ("role", "B"),
        ("command", "I"),
        ("not_before_ms", "Q"),
        ("not_after_ms", "Q"),
        ("resource", "B"),
        ("control", "B"),
        ("value", "i"),
        ("ramp_w_per_s", "I"),
        ("fallback", "B"),
        ("fallback_value", "i"),
        ("reason", "B"),
        ("order", 16),
        ("nonce", 16),
        ("salt", 16),
    ),
    choice.DECISION: _DEVICE
    + (
        ("setpoint", 16),
        ("digest", 32),
        ("command", "I"),
        ("outcome", "B"),
        ("reason", "B"),
        ("time_ms", "Q"),
    ),
    choice.EXECUTION: (
        ("agent", 8),
        ("generation", "H"),
        ("boot", "I"),
        ("seq", "I"),
        ("device", 8),
        ("setpoint", 16),
        ("digest", 32),
        ("state", "B"),
        ("reason", "B"),
        ("time_ms", "Q"),
        ("commanded_w", "i"),
        ("readback_w", "i"),
    ),
    choice.DELIVERY: (
        ("operator", 8),
        ("incarnation", 8),
        ("device", 8),
        ("boot", "I"),
        ("seq", "I"),
        ("digest", 32),
        ("time_ms", "Q"),
    ),
    choice.CHECKPOINT: (
        ("operator", 8),
        ("tree", "B"),
        ("epoch", "I"),
        ("size", "Q"),
        ("root", 32),
    ),
    choice.ENROLMENT: (
        ("device", 8),
        ("generation", "H"),
        ("algorithm", "B"),
        ("public_key", 33),
        ("tls_fingerprint", 32),
        ("nonce", 16),
        ("time_ms", "Q"),
        ("level", "B"),
    ),
    choice.REGISTRY_ENTRY: (
        ("operator", 8),
        ("salt", 16),
        ("action", "B"),
        ("device", 8),
        ("generation", "H"),
        ("algorithm", "B"),
        ("public_key", 33),
        ("tls_fingerprint", 32),
        ("valid_from_ms", "Q"),
        ("valid_to_ms", "Q"),
        ("enrolment", 32),
        ("time_ms", "Q"),
    ),
    choice.EVIDENCE: (
        ("operator", 8),
        ("salt", 16),
        ("tree", "B"),
        ("subject", 16),
        ("version", "H"),
        ("digest", 32),
        ("time_ms", "Q"),
    ),
    choice.TOMBSTONE: (
        ("operator", 8),
        ("salt", 16),
        ("tree", "B"),
        ("index", "Q"),
        ("leaf", 32),
        ("time_ms", "Q"),
    ),
    choice.DIAGNOSTICS: _DEVICE
    + (
        ("time_ms", "Q"),
        ("flags", "H"),
        ("version", "I"),
        ("uptime_s", "I"),
        ("reset_cause", "B"),
        ("fault", "B"),
        ("restarts", "H"),
        ("heap_free_bytes", "I"),
        ("heap_block_bytes", "I"),
        ("meter_errors", "H"),
        ("sessions", "H"),
        ("pending", "I"),
        ("fill_permille", "H"),
        ("clock_error_ms", "I"),
        ("alarms", "H"),
    ),
    choice.UPDATE_REPORT: _DEVICE
    + (
        ("time_ms", "Q"),
        ("flags", "H"),
        ("sequence", "I"),
        ("version", "I"),
        ("outcome", "B"),
        ("reason", "B"),
        ("digest", 32),
    ),
    choice.MANIFEST: (
        ("hardware", 16),
        ("sequence", "I"),
        ("floor", "I"),
        ("version", "I"),
        ("created_ms", "Q"),
        ("expires_ms", "Q"),
        ("files", "H"),
        ("total_bytes", "I"),
        ("listing", 32),
        ("key_generation", "H"),
        ("next_key", 33),
    ),
    choice.EMS_REPORT: _DEVICE
    + (
        ("time_ms", "Q"),
        ("flags", "H"),
        ("setpoint", 16),
        ("state", "B"),
        ("reason", "B"),
        ("commanded_w", "i"),
        ("measured_w", "i"),
        ("measured_var", "i"),
        ("charge_permille", "H"),
    ),
}

CLOSED = {  # fields that are a choice, by kind: (field, lowest, highest)
    choice.GAP: (("cause", 1, 8),),
    choice.SET_POINT: (("role", 1, 3), ("control", 1, 4), ("fallback", 1, 3)),
    choice.DECISION: (("outcome", 1, 2),),
    choice.EXECUTION: (("state", 1, 4),),
    choice.CHECKPOINT: (("tree", 1, 5),),
    choice.ENROLMENT: (("algorithm", 1, 2), ("level", 1, 3)),
    choice.REGISTRY_ENTRY: (("action", 1, 3), ("algorithm", 1, 2)),
    choice.EVIDENCE: (("tree", 1, 5),),
    choice.TOMBSTONE: (("tree", 1, 5),),
    choice.DIAGNOSTICS: (("reset_cause", 1, 6), ("fault", 0, 5)),
    choice.UPDATE_REPORT: (("outcome", 1, 3),),
    choice.EMS_REPORT: (("state", 1, 4),),
}

INTERVALS = {
    choice.GAP: ("start_ms", "end_ms"),
    choice.STATEMENT: ("start_ms", "end_ms"),
    choice.SET_POINT: ("not_before_ms", "not_after_ms"),
    choice.REGISTRY_ENTRY: ("valid_from_ms", "valid_to_ms"),
    choice.MANIFEST: ("created_ms", "expires_ms"),
}

UNSIGNED = {"B": (0x18, 1), "H": (0x19, 2), "I": (0x1A, 4), "Q": (0x1B, 8)}
_VOLTS = (int, int, int)
_SIGNED, _THREE = 65, 66  # beside widths in bits: 32 bits with a sign; three of 32 bits
_plans: dict[int, tuple[tuple[type, ...], bytes]] = {}
_BELOW: dict[object, int] = {"B": 1 << 8, "H": 1 << 16, "I": 1 << 32, "Q": 1 << 64, "i": 1 << 31}


def names(kind: int) -> tuple[str, ...]:
    return tuple([name for name, _ in _FIELDS[kind]])


def check_fields(kind: int, values) -> None:  # type: ignore[no-untyped-def]
    """OutOfRange if a value does not fit its field: the first such field is named."""
    types, widths = _plan(kind)
    if tuple(map(type, values)) == types:
        for width, value in zip(widths, values):
            if width < _SIGNED:
                if value >> width:
                    break
            elif width == _SIGNED:
                if (value >> 31) + 1 >> 1:
                    break
            elif width == _THREE:
                if tuple(map(type, value)) != _VOLTS or value[0] >> 32 or value[1] >> 32 or value[2] >> 32:
                    break
            elif len(value) != width - _THREE:
                break
        else:
            return
    for (name, form), value in zip(_FIELDS[kind], values):
        check_field(name, form, value)


def _plan(kind: int) -> tuple[tuple[type, ...], bytes]:
    """(types of the values, of each its width: 8 to 64 bits, _SIGNED, _THREE, or _THREE and how many bytes)."""
    if kind not in _plans:
        types: list[type] = []
        widths = bytearray()
        for _, form in _FIELDS[kind]:
            if form in UNSIGNED:
                types.append(int)
                widths.append(8 * UNSIGNED[form][1])  # type: ignore[index, unused-ignore]
            elif isinstance(form, int):
                types.append(bytes)
                widths.append(_THREE + form)
            else:
                types.append(tuple if form == "V" else int)
                widths.append(_THREE if form == "V" else _SIGNED)
        _plans[kind] = tuple(types), bytes(widths)
    return _plans[kind]


def check_field(name: str, form: object, value: object) -> None:
    if isinstance(form, int):
        good = isinstance(value, bytes) and len(value) == form
    elif form == "V":
        good = isinstance(value, tuple) and len(value) == 3 and all([_fits("I", v) for v in value])
    else:
        good = _fits(form, value)
    if not good:
        raise OutOfRange(f"{name} is {repr(value)[:60]}, its form is {form}")


def _fits(form: object, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return (-0x80000000 if form == "i" else 0) <= value < _BELOW[form]


def fields(kind: int) -> tuple[tuple[str, object], ...]:
    """(name, form) of each field of a kind, in order; form B H I Q i V or a number of bytes. FORMAT.md's table."""
    return _FIELDS[kind]


def start(kind: int) -> bytes:
    count = len(_FIELDS[kind]) + 2
    array = bytes((0x80 | count,)) if count < 24 else bytes((0x98, count))
    return array + bytes((0x18, kind, 0x18, choice.VERSION))


def kind_of(payload: bytes) -> int:
    """The kind of a payload, from its first bytes; UnknownVersion if it is none of ours."""
    at = 2 if payload[:1] == b"\x98" else 1
    if len(payload) < at + 4:
        raise Truncated(f"{len(payload)} bytes")
    kind = payload[at + 1]
    if payload[at] != 0x18 or kind not in _FIELDS:
        raise UnknownVersion(f"kind {kind}")
    return kind


def payload_length(kind: int) -> int:
    """Bytes of every payload of this kind."""
    total = len(start(kind))
    for _, form in _FIELDS[kind]:
        if isinstance(form, int):
            total += form + (1 if form < 24 else 2)
        elif form == "V":
            total += 16
        else:
            total += 1 + (4 if form == "i" else UNSIGNED[str(form)][1])
    return total


for _kind in (choice.READING, choice.STATEMENT):  # now, for the reason that payload.py gives
    _plan(_kind)
