"""The records that keep a device in service: how it is, what its energy manager says, and its updates."""

from collections import namedtuple

from .choice import DIAGNOSTICS, EMS_REPORT, MANIFEST, UPDATE_REPORT
from .frozen import Frozen
from .layout import names


class Diagnostics(Frozen, namedtuple("Diagnostics", names(DIAGNOSTICS))):  # type: ignore[misc]
    """How the device itself is, each quarter-hour.

    time_ms: UTC; with UNTRUSTED_CLOCK in flags this boot's monotonic time. version: major << 16 | minor << 8 | patch.
    reset_cause: why it started; fault: the task that ended the start before or was last started again, 0 for none;
    restarts: tasks started again since the start. heap_free_bytes: lowest free heap of the quarter-hour;
    heap_block_bytes: largest free block seen last. meter_errors, sessions, alarms: since the start, they stop at 65535.
    pending: records not yet acknowledged; fill_permille: of the journal; clock_error_ms: bound of the clock's error.
    """

    KIND = DIAGNOSTICS
    device: bytes
    generation: int
    boot: int
    seq: int
    time_ms: int
    flags: int
    version: int
    uptime_s: int
    reset_cause: int
    fault: int
    restarts: int
    heap_free_bytes: int
    heap_block_bytes: int
    meter_errors: int
    sessions: int
    pending: int
    fill_permille: int
    clock_error_ms: int
    alarms: int


class UpdateReport(Frozen, namedtuple("UpdateReport", names(UPDATE_REPORT))):  # type: ignore[misc]
    """What became of an update: committed, rolled back, or refused and why. digest: of the manifest's payload."""

    KIND = UPDATE_REPORT
    device: bytes
    generation: int
    boot: int
    seq: int
    time_ms: int
    flags: int
    sequence: int
    version: int
    outcome: int
    reason: int
    digest: bytes


class Manifest(Frozen, namedtuple("Manifest", names(MANIFEST))):  # type: ignore[misc]
    """An update of the application, signed with the update key.

    hardware: class of the devices it is for, ASCII padded with zeros. sequence rises with each release; floor: no release
    below it is ever taken again. listing: SHA-256 of the list of files. key_generation: which update key signs;
    next_key: the key of the next generation (33 bytes), or zero.
    """

    KIND = MANIFEST
    hardware: bytes
    sequence: int
    floor: int
    version: int
    created_ms: int
    expires_ms: int
    files: int
    total_bytes: int
    listing: bytes
    key_generation: int
    next_key: bytes


class EmsReport(Frozen, namedtuple("EmsReport", names(EMS_REPORT))):  # type: ignore[misc]
    """I-13, I-15. What the energy manager on the node's register map or local topic says of the set-point it was given.

    state, reason: as in Execution. commanded_w: at the POD, as the EMS understood it; measured_w, measured_var: what the EMS
    measures, positive for withdrawal; POWER_UNKNOWN for what it does not say. charge_permille: of its store,
    CHARGE_UNKNOWN if it has none. An EMS that is silent has said nothing: all are unknown.
    """

    KIND = EMS_REPORT
    device: bytes
    generation: int
    boot: int
    seq: int
    time_ms: int
    flags: int
    setpoint: bytes
    state: int
    reason: int
    commanded_w: int
    measured_w: int
    measured_var: int
    charge_permille: int
