"""The record of a commissioning: facts and checks, signed with the kit's key and, where it was on the cable, by the device.

1. A record is commissioned if every check that it has passed, and it has at least one; a check that was not done is no
   passed one.
2. What is signed is SHA-256 of `lightnode-commissioning/1`, a line feed and the facts as JSON with sorted keys and no spaces.
3. Any bytes give a record that this kit signed, or one error line; size and depth are bounded before anything is parsed.
4. No secret is in it: identifiers, fingerprints, limits and results only.
5. The device's signature is of SHA-256 of `lightnode-console/1`, a line feed and the digest: its key says with it that it was
   on the cable when the record was made, and nothing else. A record without it is one of the kit alone.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from lightflash.errors import FlashError
from lightflash.key import Key, is_public, is_signed
from lightflash.nesting import shallow

DOMAIN = b"lightnode-commissioning/1\n"
CONSOLE_DOMAIN = b"lightnode-console/1\n"  # as in lightnode/status.py
YES_NO = "yes/no"
PASSED, FAILED, NOT_DONE = "passed", "failed", "not done"
_MOST_BYTES = 65_536
_MOST_CHECKS = 64
_NUMBER_MOST = 1 << 53  # what every reader of JSON has exactly
_LATEST_MS = 253_402_300_799_999
_OCTETS = {"device": 8, "signing_key": 33, "tls_fingerprint": 32, "image_sha256": 32, "settings_sha256": 32}
_TEXTS = ("pod", "meter_model", "meter_serial", "board", "hardware", "firmware", "micropython", "technician", "place")
_NUMBERS = {"generation": (1, 65535), "meter_unit": (0, 247), "ct_ratio": (1, 10_000), "vt_ratio": (1, 10_000)}
_TEXT_MOST = 80
_SENTENCE_MOST = 200


@dataclass(frozen=True, slots=True)
class Check:
    """One check with its limits, both included. value: measured, in `unit`, None if it was not done.

    unit: "W", "ms" and the like, or YES_NO, where 1 is yes and the limits are 1 and 1. None as a limit: no limit there.
    detail: what was found, or why it failed or was not done; cure: what to do then.
    """

    name: str
    value: int | None
    unit: str
    low: int | None
    high: int | None
    detail: str = ""
    cure: str = ""

    @property
    def result(self) -> str:
        """PASSED, FAILED or NOT_DONE."""
        if self.value is None:
            return NOT_DONE
        is_within = (self.low is None or self.low <= self.value) and (self.high is None or self.value <= self.high)
        return PASSED if is_within else FAILED

    @property
    def passed(self) -> bool:
        """Whether it was done and lies within its limits."""
        return self.result == PASSED


@dataclass(frozen=True, slots=True)
class Facts:
    """What a technician has put into service. FlashError names the field that is wrong.

    device: id, 8 bytes; signing_key: public, 33 bytes; tls_fingerprint: of the certificate, 32 bytes; image_sha256,
    settings_sha256: of what was written, 32 bytes; time_ms: UTC.
    """

    device: bytes
    signing_key: bytes
    generation: int
    tls_fingerprint: bytes
    pod: str
    place: str
    meter_model: str
    meter_serial: str
    meter_unit: int
    ct_ratio: int
    vt_ratio: int
    board: str
    hardware: str
    support_end: date
    firmware: str
    micropython: str
    image_sha256: bytes
    settings_sha256: bytes
    technician: str
    time_ms: int
    checks: tuple[Check, ...]

    def __post_init__(self) -> None:
        for name, length in _OCTETS.items():
            if len(getattr(self, name)) != length:
                raise _wrong(name, getattr(self, name).hex(), f"{length} bytes")
        if not is_public(self.signing_key):
            raise _wrong("signing_key", self.signing_key.hex(), "a public key")
        for name in _TEXTS:
            _check_text(name, getattr(self, name))
        for name, (low, high) in _NUMBERS.items():
            _check_number(name, getattr(self, name), low, high)
        _check_number("time_ms", self.time_ms, 0, _LATEST_MS)
        if len(self.checks) > _MOST_CHECKS:
            raise _wrong("checks", len(self.checks), f"at most {_MOST_CHECKS}")
        for check in self.checks:
            _check_check(check)

    @property
    def is_commissioned(self) -> bool:
        """Rule 1."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def key_fingerprint(self) -> bytes:
        """SHA-256 of the key that signs (32 bytes)."""
        return hashlib.sha256(self.signing_key).digest()


@dataclass(frozen=True, slots=True)
class Record:
    """Facts that a kit has signed. kit_key: 33 bytes; signature: r || s, 64 bytes; device_signature: likewise, or b""."""

    facts: Facts
    kit_key: bytes
    signature: bytes
    device_signature: bytes = b""

    @property
    def digest(self) -> bytes:
        """What is signed, and what a printout is tied to its file by (32 bytes)."""
        return digest(self.facts)

    def encode(self) -> bytes:
        """The file."""
        document = {
            "facts": _document(self.facts),
            "kit_key": self.kit_key.hex(),
            "signature": self.signature.hex(),
            "device_signature": self.device_signature.hex(),
        }
        return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def digest(facts: Facts) -> bytes:
    """Rule 2."""
    return hashlib.sha256(DOMAIN + _canonical(_document(facts))).digest()


def console_digest(nonce: bytes) -> bytes:
    """What a device signs when it is asked on its console to sign a nonce (32 bytes)."""
    return hashlib.sha256(CONSOLE_DOMAIN + nonce).digest()


def record(facts: Facts, kit: Key, device_sign: Callable[[bytes], bytes] | None = None) -> Record:
    """The facts, signed. device_sign: the device's answer to a nonce; FlashError if its key did not make it (rule 5)."""
    found = digest(facts)
    answer = device_sign(found) if device_sign is not None else b""
    if device_sign is not None and not is_signed(facts.signing_key, console_digest(found), answer):
        cure = "is it the device that was verified? run verify again on this port"
        raise FlashError("record", "the device on the cable does not sign with the record's key", cure)
    return Record(facts, kit.public, kit.sign(found), answer)


def parse(data: bytes, kit_key: bytes | None = None) -> Record:
    """The record in a file, signed by this kit (33 bytes; None: by the one that it names, which proves that nothing was
    changed, not who signed). FlashError for any other bytes (rule 3)."""
    document = _loaded(data)
    if set(document) != {"facts", "kit_key", "signature", "device_signature"}:
        raise _wrong("record", sorted(document), "exactly facts, kit_key, signature and device_signature")
    by_device = document["device_signature"]
    made = Record(
        _facts(document["facts"]),
        _octets("kit_key", document["kit_key"]),
        _octets("signature", document["signature"]),
        b"" if by_device == "" else _octets("device_signature", by_device),
    )
    if kit_key is not None and made.kit_key != kit_key:
        raise FlashError("record", f"it is of the kit {made.kit_key.hex()}", "check it with that kit's public key")
    changed = "it was changed after it was signed: commission again"
    if not is_public(made.kit_key) or not is_signed(made.kit_key, made.digest, made.signature):
        raise FlashError("record", "its signature does not hold", changed)
    signed = console_digest(made.digest)
    if made.device_signature and not is_signed(made.facts.signing_key, signed, made.device_signature):
        raise FlashError("record", "the device's signature does not hold", changed)
    return made


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _document(facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(facts, name).hex() for name in _OCTETS}
    found.update({name: getattr(facts, name) for name in (*_TEXTS, *_NUMBERS, "time_ms")})
    found["support_end"] = facts.support_end.isoformat()
    found["commissioned"] = facts.is_commissioned
    found["checks"] = [check_document(check) for check in facts.checks]
    return found


def check_document(check: Check) -> dict[str, Any]:
    """A check as it stands in a record's file."""
    return {
        "name": check.name, "value": check.value, "unit": check.unit, "low": check.low, "high": check.high,
        "detail": check.detail, "cure": check.cure, "result": check.result,
    }  # fmt: skip


def _facts(document: Any) -> Facts:
    names = {*_OCTETS, *_TEXTS, *_NUMBERS, "time_ms", "support_end", "commissioned", "checks"}
    if not isinstance(document, dict) or set(document) != names:
        raise _wrong("facts", type(document).__name__, "every field of a record and no other")
    listed = document["checks"]
    if not isinstance(listed, list) or len(listed) > _MOST_CHECKS:
        raise _wrong("checks", type(listed).__name__, f"a list of at most {_MOST_CHECKS}")
    values: dict[str, Any] = {name: _octets(name, document[name]) for name in _OCTETS}
    plain = {name: document[name] for name in (*_TEXTS, *_NUMBERS, "time_ms")}
    end = _day(document["support_end"])
    found = Facts(**values, **plain, support_end=end, checks=tuple(check_of(entry) for entry in listed))
    if _canonical(_document(found)) != _canonical(document):  # as bytes: in Python 1, 1.0 and True are equal
        raise _wrong("facts", document["commissioned"], "results as the limits give them, in their canonical form")
    return found


def check_of(entry: Any) -> Check:
    """A check from its document; what it holds is checked with the facts. FlashError for another shape."""
    names = ("name", "value", "unit", "low", "high", "detail", "cure")
    if not isinstance(entry, dict) or set(entry) != {*names, "result"}:
        raise _wrong("checks", type(entry).__name__, f"{', '.join(names)} and result")
    return Check(*(entry[name] for name in names))


def _loaded(data: bytes) -> Mapping[str, Any]:
    if len(data) > _MOST_BYTES:
        raise _wrong("record", f"{len(data)} bytes", f"at most {_MOST_BYTES} bytes")
    try:
        document = json.loads(shallow(data).decode("ascii"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise FlashError("record", "it is not JSON in ASCII", "name the file that was written") from error
    if not isinstance(document, dict):
        raise _wrong("record", type(document).__name__, "an object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def _octets(name: str, value: object) -> bytes:
    if isinstance(value, str) and re.fullmatch(r"([0-9a-f]{2}){1,64}", value):
        return bytes.fromhex(value)
    raise _wrong(name, value, "hexadecimal digits")


def _day(value: object) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise _wrong("support_end", value, "a day") from None


def _check_text(name: str, value: object, least: int = 1, most: int = _TEXT_MOST) -> None:
    if not isinstance(value, str) or not least <= len(value) <= most or not value.isprintable():
        raise _wrong(name, value, f"{least} to {most} printable characters")


def _check_number(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(name, value, f"a whole number from {low} to {high}")


def _check_check(check: Check) -> None:
    _check_text("checks.name", check.name)
    _check_text("checks.unit", check.unit, 0)
    for name in ("detail", "cure"):
        _check_text(f"checks.{name}", getattr(check, name), 0, _SENTENCE_MOST)
    for name in ("value", "low", "high"):
        number = getattr(check, name)
        if number is not None:
            _check_number(f"checks.{name}", number, -_NUMBER_MOST, _NUMBER_MOST)
    if check.value is not None and check.low is None and check.high is None:
        raise _wrong(f"checks.{check.name}", None, "at least one limit")


def _wrong(name: str, value: object, wanted: str) -> FlashError:
    return FlashError("record", f"{name} is {repr(value)[:60]}, {wanted} belongs here", "correct it and sign again")
