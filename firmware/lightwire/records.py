"""Every record of the wire, frozen, with its fixed byte layout. FORMAT.md is normative.

1. A payload is one CBOR array: kind, version, then the fields of the kind in order.
2. Each field has one fixed-width head whatever its value, so every payload of a kind has one length and fixed offsets.
3. A record that exists is valid: ranges are checked when it is made and when it is decoded.
4. Integers only. Active and reactive power are positive for withdrawal from the grid; instants are UTC milliseconds;
   intervals are half open.
"""

from collections import namedtuple

from .choice import *
from .choice import (
    CHECKPOINT,
    CLOCK_LINK,
    DECISION,
    DELIVERY,
    ENROLMENT,
    EVIDENCE,
    EXECUTION,
    GAP,
    READING,
    REGISTRY_ENTRY,
    SET_POINT,
    STATEMENT,
    TIME_ANSWER,
    TOMBSTONE,
)
from .errors import TrailingBytes, Truncated, UnknownVersion
from .frozen import Frozen
from .layout import fields as fields
from .layout import kind_of as kind_of
from .layout import names, start
from .layout import payload_length as payload_length
from .payload import read, read_field, written
from .upkeep import Diagnostics as Diagnostics
from .upkeep import EmsReport as EmsReport
from .upkeep import Manifest as Manifest
from .upkeep import UpdateReport as UpdateReport


class Reading(Frozen, namedtuple("Reading", names(READING))):  # type: ignore[misc]
    """I-04. What the meter said at one 4 s slot mark.

    time_ms: the slot mark, UTC, a multiple of 4000; with UNTRUSTED_CLOCK this boot's monotonic time instead.
    power_w, reactive_var: positive for withdrawal. voltage_mv: three phases to neutral, multiples of 100.
    frequency_mhz: multiple of 10. import_wh, export_wh: registers as the meter has them, CT/VT ratio applied.
    """

    KIND = READING
    device: bytes
    generation: int
    boot: int
    seq: int
    time_ms: int
    flags: int
    power_w: int
    reactive_var: int
    import_wh: int
    export_wh: int
    voltage_mv: tuple[int, int, int]
    frequency_mhz: int


class BatchStatement(Frozen, namedtuple("BatchStatement", names(STATEMENT))):  # type: ignore[misc]
    """I-01. A device's own account of one batch: a quarter-hour, or the part of it under one boot, key and clock trust.

    previous: SHA-256 of the payload of the device's previous statement, zero for its first.
    first_seq..last_seq: every signed record of the batch; root: RFC 6962 root over their sealed bytes in order of seq;
    count: how many records. missing: 4 s slots without a reading; causes: CAUSE_ bits of the gaps.
    """

    KIND = STATEMENT
    device: bytes
    generation: int
    boot: int
    seq: int
    previous: bytes
    first_seq: int
    last_seq: int
    count: int  # type: ignore[assignment]
    missing: int
    causes: int
    start_ms: int
    end_ms: int
    import_start_wh: int
    import_end_wh: int
    export_start_wh: int
    export_end_wh: int
    root: bytes


class Gap(Frozen, namedtuple("Gap", names(GAP))):  # type: ignore[misc]
    """Slots without a reading, [start_ms, end_ms), and why; for CAUSE_OVERRUN the seq range that was dropped."""

    KIND = GAP
    device: bytes
    generation: int
    boot: int
    seq: int
    cause: int
    start_ms: int
    end_ms: int
    slots: int
    first_seq: int
    last_seq: int


class ClockLink(Frozen, namedtuple("ClockLink", names(CLOCK_LINK))):  # type: ignore[misc]
    """Maps this boot's monotonic time to UTC, with the bound of the error, once trusted time arrived."""

    KIND = CLOCK_LINK
    device: bytes
    generation: int
    boot: int
    seq: int
    monotonic_ms: int
    utc_ms: int
    error_ms: int


class TimeAnswer(Frozen, namedtuple("TimeAnswer", names(TIME_ANSWER))):  # type: ignore[misc]
    """The back end's time, signed with the log key, against the nonce the device asked with."""

    KIND = TIME_ANSWER
    operator: bytes
    device: bytes
    nonce: bytes
    utc_ms: int


class SetPoint(Frozen, namedtuple("SetPoint", names(SET_POINT))):  # type: ignore[misc]
    """What a customer's point shall do in [not_before_ms, not_after_ms), signed by its issuer.

    value: W (or var) as POD power, withdrawal positive; MAX_INJECTION is a magnitude. ramp_w_per_s: 0 is a step.
    resource: POD_NET or the number of a named resource. fallback: what holds after expiry. nonce: the device's, or zero.
    """

    KIND = SET_POINT
    id: bytes
    device: bytes
    issuer: bytes
    role: int
    command: int
    not_before_ms: int
    not_after_ms: int
    resource: int
    control: int
    value: int
    ramp_w_per_s: int
    fallback: int
    fallback_value: int
    reason: int
    order: bytes
    nonce: bytes
    salt: bytes


class Decision(Frozen, namedtuple("Decision", names(DECISION))):  # type: ignore[misc]
    """The light node's answer to one set-point: accepted, or refused and why. digest: of the set-point's payload."""

    KIND = DECISION
    device: bytes
    generation: int
    boot: int
    seq: int
    setpoint: bytes
    digest: bytes
    command: int
    outcome: int
    reason: int
    time_ms: int


class Execution(Frozen, namedtuple("Execution", names(EXECUTION))):  # type: ignore[misc]
    """The edge agent's answer: applied with what the EMS read back, superseded, expired or failed."""

    KIND = EXECUTION
    agent: bytes
    generation: int
    boot: int
    seq: int
    device: bytes
    setpoint: bytes
    digest: bytes
    state: int
    reason: int
    time_ms: int
    commanded_w: int
    readback_w: int


class Delivery(Frozen, namedtuple("Delivery", names(DELIVERY))):  # type: ignore[misc]
    """Everything of the device up to (boot, seq) is committed; digest: of that record's payload. Log key."""

    KIND = DELIVERY
    operator: bytes
    incarnation: bytes
    device: bytes
    boot: int
    seq: int
    digest: bytes
    time_ms: int


class Checkpoint(Frozen, namedtuple("Checkpoint", names(CHECKPOINT))):  # type: ignore[misc]
    """Size and root of one evidence tree at the end of an epoch; its payload is a leaf of the epoch's commitment."""

    KIND = CHECKPOINT
    operator: bytes
    tree: int
    epoch: int
    size: int
    root: bytes


class Enrolment(Frozen, namedtuple("Enrolment", names(ENROLMENT))):  # type: ignore[misc]
    """A key introduces itself, signed by itself (first key) or by the key before it (rotation)."""

    KIND = ENROLMENT
    device: bytes
    generation: int
    algorithm: int
    public_key: bytes
    tls_fingerprint: bytes
    nonce: bytes
    time_ms: int
    level: int


class RegistryEntry(Frozen, namedtuple("RegistryEntry", names(REGISTRY_ENTRY))):  # type: ignore[misc]
    """The operator's approval, rotation or revocation of a key, signed with the log key."""

    KIND = REGISTRY_ENTRY
    operator: bytes
    salt: bytes
    action: int
    device: bytes
    generation: int
    algorithm: int
    public_key: bytes
    tls_fingerprint: bytes
    valid_from_ms: int
    valid_to_ms: int
    enrolment: bytes
    time_ms: int


class Evidence(Frozen, namedtuple("Evidence", names(EVIDENCE))):  # type: ignore[misc]
    """A market document (offer book, outcome, order, statement) by the SHA-256 of its canonical JSON, salted."""

    KIND = EVIDENCE
    operator: bytes
    salt: bytes
    tree: int
    subject: bytes
    version: int
    digest: bytes
    time_ms: int


class Tombstone(Frozen, namedtuple("Tombstone", names(TOMBSTONE))):  # type: ignore[misc]
    """What stands in place of an erased leaf."""

    KIND = TOMBSTONE
    operator: bytes
    salt: bytes
    tree: int
    index: int  # type: ignore[assignment]
    leaf: bytes
    time_ms: int


_CLASSES = {
    c.KIND: c
    for c in (
        Reading,
        BatchStatement,
        Gap,
        ClockLink,
        TimeAnswer,
        SetPoint,
        Decision,
        Execution,
        Delivery,
        Checkpoint,
        Enrolment,
        RegistryEntry,
        Evidence,
        Tombstone,
        Diagnostics,
        UpdateReport,
        Manifest,
        EmsReport,
    )
}


def record_of(kind: int, values: list[object]) -> Frozen:
    """The record of a kind from the values of its fields, in order; OutOfRange if one does not fit."""
    return _CLASSES[kind](*values)


def encode(record: Frozen) -> bytes:
    """The payload bytes of a record: one length per kind."""
    return written(record.KIND, record)


def decode(payload: bytes) -> Frozen:
    """The record in a payload. Raises Truncated, TrailingBytes, UnknownVersion or OutOfRange; never anything else."""
    kind = kind_of(payload)
    at = len(start(kind))
    if payload[:at] != start(kind):
        raise UnknownVersion(f"kind {kind} starts with {payload[:at]!r}")
    values = read(kind, payload)
    if values:
        return _CLASSES[kind](*values)
    for name, form in fields(kind):
        value, at = read_field(payload, at, name, form)
        values.append(value)
    if at > len(payload):
        raise Truncated(f"{len(payload)} of {at} bytes")
    if at != len(payload):
        raise TrailingBytes(f"{len(payload) - at} bytes after the record")
    return record_of(kind, values)
