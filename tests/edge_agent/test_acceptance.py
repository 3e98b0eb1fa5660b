"""Only Decision || SetPoint of the own light node, signed, about each other; everything else says why not."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import decision, envelope, records

from edge_agent.acceptance import Accepted, Refusal, allowed, authentic
from tests.edge_agent.parts import (
    DEVICE,
    ISSUER_KEY,
    NODE_KEY,
    STRANGER,
    T0,
    accepted,
    decided,
    sealed,
    set_point,
    trust,
)

POINT = set_point()
TRUST = trust()


def test_what_the_node_accepted_is_authentic() -> None:
    found = authentic(accepted(POINT), TRUST)
    assert isinstance(found, Accepted)
    assert found.point == POINT and found.sealed == sealed(POINT, ISSUER_KEY)
    assert found.digest == envelope.payload_digest(records.encode(POINT))


OTHER = set_point(2)
FORGERIES = {
    "a decision by a stranger": (sealed(decided(POINT), STRANGER) + sealed(POINT, ISSUER_KEY), decision.BAD_SIGNATURE),
    "a set-point by a stranger": (sealed(decided(POINT), NODE_KEY) + sealed(POINT, STRANGER), decision.BAD_SIGNATURE),
    "signed by the node itself": (sealed(decided(POINT), NODE_KEY) + sealed(POINT, NODE_KEY), decision.BAD_SIGNATURE),
    "a decision about another": (sealed(decided(OTHER), NODE_KEY) + sealed(POINT, ISSUER_KEY), decision.MALFORMED),
    "the same id, another content": (
        sealed(decided(POINT), NODE_KEY) + sealed(set_point(value=-40_000), ISSUER_KEY),
        decision.MALFORMED,
    ),
    "a refusal": (accepted(POINT, outcome=records.REFUSED, reason=7), decision.NOT_ACCEPTED),
    "a refusal with a reason of the future": (
        accepted(POINT, outcome=records.REFUSED, reason=200),
        decision.NOT_ACCEPTED,
    ),
    "another device's decision": (accepted(POINT, device=b"x" * 8), decision.WRONG_DEVICE),
    "an unknown issuer": (accepted(set_point(issuer=b"nobody!!")), decision.UNKNOWN_ISSUER),
    "another deployment": (
        sealed(decided(POINT), NODE_KEY) + sealed(POINT, ISSUER_KEY, b"d" * 16),
        decision.BAD_SIGNATURE,
    ),
    "only a set-point": (sealed(POINT, ISSUER_KEY), decision.MALFORMED),
    "only a decision": (sealed(decided(POINT), NODE_KEY), decision.MALFORMED),
    "the other order": (sealed(POINT, ISSUER_KEY) + sealed(decided(POINT), NODE_KEY), decision.MALFORMED),
    "a byte too many": (accepted(POINT) + b"\0", decision.MALFORMED),
    "two decisions": (sealed(decided(POINT), NODE_KEY) * 2, decision.MALFORMED),
    "nothing": (b"", decision.MALFORMED),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_with_its_reason(name: str) -> None:
    message, reason = FORGERIES[name]
    found = authentic(message, TRUST)
    assert isinstance(found, Refusal) and found.reason == reason, found


@given(st.integers(0, len(accepted(POINT)) - 1), st.integers(1, 255))
def test_no_changed_byte_is_believed(at: int, flip: int) -> None:
    message = bytearray(accepted(POINT))
    message[at] ^= flip
    assert isinstance(authentic(bytes(message), TRUST), Refusal)


@given(st.binary(max_size=600))
def test_any_bytes_are_refused(message: bytes) -> None:
    assert isinstance(authentic(message, TRUST), Refusal)


def test_rule_3_the_agent_runs_the_rules_again() -> None:
    found = authentic(accepted(POINT), TRUST)
    assert isinstance(found, Accepted)
    state = decision.State(DEVICE, 0, 50_000, 50_000)
    assert allowed(found, TRUST, state, T0) is None
    cases = [
        (decision.State(DEVICE, 1, 50_000, 50_000), T0, decision.NUMBER_NOT_ABOVE_LAST),
        (decision.State(DEVICE, 0, 9_999, 50_000), T0, decision.BEYOND_LIMITS),
        (decision.State(b"x" * 8, 0, 50_000, 50_000), T0, decision.WRONG_DEVICE),
        (state, POINT.not_after_ms, decision.ALREADY_EXPIRED),
    ]
    for other, now_ms, reason in cases:
        assert allowed(found, TRUST, other, now_ms) == Refusal(reason, "")
    tso = dataclasses.replace(TRUST, issuers={POINT.issuer: (records.ROLE_TSO, TRUST.issuers[POINT.issuer][1])})
    assert allowed(found, tso, state, T0) == Refusal(decision.ROLE_NOT_ALLOWED, "")
