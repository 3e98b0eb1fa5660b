"""The checks of a commissioning, each passing, failing and not done, with a device and a back end in memory."""

import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from lightflash import broker_door
from lightflash.errors import FlashError
from lightflash.key import Key
from lightflash.limits import GROUPS, limits
from lightflash.metering import expected
from lightflash.record import FAILED, NOT_DONE, PASSED, Check
from lightflash.verify import Site, checks, signature_of
from lightwire import decision, records

from hil.pki import Pki
from tests.lightflash.commissioned import DEVICE_KEY
from tests.lightflash.verifying import AGENT, NOW_MS, Clock, Device, Memory

OTHER = Key(hashlib.sha256(b"another device").digest())


class Stand:
    """A device, its back end and the site that is verified."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.device = Device(DEVICE_KEY, self.clock)
        self.back_end = Memory(self.device)

    def made(self, *groups: str, **changes: Any) -> dict[str, Check]:
        site = Site(
            self.device, self.back_end, expected("5400..6600"), now_ms=lambda: NOW_MS, clock_s=lambda: self.clock.s,
            pause=self.clock.pause,
        )  # fmt: skip
        return {check.name: check for check in checks(replace(site, **changes), groups or GROUPS)}


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_rule_1_every_check_comes_back_once_in_the_order_of_the_limits(stand: Stand) -> None:
    assert list(stand.made()) == list(limits())
    assert list(stand.made("clock")) == list(limits())
    assert list(stand.made(back_end=None)) == list(limits())


def test_a_device_in_order_passes_all_but_the_broker_that_is_not_there(stand: Stand) -> None:
    made = stand.made()
    left = made.pop("broker refuses who has no certificate")
    assert (left.result, {check.result for check in made.values()}) == (NOT_DONE, {PASSED})
    assert "cannot be reached" in left.detail
    assert made["reading acknowledged"].value == 3_000


def test_rule_1_offline_nothing_that_needs_the_back_end_passes(stand: Stand) -> None:
    made = stand.made(back_end=None)
    for name, limit in limits().items():
        if limit.group in ("signature", "set-point"):
            assert made[name].result == NOT_DONE and "back end" in made[name].detail and made[name].cure


def test_an_enrolment_made_offline_is_enough_for_key_and_nonce(stand: Stand) -> None:
    made = stand.made("signature", back_end=None, registered=stand.back_end.entry)
    results = [made[name].result for name, limit in limits().items() if limit.group == "signature"]
    assert results == [PASSED, PASSED, PASSED, NOT_DONE]


def test_rule_1_what_was_not_asked_for_is_not_done(stand: Stand) -> None:
    made = stand.made("clock")
    assert {made[n].result for n, limit in limits().items() if limit.group != "clock"} == {NOT_DONE}
    assert all(word.split()[0] in ("key", "network") for word in stand.device.asked)


def test_a_silent_meter_fails(stand: Stand) -> None:
    stand.device.reads = [{"error": "no answer"}] * 5
    assert stand.made("meter")["meter answers"].result == FAILED


@pytest.mark.parametrize(
    ("said", "name", "result"),
    [
        ({"clock_trusted": False, "utc_ms": None}, "clock is trusted", FAILED),
        ({"clock_trusted": False, "utc_ms": None}, "bound of the clock's error", NOT_DONE),
        ({"clock_error_ms": 1_000}, "bound of the clock's error", PASSED),
        ({"clock_error_ms": 1_001}, "bound of the clock's error", FAILED),
        ({"utc_ms": NOW_MS + 2_000}, "clock against this computer's", PASSED),
        ({"utc_ms": NOW_MS + 2_001}, "clock against this computer's", FAILED),
        ({"utc_ms": NOW_MS - 2_001}, "clock against this computer's", FAILED),
        ({"connected": False}, "session with the broker", FAILED),
    ],
)
def test_clock_and_session(stand: Stand, said: dict[str, Any], name: str, result: str) -> None:
    stand.device.said["network"] = said
    made = stand.made("clock", "broker")[name]
    assert made.result == result
    assert made.passed or (made.detail + made.cure)


def test_the_clock_is_measured_from_outside_of_question_and_answer(stand: Stand) -> None:
    """A slow console is no error of the clock."""
    times = iter(range(NOW_MS - 900, NOW_MS + 90_000, 900))
    assert stand.made("clock", now_ms=lambda: next(times))["clock against this computer's"].value == 0


def test_another_key_than_the_registered_one_fails_with_both_generations(stand: Stand) -> None:
    stand.back_end.entry = replace(stand.back_end.entry, key=OTHER.public, generation=2)  # type: ignore[type-var]
    made = stand.made("signature")
    assert made["key is the registered one"].result == made["signature of a new nonce"].result == FAILED
    assert "generation 1 on the device, 2 in the register" in made["key is the registered one"].detail
    assert made["readings at the back end verify"].result == FAILED


def test_a_device_that_only_says_that_it_has_the_key_does_not_pass(stand: Stand) -> None:
    """Rule 3: the public key is known to everybody."""
    honest, stand.device.key = stand.device.key, OTHER
    stand.device.said["key"] = {"device": honest.id.hex(), "public_key": honest.public.hex()}
    made = stand.made("signature")
    assert (made["key is the registered one"].result, made["signature of a new nonce"].result) == (PASSED, FAILED)


def test_the_nonce_is_new_each_time(stand: Stand) -> None:
    stand.made("signature")
    stand.made("signature")
    asked = [word for word in stand.device.asked if word.startswith("sign ")]
    assert len(set(asked)) == len(asked) == 2


def test_a_recorded_signature_does_not_pass(stand: Stand) -> None:
    stand.device.said["sign"] = stand.device.ask("sign", "A" * 43 + "=")
    assert stand.made("signature")["signature of a new nonce"].result == FAILED


@pytest.mark.parametrize("said", ["", "00", "zz", None, 7, "ff" * 64, "00" * 64, "ab" * 65])
def test_what_is_no_signature_fails(stand: Stand, said: object) -> None:
    stand.device.said["sign"] = {"signature": said}
    assert stand.made("signature")["signature of a new nonce"].result == FAILED


def test_another_certificate_fails_and_the_tls_key_may_stand_for_it(stand: Stand) -> None:
    stand.device.said["key"] = {"certificate_sha256": "ab" * 32}
    assert stand.made("signature")["TLS identity is the registered one"].result == FAILED
    stand.device.said["key"] |= {"tls_key_sha256": stand.back_end.entry.certificate.hex()}  # type: ignore[union-attr, operator]
    assert stand.made("signature")["TLS identity is the registered one"].passed


def test_a_device_that_is_not_registered_fails(stand: Stand) -> None:
    stand.back_end.entry = None
    made = stand.made("signature", "set-point")
    assert made["key is the registered one"].result == FAILED
    assert made["signature of a new nonce"].result == made["set-point accepted by the device"].result == NOT_DONE
    assert stand.back_end.sent == []


def test_one_reading_that_does_not_verify_fails_them_all(stand: Stand) -> None:
    good = stand.back_end.reading(9)
    stand.back_end.readings_there = [good, good[:-1] + bytes([good[-1] ^ 1])]
    made = stand.made("signature")["readings at the back end verify"]
    assert (made.result, made.detail) == (FAILED, "1 of 2 readings verify")


def test_no_reading_within_the_limit_fails_and_the_wait_ends(stand: Stand) -> None:
    stand.back_end.readings_there = []
    assert stand.made("signature")["readings at the back end verify"].result == FAILED
    assert 90 <= stand.clock.s < 95


def test_rule_5_no_acknowledgement_fails_after_its_limit(stand: Stand) -> None:
    stand.device.acks_after_s = None
    made = stand.made("acknowledgement")["reading acknowledged"]
    assert made.result == FAILED and "3 records wait" in made.detail and "log_key" in made.cure
    assert 90 <= stand.clock.s < 95


def test_the_set_point_is_numbered_behind_the_last_and_both_answers_are_needed(stand: Stand) -> None:
    made = stand.made("set-point")
    assert stand.back_end.sent == [4]
    assert all(made[n].passed for n, limit in limits().items() if limit.group == "set-point")


def test_an_energy_manager_that_is_silent_fails(stand: Stand) -> None:
    stand.back_end.state = None
    made = stand.made("set-point")
    assert made["set-point accepted by the device"].passed
    assert made["set-point taken by the energy manager"].result == FAILED
    assert "silent" in made["set-point taken by the energy manager"].detail


def test_an_energy_manager_that_refuses_fails_with_its_reason(stand: Stand) -> None:
    stand.back_end.state = records.FAILED
    made = stand.made("set-point")["set-point taken by the energy manager"]
    assert made.result == FAILED and "energy manager refused" in made.detail


def test_a_device_that_refuses_fails_with_its_reason(stand: Stand) -> None:
    stand.back_end.outcome, stand.back_end.reason = records.REFUSED, decision.UNKNOWN_ISSUER
    made = stand.made("set-point")
    assert "unknown issuer" in made["set-point accepted by the device"].detail
    assert made["set-point taken by the energy manager"].result == NOT_DONE


def test_no_decision_fails(stand: Stand) -> None:
    stand.back_end.is_decided = False
    assert stand.made("set-point")["set-point accepted by the device"].result == FAILED


def test_rule_3_a_decision_or_an_action_of_a_stranger_does_not_pass(stand: Stand) -> None:
    stand.back_end.signer = OTHER
    assert stand.made("set-point")["set-point accepted by the device"].result == FAILED
    stand.back_end.signer = DEVICE_KEY
    stand.back_end.entry = replace(stand.back_end.entry, agents=(OTHER.public,))  # type: ignore[type-var]
    assert stand.made("set-point")["set-point taken by the energy manager"].result == FAILED
    assert AGENT.public != OTHER.public


def test_rule_4_no_set_point_is_sent_while_one_is_in_force(stand: Stand) -> None:
    stand.device.said["setpoint"] = {"setpoint": "ab" * 16}
    made = stand.made("set-point")["set-point accepted by the device"]
    assert made.result == NOT_DONE and "in force" in made.detail
    assert stand.back_end.sent == []


def test_no_set_point_is_sent_before_the_clock_is_trusted(stand: Stand) -> None:
    stand.device.said["network"] = {"clock_trusted": False}
    made = stand.made("set-point")["set-point accepted by the device"]
    assert made.result == NOT_DONE and "not trusted" in made.detail
    assert stand.back_end.sent == []


def test_a_decision_is_no_action(stand: Stand) -> None:
    """The decision passes as a record, too, and names the set-point."""
    answers = stand.back_end.answers
    stand.back_end.answers = lambda d, s: replace(answers(d, s), action=answers(d, s).decision)  # type: ignore[method-assign]
    assert stand.made("set-point")["set-point taken by the energy manager"].result == FAILED


def test_rule_2_the_device_is_asked_for_nothing_that_changes_it(stand: Stand) -> None:
    stand.made()
    assert {word.split()[0] for word in stand.device.asked} <= {
        "key", "meter", "network", "sign", "status", "setpoint"
    }  # fmt: skip


JUNK: Any = (
    some.none() | some.booleans() | some.integers() | some.text(max_size=9) | some.lists(some.integers(), max_size=2)
)


@settings(max_examples=40)
@given(some.sampled_from(["key", "meter", "network", "sign", "status", "setpoint"]), some.data())
def test_any_answer_gives_checks_or_one_line(command: str, data: Any) -> None:
    """A device is whatever hangs on the cable."""
    stand = Stand()
    names = list(stand.device.ask(command, *(["A" * 43 + "="] if command == "sign" else [])))
    stand.device.said[command] = {name: data.draw(JUNK) for name in names if data.draw(some.booleans())}
    try:
        for check in stand.made().values():
            assert len(check.detail) <= 200 and "\n" not in check.detail
    except FlashError as error:
        assert "\n" not in str(error) and len(str(error)) < 400


def test_a_signature_over_the_console_can_be_no_record() -> None:
    """Its preimage begins with the domain, every record's with COSE's head."""
    from lightflash.record import CONSOLE_DOMAIN

    assert CONSOLE_DOMAIN[:1] != b"\x84"
    status = Path(broker_door.__file__).parents[1] / "lightnode/status.py"
    assert re.search(r'_DOMAIN = b"(.*)"', status.read_text())[1] == CONSOLE_DOMAIN.decode().replace("\n", "\\n")  # type: ignore[index]
    stand = Stand()
    assert len(signature_of(stand.device, bytes(32))) == 64


@contextmanager
def door(tmp_path: Path, wants_certificate: bool | None, says: bytes = b"\x20\x02\x00\x05") -> Iterator[str]:
    """A TLS server that answers once; None: one that speaks no TLS."""
    pki = Pki(tmp_path / "pki")
    server = pki.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.cert_pem, server.key_pem)
    context.load_verify_locations(pki.ca_pem)
    context.verify_mode = ssl.CERT_REQUIRED if wants_certificate else ssl.CERT_NONE

    def serve(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        with plain:
            try:
                talk = plain if wants_certificate is None else context.wrap_socket(plain, server_side=True)
                with talk:
                    talk.recv(4096)
                    talk.sendall(says)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener], daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize(("wants", "is_closed"), [(True, True), (False, False), (None, False)])
def test_a_broker_is_closed_only_if_tls_asks_for_a_certificate(
    tmp_path: Path, wants: bool | None, is_closed: bool
) -> None:
    with door(tmp_path, wants) as address:
        answer = broker_door.knock(address)
    assert answer.is_closed is is_closed
    assert answer.words


def test_who_is_not_there_is_no_closed_door() -> None:
    with pytest.raises(OSError):
        broker_door.knock("127.0.0.1:1")
