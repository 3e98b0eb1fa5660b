"""The faults of real meters as pure decisions: an honest answer in, what is sent and when out; seeded.

A fault is written NAME[:ARGUMENT][~PERCENT]; PERCENT of the answers are struck, 100 if left out.

1. silent: no answer. slow[:ms]: the answer takes longer, 150 ms. late[:ms]: it comes into the master's next request,
   600 ms.
2. noise[:before|after|inside|broken]: random bytes before or after the frame, a byte changed in it, a broken check.
3. other_unit[:unit]: the answer carries another unit's number, the next one's if left out.
4. word_order: the registers of each value the other way round. sign_swap: powers with the other sign, counters as before.
5. phantom[:zero|ffff|absent|spike]: a sound frame with a wrong value: 0, all ones, not available, one value far off.
6. reboot[:requests]: more requests than that within a second, 5, and the meter is silent for 4 s; then its registers read
   0 until it measures again, counters as before.
7. register_reset: when it begins, the counters go to 0 and count on from there.

Delays are real time; seconds of rule 6 and the spans of a fault are the meter's time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Protocol

from hil.meters.catalogue import MeterMap, Quantity
from hil.meters.registers import Form, decode, encode, span, turned

REBOOT_WINDOW_MS = 1_000
REBOOT_SILENT_MS = 4_000
_SPIKE = 1e6


class FaultError(ValueError):
    """A fault that does not exist, in one line."""


class Kind(StrEnum):
    """See the module's rules."""

    SILENT = "silent"
    SLOW = "slow"
    LATE = "late"
    NOISE = "noise"
    OTHER_UNIT = "other_unit"
    WORD_ORDER = "word_order"
    SIGN_SWAP = "sign_swap"
    PHANTOM = "phantom"
    REBOOT = "reboot"
    REGISTER_RESET = "register_reset"


_NOISES = ("before", "after", "inside", "broken")
_PHANTOMS = ("zero", "ffff", "absent", "spike")
_WORDS = {Kind.NOISE: _NOISES, Kind.PHANTOM: _PHANTOMS}
# Lowest, highest and usual argument; other_unit without one takes the unit's own number plus one.
_NUMBERS = {
    Kind.SLOW: (1, 60_000, 150), Kind.LATE: (1, 60_000, 600), Kind.OTHER_UNIT: (1, 247, 0), Kind.REBOOT: (1, 1_000, 5),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. number: of its kind's argument; word: "" for any. [from_ms, to_ms) of the meter's time; None: no end."""

    kind: Kind
    number: int = 0
    word: str = ""
    percent: int = 100
    from_ms: int = 0
    to_ms: int | None = None

    def holds(self, now_ms: int) -> bool:
        """Whether the fault is on at the instant."""
        return self.from_ms <= now_ms and (self.to_ms is None or now_ms < self.to_ms)

    @property
    def text(self) -> str:
        """As it is written, without its span."""
        argument = self.word or str(self.number or "")
        return self.kind + (f":{argument}" if argument else "") + (f"~{self.percent}" if self.percent != 100 else "")


def fault(text: str, from_ms: int = 0, to_ms: int | None = None) -> Fault:
    """The fault of NAME[:ARGUMENT][~PERCENT]; FaultError otherwise."""
    named, tilde, share = text.partition("~")
    name, colon, argument = named.partition(":")
    if name not in list(Kind):
        raise FaultError(f"{name!r} is not a fault; these are: {', '.join(Kind)}")
    kind = Kind(name)
    percent = _number(share, 1, 100, f"{text}: the share after ~") if tilde else 100
    if kind in _NUMBERS:
        low, high, usual = _NUMBERS[kind]
        number = _number(argument, low, high, f"{text}: the argument of {name}") if colon else usual
        return Fault(kind, number, "", percent, from_ms, to_ms)
    if colon and argument not in _WORDS.get(kind, ()):
        words = ", ".join(_WORDS.get(kind, ())) or "no argument"
        raise FaultError(f"{text}: {argument!r} is no argument of {name}; it takes {words}")
    return Fault(kind, 0, argument, percent, from_ms, to_ms)


def _number(text: str, low: int, high: int, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
        raise FaultError(f"{what} is {text!r}, a whole number from {low} to {high} belongs here")
    return int(text)


class Framing(Protocol):
    """How a line wraps a response; frames whose check fails, by the check itself or by a byte that it covers."""

    def wrap(self, unit: int, response: bytes) -> bytes: ...
    def spoil(self, frame: bytes, random: Random) -> bytes: ...
    def hurt(self, frame: bytes, random: Random) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Sending:
    """Bytes for the line, so many ms after the request."""

    delay_ms: int
    data: bytes


def falsified(content: bytes, model: MeterMap, request: bytes, active: Sequence[Fault], random: Random) -> bytes:
    """The registers as the active faults of rules 4 and 5 let them be read; `request` is a sound read request PDU."""
    false = bytearray(content)
    start, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
    asked = [q for q in model.quantities if q.address < start + count and start < q.end]
    kinds = {f.kind for f in active}
    for quantity in asked if kinds & {Kind.SIGN_SWAP} else ():
        if quantity.kind in ("power", "reactive"):
            _change(false, model, quantity, -_value(false, model, quantity))
    for phantom in (f for f in active if f.kind is Kind.PHANTOM):
        _haunt(false, model, asked, (start, count), phantom.word or random.choice(_PHANTOMS), random)
    for quantity in asked if kinds & {Kind.WORD_ORDER} else ():
        place = _place(model, quantity)
        false[place] = turned(bytes(false[place]))
    return bytes(false)


def _place(model: MeterMap, quantity: Quantity) -> slice:
    return slice(2 * (quantity.address - model.first), 2 * (quantity.end - model.first))


def _value(content: bytearray, model: MeterMap, quantity: Quantity) -> float:
    return decode(quantity.form, bytes(content[_place(model, quantity)]), model.low_first)


def _change(content: bytearray, model: MeterMap, quantity: Quantity, value: float) -> None:
    low, high = span(quantity.form)
    content[_place(model, quantity)] = encode(quantity.form, min(max(value, low), high), model.low_first)


def _haunt(
    content: bytearray, model: MeterMap, asked: Sequence[Quantity], area: tuple[int, int], word: str, random: Random
) -> None:
    start, count = area
    if word in ("zero", "ffff"):
        at = 2 * (start - model.first)
        content[at : at + 2 * count] = (b"\0" if word == "zero" else b"\xff") * 2 * count
    elif word == "absent":
        for quantity in asked:
            data = model.not_available[quantity.form]
            content[_place(model, quantity)] = turned(data) if model.low_first else data
    elif asked:
        quantity = random.choice([q for q in asked if q.kind == "power"] or asked)
        value = _value(content, model, quantity)
        high = span(quantity.form)[1]
        _change(content, model, quantity, value + _SPIKE if quantity.form is Form.FLOAT32 else int(high * 0.9))


def sendings(
    unit: int, response: bytes, framing: Framing, active: Sequence[Fault], random: Random
) -> tuple[Sending, ...]:
    """What the active faults of rules 1 to 3 make of a response."""
    delay_ms, speaker, noises = 0, unit, []
    for found in active:
        if found.kind is Kind.SILENT:
            return ()
        if found.kind in (Kind.SLOW, Kind.LATE):
            delay_ms += found.number
        elif found.kind is Kind.OTHER_UNIT:
            speaker = found.number or unit % 247 + 1
        elif found.kind is Kind.NOISE:
            noises.append(found.word or random.choice(_NOISES))
    frame = framing.wrap(speaker, response)
    for word in noises:
        frame = _noisy(frame, word, framing, random)
    return (Sending(delay_ms, frame),)


def _noisy(frame: bytes, word: str, framing: Framing, random: Random) -> bytes:
    if word in ("before", "after"):
        dirt = random.randbytes(random.randint(1, 6))
        return dirt + frame if word == "before" else frame + dirt
    if word == "broken":
        return framing.spoil(frame, random)
    return framing.hurt(frame, random)
