"""A device and a back end in memory: what a console answers, with a real key, and a back end that hears the device."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightflash.back_end import Answers, Registered
from lightflash.key import Key
from lightflash.record import console_digest
from lightwire import decision, envelope, records

DEPLOYMENT = bytes(range(16))
AGENT = Key(hashlib.sha256(b"an agent of the tests").digest())
CERTIFICATE = hashlib.sha256(b"certificate").digest()
NOW_MS = 1_796_040_000_000


class Clock:
    """Time that passes when somebody pauses."""

    def __init__(self) -> None:
        self.s = 0.0

    def pause(self, seconds: float) -> None:
        self.s += seconds


class Device:
    """A console's answers; `said` holds those that a test has changed, by command; `reads`: of the meter, in order."""

    def __init__(self, key: Key, clock: Clock) -> None:
        self.key = key
        self.clock = clock
        self.said: dict[str, Mapping[str, Any]] = {}
        self.reads: list[Mapping[str, Any]] = []
        self.asked: list[str] = []
        self.seq = 7
        self.acks_after_s: float | None = 3.0
        self.now_ms: Callable[[], int] = lambda: NOW_MS

    def ask(self, command: str, *words: str, timeout_s: float = 10.0) -> Mapping[str, Any]:
        self.asked.append(" ".join((command, *words)))
        made: Callable[..., Mapping[str, Any]] = getattr(self, "_" + command)
        return {**made(*words), **self.said.get(command, {})}

    def _key(self) -> Mapping[str, Any]:
        return {
            "device": self.key.id.hex(), "generation": 1, "public_key": self.key.public.hex(),
            "certificate_sha256": CERTIFICATE.hex(),
        }  # fmt: skip

    def _meter(self) -> Mapping[str, Any]:
        self.seq += 1
        if self.reads:
            return {"map": "sdm630", "unit": 1, **self.reads.pop(0)}
        return {
            "map": "sdm630", "unit": 1, "power_w": 6_000, "reactive_var": 60, "frequency_mhz": 50_000, "import_wh": 0,
            "export_wh": 0, "voltage_l1_mv": 230_000, "voltage_l2_mv": 230_000, "voltage_l3_mv": 230_000, "current_ma": 26_100,
        }  # fmt: skip

    def _network(self) -> Mapping[str, Any]:
        return {
            "link": "up", "broker": "127.0.0.1:1", "connected": True, "clock_trusted": True, "clock_error_ms": 12,
            "utc_ms": self.now_ms(),
        }  # fmt: skip

    def _status(self) -> Mapping[str, Any]:
        is_acked = self.acks_after_s is not None and self.clock.s >= self.acks_after_s
        return {"seq": self.seq, "pending": 0 if is_acked else 3, "refused": 0}

    def _setpoint(self) -> Mapping[str, Any]:
        return {"setpoint": "", "command": 4, "max_withdrawal_w": 50_000, "max_injection_w": 50_000}

    def _version(self) -> Mapping[str, Any]:
        return {"firmware": "0.1.0", "platform": "esp32", "python": "1.26.1"}

    def _sign(self, word: str) -> Mapping[str, Any]:
        return {"generation": 1, "signature": self.key.sign(console_digest(base64.b64decode(word))).hex()}


class Memory:
    """A back end. signer: who signs what comes from the device; state: of the energy manager's action, None while silent."""

    deployment = DEPLOYMENT

    def __init__(self, device: Device) -> None:
        self.device = device
        self.signer = device.key
        self.entry: Registered | None = Registered(device.key.public, 1, CERTIFICATE, (AGENT.public,))
        self.readings_there: Sequence[bytes] | None = None
        self.outcome, self.reason = records.ACCEPTED, decision.NONE
        self.is_decided = True
        self.state: int | None = records.APPLIED
        self.sent: list[int] = []

    def registered(self, device: bytes) -> Registered | None:
        return self.entry

    def readings(self, device: bytes, after_seq: int) -> Sequence[bytes] | None:
        return [self.reading(after_seq + 1)] if self.readings_there is None else self.readings_there

    def reading(self, seq: int) -> bytes:
        made = records.Reading(self.device.key.id, 1, 1, seq, NOW_MS, 0, 6_000, 60, 0, 0, (230_000,) * 3, 50_000)
        return bytes(envelope.seal(made, DEPLOYMENT, self.signer.sign))

    def send_test(self, device: bytes, command: int) -> bytes | None:
        self.sent.append(command)
        return bytes(range(16))

    def answers(self, device: bytes, setpoint: bytes) -> Answers:
        decided = records.Decision(
            device, 1, 1, 9, setpoint, bytes(32), 5, self.outcome, self.reason, NOW_MS
        )  # fmt: skip
        sealed = envelope.seal(decided, DEPLOYMENT, self.signer.sign) if self.is_decided else b""
        if self.state is None:
            return Answers(sealed, b"")
        reason = decision.EMS_REFUSED if self.state == records.FAILED else decision.NONE
        done = records.Execution(AGENT.id, 1, 1, 1, device, setpoint, bytes(32), self.state, reason, NOW_MS, 0, 0)
        return Answers(sealed, envelope.seal(done, DEPLOYMENT, AGENT.sign))
