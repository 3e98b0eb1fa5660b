"""The checks of a commissioning: a device on its console, its back end if there is one, and what the installer says.

    checks(Site(link, back_end, expected("1800..2200")), GROUPS)

1. Every check of limits.toml comes back once, in that order: passed, failed, or not done with the reason. What cannot be
   reached, was not asked for, or depends on something that failed is not done, never passed.
2. The device is asked at its console only; nothing on it changes but what the test set-point does: it has the command number
   behind the last one, and asks for no more than the limit that holds anyway.
3. Every signature is verified here, with libsecp256k1 and the registered key: of a nonce that was just drawn, of readings, of
   the Decision and of who acted.
4. No set-point is sent while another one is in force: an order is not disturbed by a test.
5. Every wait ends with its limit.
"""

import base64
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lightnode import meters
from lightnode.errors import MeterError
from lightwire import decision, envelope, records
from lightwire.errors import WireError

from lightflash import broker_door, metering
from lightflash.back_end import BackEnd, Registered
from lightflash.errors import FlashError
from lightflash.key import is_signed
from lightflash.limits import GROUPS, Limit, limits
from lightflash.link import line_of
from lightflash.record import Check, console_digest

METER_S = 20.0
_LOOK_S = 0.5
_CLOCK_TRIES = 3
_OFFLINE = "no back end was given", "give --operator with the broker's credential, or --database"


class Console(Protocol):
    """A device's console, as lightflash.link.Link."""

    def ask(self, command: str, *words: str, timeout_s: float = 10.0) -> Mapping[str, Any]:
        """The answer's names and values."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """What is verified. registered: if the register was asked already, or the enrolment that was just made offline."""

    device: Console
    back_end: BackEnd | None = None
    expected: metering.Expected | None = None
    registered: Registered | None = None
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    clock_s: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = field(default=lambda _name: None)


def checks(site: Site, wanted: Sequence[str] = GROUPS) -> list[Check]:
    """Rule 1. FlashError if the device does not answer at its console."""
    who = whom(site.device)
    makers: Mapping[str, Callable[[Site, Mapping[str, Any]], list[Check]]] = {
        "meter": _meter, "clock": _clock, "broker": _broker, "signature": _signature, "acknowledgement": _acknowledged,
        "set-point": _setpoint,
    }  # fmt: skip
    made: list[Check] = []
    for group in GROUPS:
        site.tell(group)
        if group in wanted:
            made += makers[group](site, who)
        else:
            made += _all_not_done(group, "it was not asked for", "run verify without --only")
    return made


def _all_not_done(group: str, reason: str, cure: str = "") -> list[Check]:
    return [limit.not_done(reason, cure) for limit in limits().values() if limit.group == group]


def _meter(site: Site, _who: Mapping[str, Any]) -> list[Check]:
    answers = [site.device.ask("meter", timeout_s=METER_S) for _ in range(metering.READS)]
    try:
        phases = int(meters.layout(text(answers[0], "map")).PHASES)
    except MeterError as error:
        raise FlashError("meter", str(error), "its firmware is newer than this tool: update the tool") from error
    return metering.checks(answers, phases, site.expected)


def _clock(site: Site, _who: Mapping[str, Any]) -> list[Check]:
    trusted, bound, offset = (limits()[name] for name in _names("clock"))
    tries = []
    for _ in range(_CLOCK_TRIES):
        asked_ms = site.now_ms()
        said = site.device.ask("network")
        tries.append((asked_ms, site.now_ms(), said))
    said = tries[-1][2]
    cure = "is the session with the broker there, does the back end run? its time answer needs both"
    if said.get("clock_trusted") is not True:
        reason = "the clock is not trusted"
        return [trusted.measured(0, "", cure), bound.not_done(reason, cure), offset.not_done(reason, cure)]
    found = [
        _outside_ms(number(said, "utc_ms"), asked, heard)
        for asked, heard, said in tries
        if said.get("clock_trusted") is True
    ]
    least = min(found, key=abs)
    ahead = "the device is ahead" if least > 0 else "the device is behind"
    return [
        trusted.measured(1),
        bound.measured(
            number(said, "clock_error_ms"),
            "as the device knows it",
            "the way to the back end is slow: look at the network",
        ),
        offset.measured(least, ahead if least else "", "set this computer's clock by NTP; then the back end's"),
    ]


def _outside_ms(told_ms: int, asked_ms: int, heard_ms: int) -> int:
    """How far an instant lies outside of the time between question and answer."""
    return max(0, told_ms - heard_ms) + min(0, told_ms - asked_ms)


def _broker(site: Site, _who: Mapping[str, Any]) -> list[Check]:
    session, door = (limits()[name] for name in _names("broker"))
    said = site.device.ask("network")
    cure = (
        "does the broker run at that address, is the device's certificate of the broker's authority, is its time right?"
    )
    made = [
        session.measured(int(said.get("connected") is True), f"{text(said, 'broker')}, link {text(said, 'link')}", cure)
    ]
    try:
        answer = broker_door.knock(text(said, "broker"))
    except OSError as error:
        reason = f"the broker cannot be reached from this computer ({str(error)[:60]})"
        return [*made, door.not_done(reason, "run verify in the broker's network")]
    return [
        *made,
        door.measured(
            int(answer.is_closed), answer.words, "the broker must ask for a certificate: require_certificate true"
        ),
    ]


def _signature(site: Site, who: Mapping[str, Any]) -> list[Check]:
    key, certificate, nonce, stored = (limits()[name] for name in _names("signature"))
    known = site.registered or (site.back_end.registered(_id(who)) if site.back_end else None)
    if known is None:
        reason, cure = ("the register does not have this device", "enrol it") if site.back_end else _OFFLINE
        if site.back_end:
            return [
                key.measured(0, reason, cure),
                *(one.not_done(reason, cure) for one in (certificate, nonce, stored)),
            ]
        return _all_not_done("signature", reason, cure)
    asked = secrets.token_bytes(32)
    is_same = text(who, "public_key") == known.key.hex()
    other = f"generation {number(who, 'generation')} on the device, {known.generation} in the register"
    return [
        key.measured(
            int(is_same), f"by {known.by}" if is_same else other, "enrol the device again, or approve its rotation"
        ),
        certificate.measured(
            int(known.certificate.hex() in (who.get("certificate_sha256"), who.get("tls_key_sha256"))),
            "",
            "put the certificate that was registered on the device",
        ),
        nonce.measured(
            int(is_signed(known.key, console_digest(asked), signature_of(site.device, asked))),
            "",
            "another key signs than the registered one: enrol the device again",
        ),
        _stored(site, _id(who), known, stored),
    ]


def signature_of(device: Console, nonce: bytes) -> bytes:
    """What the device answers when it is asked to sign a nonce (32 bytes): r || s, or bytes that are no signature."""
    said = device.ask("sign", _word(nonce))
    try:
        return bytes.fromhex(str(said.get("signature", "")))
    except ValueError:
        return b""


def _word(nonce: bytes) -> str:
    return base64.b64encode(nonce).decode()


def _stored(site: Site, device: bytes, known: Registered, limit: Limit) -> Check:
    """Readings of this commissioning at the back end (rule 3)."""
    if site.back_end is None:
        return limit.not_done(*_OFFLINE)
    after = number(site.device.ask("status"), "seq") - 1
    end = site.clock_s() + (limits()["reading acknowledged"].high or 0) / 1000
    while True:
        found = site.back_end.readings(device, after)
        if found is None:
            return limit.not_done("the readings cannot be seen from here", "give --database, or --operator")
        if found or site.clock_s() > end:
            break
        site.pause(_LOOK_S)
    wrong = [sealed for sealed in found if opened(sealed, site.back_end.deployment, known.key) is None]
    said = f"{len(found) - len(wrong)} of {len(found)} readings verify"
    return limit.measured(int(bool(found) and not wrong), said, "is the session there, is the key the registered one?")


def opened(sealed: bytes, deployment: bytes, public: bytes) -> Any:
    """The record in a sealed message that this key signed; None for any other bytes."""
    try:
        return envelope.open_sealed(sealed, deployment, lambda digest, signature: is_signed(public, digest, signature))
    except WireError:
        return None


def _acknowledged(site: Site, _who: Mapping[str, Any]) -> list[Check]:
    """From a reading in the journal to the acknowledgement, which the device believes only if the log key has signed it."""
    (limit,) = (limits()[name] for name in _names("acknowledgement"))
    wanted = number(site.device.ask("status"), "seq")
    took = _until(site, limit, lambda: _acked(site.device.ask("status")) >= wanted)
    if took is None:
        said = site.device.ask("status")
        reason = f"no acknowledgement of reading {wanted}, {number(said, 'pending')} records wait"
        cure = "is the device registered, does the back end run, is log_key in the settings its key?"
        return [limit.measured((limit.high or 0) + 1, reason, cure)]
    return [
        limit.measured(took, "signed by the log key, verified by the device", "the back end is slow: look at its load")
    ]


def _acked(said: Mapping[str, Any]) -> int:
    return number(said, "seq") - number(said, "pending")


def _setpoint(site: Site, who: Mapping[str, Any]) -> list[Check]:
    accepted, taken = (limits()[name] for name in _names("set-point"))
    before = site.device.ask("setpoint")
    reason, cure = _no_test(site, before, site.device.ask("network"))
    known = site.registered or (site.back_end.registered(_id(who)) if site.back_end else None)
    if reason or site.back_end is None or known is None:
        missing = (reason, cure) if reason else ("the register does not have this device", "enrol it")
        return [accepted.not_done(*missing), taken.not_done(*missing)]
    sent = site.back_end.send_test(_id(who), number(before, "command"))
    if sent is None:
        missing = "no set-point can be sent from here", "give --operator with an issuer that the device knows"
        return [accepted.not_done(*missing), taken.not_done(*missing)]
    return _followed(site, site.back_end, known, _id(who), sent)


def _no_test(site: Site, before: Mapping[str, Any], network: Mapping[str, Any]) -> tuple[str, str]:
    """Why no set-point may be sent, and the cure; empty if one may."""
    if site.back_end is None:
        return _OFFLINE
    if in_force := text(before, "setpoint"):
        return f"set-point {in_force[:16]} is in force", "run verify again when its window has ended"
    if network.get("clock_trusted") is not True:
        return (
            "the clock is not trusted",
            "run verify again when the back end has answered the device's question for the time",
        )
    return "", ""


def _followed(site: Site, back_end: BackEnd, known: Registered, device: bytes, sent: bytes) -> list[Check]:
    accepted, taken = (limits()[name] for name in _names("set-point"))
    began = site.clock_s()
    took = _until(site, accepted, lambda: bool(back_end.answers(device, sent).decision))
    if took is None:
        cure = "is the session there? then the broker's rights to `setpoint` and `decision`"
        missed = accepted.measured((accepted.high or 0) + 1, "no decision came back", cure)
        return [missed, taken.not_done("the device has not decided", cure)]
    said = opened(back_end.answers(device, sent).decision, back_end.deployment, known.key)
    refused = _why_refused(said, sent)
    if refused:
        cure = "are issuer, role and limits in the settings those of the back end?"
        missed = accepted.measured((accepted.high or 0) + 1, refused, cure)
        return [missed, taken.not_done(refused, cure)]
    first = accepted.measured(took, "decision signed by the registered key")
    took = _until(site, taken, lambda: _action(back_end, known, device, sent) is not None, began)
    action = _action(back_end, known, device, sent)
    cure = "does the energy manager or the edge agent run, does it hold the device's key, is it on remote?"
    if took is None or action is None:
        return [first, taken.measured((taken.high or 0) + 1, "the energy manager is silent", cure)]
    if action.state != records.APPLIED:
        return [first, taken.measured((taken.high or 0) + 1, f"failed: {_reason(action.reason)}", cure)]
    return [first, taken.measured(took, "applied")]


def _why_refused(said: Any, sent: bytes) -> str:
    if not isinstance(said, records.Decision) or said.setpoint != sent:
        return "the decision is not signed by the registered key"
    return "" if said.outcome == records.ACCEPTED else f"refused: {_reason(said.reason)}"


def _action(back_end: BackEnd, known: Registered, device: bytes, sent: bytes) -> Any:
    """The Execution or EmsReport about the set-point, signed by a registered key; None while there is none."""
    sealed = back_end.answers(device, sent).action
    for key in (*known.agents, known.key):
        found = opened(sealed, back_end.deployment, key) if sealed else None
        if isinstance(found, records.Execution | records.EmsReport) and (found.setpoint, found.device) == (
            sent,
            device,
        ):
            return found
    return None


def _reason(number: int) -> str:
    return str(decision.REASONS[number]) if number < len(decision.REASONS) else f"reason {number}"


def _until(site: Site, limit: Limit, is_so: Callable[[], bool], began_s: float | None = None) -> int | None:
    """ms until it is so; None if it is not within the limit (rule 5)."""
    began = site.clock_s() if began_s is None else began_s
    while True:
        is_there = is_so()
        took_ms = round((site.clock_s() - began) * 1000)
        if is_there:
            return took_ms
        if took_ms > (limit.high or 0):
            return None
        site.pause(_LOOK_S)


def _names(group: str) -> list[str]:
    return [limit.name for limit in limits().values() if limit.group == group]


def _id(who: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(text(who, "device"))


def whom(device: Console) -> Mapping[str, Any]:
    """What it says to `key`. FlashError if it does not say who it is."""
    who = device.ask("key")
    for name, digits in (("device", 16), ("public_key", 66), ("certificate_sha256", 64)):
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", text(who, name)):
            raise _not_understood(name)
    return who


def number(said: Mapping[str, Any], name: str) -> int:
    """A whole number of an answer; FlashError if it is none."""
    found = said.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or abs(found) >= 1 << 53:
        raise _not_understood(name)
    return found


def text(said: Mapping[str, Any], name: str) -> str:
    """A text of an answer, printable and of 80 characters at most; FlashError if it is none."""
    found = said.get(name)
    if not isinstance(found, str):
        raise _not_understood(name)
    return line_of(found)[:80]


def _not_understood(name: str) -> FlashError:
    return FlashError(
        "verify", f"the device does not say its {name}", "its firmware is older than this tool: update it"
    )
