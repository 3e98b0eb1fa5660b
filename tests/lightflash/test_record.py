"""The commissioning record: what passes, what is signed, and every way to change it afterwards."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from lightflash.errors import FlashError
from lightflash.key import Key, is_signed
from lightflash.record import YES_NO, Check, console_digest, parse, record

from tests.lightflash.commissioned import CHECKS, DEVICE_KEY, KIT, facts

MADE = record(facts(), KIT)


def test_a_record_is_read_back_from_its_file() -> None:
    assert parse(MADE.encode(), KIT.public) == MADE
    assert MADE.facts.is_commissioned


def test_what_is_signed_can_be_checked_by_hand() -> None:
    """Rule 2, with nothing but JSON and SHA-256."""
    document = json.loads(MADE.encode())
    text = json.dumps(document["facts"], sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(b"lightnode-commissioning/1\n" + text).digest()
    assert is_signed(bytes.fromhex(document["kit_key"]), digest, bytes.fromhex(document["signature"]))


@pytest.mark.parametrize(
    ("value", "low", "high", "passed"),
    [(0, 0, 0, True), (10, 0, 10, True), (11, 0, 10, False), (-1, 0, 10, False), (5, None, 5, True), (6, None, 5, False),
     (5, 5, None, True), (4, 5, None, False), (None, 0, 10, False), (None, None, 10, False)],
)  # fmt: skip
def test_limits_are_included_and_what_was_not_done_has_failed(
    value: int | None, low: int | None, high: int | None, passed: bool
) -> None:
    assert Check("name", value, "W", low, high).passed is passed


def test_one_failed_check_or_none_at_all_is_not_commissioned() -> None:
    """Rule 1."""
    assert not facts(checks=()).is_commissioned
    for k in range(len(CHECKS)):
        checks = (*CHECKS[:k], replace(CHECKS[k], value=None), *CHECKS[k + 1 :])
        made = facts(checks=checks)
        assert not made.is_commissioned
        assert parse(record(made, KIT).encode(), KIT.public).facts == made


def changes(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value, None, 1]
    if isinstance(value, int):
        return [value + 1, str(value), float(value), None]
    return [changed for changed in (value + "0", value[1:], "", None, 1, [value]) if changed != value]


@pytest.mark.parametrize("name", sorted(json.loads(MADE.encode())["facts"].keys() - {"checks"}))
def test_no_fact_can_be_changed(name: str) -> None:
    document = json.loads(MADE.encode())
    for changed in changes(document["facts"][name]):
        facts_ = {**document["facts"], name: changed}
        with pytest.raises(FlashError) as refused:
            parse(json.dumps({**document, "facts": facts_}).encode(), KIT.public)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["name", "value", "unit", "low", "high", "detail", "cure", "result"])
def test_no_check_can_be_changed(name: str) -> None:
    document = json.loads(MADE.encode())
    for changed in changes(document["facts"]["checks"][2][name]):
        broken = json.loads(MADE.encode())
        broken["facts"]["checks"][2][name] = changed
        with pytest.raises(FlashError):
            parse(json.dumps(broken).encode(), KIT.public)
    for change in (lambda c: c.pop(), lambda c: c.reverse(), lambda c: c.append(c[0])):
        broken = json.loads(MADE.encode())
        change(broken["facts"]["checks"])
        with pytest.raises(FlashError):
            parse(json.dumps(broken).encode(), KIT.public)


def test_a_failed_record_cannot_be_called_passed() -> None:
    failed = record(facts(checks=(replace(CHECKS[2], value=99_999),)), KIT)
    document = json.loads(failed.encode())
    document["facts"]["commissioned"] = document["facts"]["checks"][0]["result"] = "passed"
    with pytest.raises(FlashError, match="as the limits give them"):
        parse(json.dumps(document).encode(), KIT.public)


def test_another_kit_is_named() -> None:
    other = Key(hashlib.sha256(b"another kit").digest())
    with pytest.raises(FlashError, match=f"it is of the kit {KIT.public.hex()}"):
        parse(MADE.encode(), other.public)
    document = json.loads(record(facts(), other).encode())
    document["kit_key"] = KIT.public.hex()
    with pytest.raises(FlashError, match="its signature does not hold"):
        parse(json.dumps(document).encode(), KIT.public)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("device", bytes(7), "device is '00000000000000', 8 bytes"),
        ("signing_key", bytes(33), "a public key belongs here"),
        ("pod", "", "pod is '', 1 to 80 printable characters"),
        ("pod", "x" * 81, "1 to 80 printable"),
        ("technician", "two\nlines", "technician is 'two\\nlines'"),
        ("ct_ratio", 0, "ct_ratio is 0, a whole number from 1 to 10000"),
        ("ct_ratio", True, "ct_ratio is True"),
        ("vt_ratio", 1.0, "vt_ratio is 1.0"),
        ("time_ms", -1, "time_ms is -1"),
        ("checks", (Check("x", 1, "W", None, None),), "at least one limit"),
        ("checks", (Check("x", 1 << 60, "W", 0, None),), "checks.value is"),
        ("checks", CHECKS * 8, "checks is 72, at most 64"),
    ],
)
def test_a_wrong_fact_is_named_and_never_signed(field: str, value: Any, said: str) -> None:
    with pytest.raises(FlashError) as refused:
        facts(**{field: value})
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@given(some.binary(max_size=300))
def test_any_bytes_give_one_line(data: bytes) -> None:
    """Rule 3."""
    with pytest.raises(FlashError) as refused:
        parse(data, KIT.public)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "data",
    [b"[" * 60_000, b"{" * 60_000, b" " * 70_000, b"null", b"1e999", b'{"facts": {}}', MADE.encode()[:-3],
     MADE.encode().replace(b'"pod"', b'"pod": "another", "pod"'), b"\xef\xbb\xbf{}",
     b'{"facts": 1, "kit_key": 2, "signature": 3}', b"1" * 50_000],
)  # fmt: skip
def test_hostile_files_give_one_line(data: bytes) -> None:
    with pytest.raises(FlashError) as refused:
        parse(data, KIT.public)
    assert "\n" not in str(refused.value)


def test_names_in_every_script_are_signed_as_they_are() -> None:
    made = record(facts(technician="Łukasz Ζωή 李", place="naïve ✓"), KIT)
    assert parse(made.encode(), KIT.public).facts.technician == "Łukasz Ζωή 李"
    assert YES_NO in made.encode().decode("ascii")


def signed_by_device(nonce: bytes) -> bytes:
    return DEVICE_KEY.sign(console_digest(nonce))


def test_rule_5_the_device_signs_the_digest_as_it_signs_a_nonce() -> None:
    made = record(facts(), KIT, signed_by_device)
    assert parse(made.encode(), KIT.public) == made
    digest = hashlib.sha256(b"lightnode-console/1\n" + made.digest).digest()
    assert is_signed(DEVICE_KEY.public, digest, made.device_signature)


def test_rule_5_another_device_or_a_bare_signature_makes_no_record() -> None:
    for answer in (lambda n: KIT.sign(console_digest(n)), DEVICE_KEY.sign, lambda _n: b"", lambda _n: bytes(64)):
        with pytest.raises(FlashError, match="does not sign with the record's key"):
            record(facts(), KIT, answer)


def test_the_devices_signature_of_another_record_does_not_hold() -> None:
    other = record(facts(pod="IT001E99999999"), KIT, signed_by_device)
    document = json.loads(record(facts(), KIT, signed_by_device).encode())
    document["device_signature"] = other.device_signature.hex()
    with pytest.raises(FlashError, match="the device's signature does not hold"):
        parse(json.dumps(document).encode(), KIT.public)


def test_without_a_kit_to_check_against_the_record_names_its_own() -> None:
    assert parse(MADE.encode()) == MADE
    document = json.loads(MADE.encode())
    document["kit_key"] = Key(hashlib.sha256(b"another kit").digest()).public.hex()
    with pytest.raises(FlashError, match="signature does not hold"):
        parse(json.dumps(document).encode())
    document["kit_key"] = "02" + "ff" * 32
    with pytest.raises(FlashError, match="signature does not hold"):
        parse(json.dumps(document).encode())


def test_a_check_that_was_not_done_keeps_its_reason_and_needs_no_limit() -> None:
    open_ = Check("active power", None, "W", None, None, "nothing was said", "say it")
    made = record(facts(checks=(open_,)), KIT)
    assert parse(made.encode()).facts.checks == (open_,)
    assert not made.facts.is_commissioned
    with pytest.raises(FlashError, match="at least one limit"):
        facts(checks=(replace(open_, value=3),))
