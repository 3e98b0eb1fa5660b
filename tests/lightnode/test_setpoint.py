"""Set-points at the node: authentic ones only, the number before the answer, each answered once and the same again."""

import asyncio
import hashlib
from typing import Any

import pytest
from lightnode.setpoint import SetPoints
from lightwire import decision, records

from tests.lightnode.parts import DEPLOYMENT, DEVICE, T0, Node, Settings, key_of, sealed

ISSUER, STRANGER = key_of(b"issuer"), key_of(b"stranger")
ISSUER_ID = b"issuer-1"


class Issuer:
    id, role, key = ISSUER_ID, records.ROLE_DSO, ISSUER.public


SETTINGS = Settings(
    deployment=DEPLOYMENT, issuers=[Issuer], limits__max_withdrawal_w=50_000, limits__max_injection_w=40_000
)


def point(command: int = 1, **changed: Any) -> records.SetPoint:
    values: dict[str, Any] = {
        "id": hashlib.sha256(b"%d" % command).digest()[:16], "device": DEVICE, "issuer": ISSUER_ID, "role": records.ROLE_DSO,
        "command": command, "not_before_ms": T0, "not_after_ms": T0 + 900_000, "resource": records.POD_NET,
        "control": records.TARGET, "value": 10_000, "ramp_w_per_s": 0, "fallback": records.FALLBACK_RELEASE,
        "fallback_value": 0, "reason": 0, "order": bytes(16), "nonce": bytes(16), "salt": bytes(16),
    }  # fmt: skip
    return records.SetPoint(**(values | changed))


def receiver(node: Node) -> SetPoints:
    made = SetPoints(node.recorder, node.journal, node.clock, SETTINGS, DEVICE)
    asyncio.run(made.ready())
    return made


def receive(made: SetPoints, message: bytes) -> None:
    asyncio.run(made.receive(message))


def trusted() -> Node:
    node = Node()
    node.trust(T0)
    return node


def test_an_authentic_set_point_is_accepted_and_answered_with_itself() -> None:
    node = trusted()
    made = receiver(node)
    message = sealed(point(), ISSUER)
    receive(made, message)
    (said,) = node.kept(records.DECISION)
    assert (said.outcome, said.reason, said.command, said.setpoint) == (records.ACCEPTED, decision.NONE, 1, point().id)
    assert made.answers == [(said.seq, message)] and node.journal.command == 1
    assert made.in_force == point().id


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (sealed(point(), STRANGER), decision.BAD_SIGNATURE),
        (sealed(point(), ISSUER, bytes(16)), decision.BAD_SIGNATURE),
        (sealed(point(issuer=b"nobody-1"), ISSUER), decision.UNKNOWN_ISSUER),
        (sealed(point(device=b"another1"), ISSUER), decision.WRONG_DEVICE),
        (sealed(point(role=records.ROLE_TSO), ISSUER), decision.ROLE_NOT_ALLOWED),
        (sealed(point(value=-40_001), ISSUER), decision.BEYOND_LIMITS),
        (sealed(point(not_before_ms=T0 - 900_000, not_after_ms=T0), ISSUER), decision.ALREADY_EXPIRED),
        (sealed(point(not_after_ms=T0 + 25 * 3_600_000 + 1), ISSUER), decision.WINDOW_TOO_LONG),
    ],
)
def test_what_may_not_be_done_is_refused_with_its_reason(message: bytes, reason: int) -> None:
    node = trusted()
    made = receiver(node)
    receive(made, message)
    (said,) = node.kept(records.DECISION)
    assert (said.outcome, said.reason) == (records.REFUSED, reason)
    assert made.alarms == (reason == decision.BAD_SIGNATURE) and made.refused[reason] == 1
    assert (node.journal.command, made.in_force) == (0, b"")


def test_bytes_that_are_no_set_point_are_counted_and_never_raise() -> None:
    made = receiver(trusted())
    for message in (b"", b"\xd2", bytes(300), sealed(point(), ISSUER)[:-1]):
        receive(made, message)
    assert made.refused[decision.MALFORMED] == made.alarms == 4 and made.answers == []


def test_a_number_that_was_accepted_is_never_accepted_again_over_a_restart_too() -> None:
    node = trusted()
    receive(receiver(node), sealed(point(7), ISSUER))
    node.restart()
    node.trust(T0)
    made = receiver(node)
    receive(made, sealed(point(7, value=20_000), ISSUER))
    assert node.kept(records.DECISION)[-1].reason == decision.NUMBER_NOT_ABOVE_LAST


def test_the_same_set_point_again_gets_the_same_decision_again() -> None:
    node = trusted()
    made = receiver(node)
    message = sealed(point(), ISSUER)
    for _ in range(3):
        receive(made, message)
    assert len(node.kept(records.DECISION)) == 1
    assert made.answers == [made.answers[0]] * 3


def test_after_a_restart_the_decisions_of_what_may_still_rule_are_sent_again() -> None:
    node = trusted()
    message = sealed(point(), ISSUER)
    first = receiver(node)
    receive(first, message)
    node.restart()
    assert receiver(node).answers == first.answers


def test_power_lost_between_the_number_and_the_decision_leaves_the_decision_to_the_next_start() -> None:
    node = trusted()
    message = sealed(point(), ISSUER)
    node.journal.accept(1, T0 + 900_000, message)
    node.restart()
    receiver(node)
    (said,) = node.kept(records.DECISION)
    assert (said.outcome, said.boot, said.setpoint) == (records.ACCEPTED, 2, point().id)


def test_without_trusted_time_only_a_fresh_nonce_is_obeyed() -> None:
    node = Node()
    made = receiver(node)
    receive(made, sealed(point(1, nonce=b"n" * 16), ISSUER))
    assert node.kept(records.DECISION)[-1].reason == decision.CLOCK_NOT_TRUSTED
    node.clock.ask()
    receive(made, sealed(point(2, nonce=b"n" * 16), ISSUER))
    assert node.kept(records.DECISION)[-1].outcome == records.ACCEPTED


def test_a_forger_cannot_fill_the_journal() -> None:
    node = trusted()
    made = receiver(node)
    for command in range(1, 60):
        receive(made, sealed(point(command), STRANGER)[:-64] + bytes(63) + bytes([command]))
    assert made.refused[decision.BAD_SIGNATURE] == 59
    assert len(node.kept(records.DECISION)) == 32
    node.source.now += 900_000
    receive(made, sealed(point(99), STRANGER))
    assert len(node.kept(records.DECISION)) == 33


def test_4_a_set_point_that_comes_twice_at_once_is_decided_once() -> None:
    node = trusted()
    made = receiver(node)
    message = sealed(point(), ISSUER)

    async def at_once() -> None:
        await asyncio.gather(made.receive(message), made.receive(message), node.slots(2))

    asyncio.run(at_once())
    (said,) = node.kept(records.DECISION)
    assert said.outcome == records.ACCEPTED and made.answers == [(said.seq, message)] * 2


def test_4_a_decision_that_was_cut_short_is_made_when_the_set_point_comes_again() -> None:
    message = sealed(point(), ISSUER)
    steps = 0
    while True:
        node = trusted()
        made = receiver(node)

        async def cut_short(made: SetPoints = made, steps: int = steps) -> bool:
            task = asyncio.create_task(made.receive(message))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            return (await asyncio.gather(task, return_exceptions=True))[0] is None

        whole = asyncio.run(cut_short())
        receive(made, message)
        (said,) = node.kept(records.DECISION)
        assert said.outcome == records.ACCEPTED and (said.seq, message) in made.answers and made.accepted == 1
        if whole:
            break
        steps += 1
    assert steps > 20
