"""A set-point that no agent answers but an energy manager that is the client: its word, signed by the light node, fills the
execution, and an operator can neither exchange it nor leave it out.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from lightwire import decision, envelope, records

from backend.evidence.verifier import setpoint
from backend.evidence.verifier.bundle import verify
from backend.evidence.verifier.finding import NotValid
from tests.backend.evidence.made import DEPLOYMENT, FRAME, FRAME_MS, POD, Made

UNREACHABLE = (records.FAILED, decision.EMS_UNREACHABLE)
APPLIED = (records.APPLIED, 0)


class Client(Made):
    """At POD an energy manager is the client. It is silent first, then says applied; of the third set-point nothing."""

    def _carry_out(self, pod: str, frame: int, point: records.SetPoint, digest: bytes) -> None:
        if pod != POD:
            super()._carry_out(pod, frame, point, digest)
            return
        time_ms, put = frame * FRAME_MS, self.devices[pod].put
        put(records.EmsReport, time_ms, 0, point.id, *UNREACHABLE, *(records.POWER_UNKNOWN,) * 3, 0xFFFF)
        if frame != FRAME + 2:
            put(records.EmsReport, time_ms + 1000, 0, point.id, *APPLIED, point.value, point.value + 10, 5, 500)
            put(records.EmsReport, time_ms + 61_000, 0, point.id, *APPLIED, point.value, point.value + 20, 5, 490)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(tmp_path_factory.mktemp("client"), every=75)


def said(document: dict[str, Any]) -> list[Any]:
    """What stands in the execution of each set-point, in order of their windows."""
    rows = sorted(document["setpoints"], key=lambda row: envelope.peek(bytes.fromhex(row["setpoint"])).not_before_ms)
    return [envelope.peek(bytes.fromhex(row["execution"])) if row["execution"] else None for row in rows]


def test_its_first_word_is_the_execution_and_silence_is_no_word(made: Client) -> None:
    document = made.bundle()
    first, second, third = said(document)
    assert (first.KIND, first.state, first.measured_w) == (records.EMS_REPORT, records.APPLIED, first.commanded_w + 10)
    assert second.KIND == records.EMS_REPORT and third is None
    report = verify(made.sealed(document), made.anchors())
    assert report.anchored and report.setpoints == 3


def test_the_statement_names_it_and_it_is_a_leaf_beside_the_set_points(made: Client) -> None:
    document = made.bundle()
    body = json.loads(document["documents"][1]["body"])
    assert [bool(row["execution"]) for row in body["setpoints"]].count(True) == 2
    leaves = made.store.leaves(records.TREE_SETPOINTS)
    assert all(envelope.split(leaf) for leaf in leaves)
    assert sum(envelope.peek(leaf).KIND == records.EMS_REPORT for leaf in leaves) == 2


def index_of(document: dict[str, Any], frame: int) -> int:
    windows = [envelope.peek(bytes.fromhex(row["setpoint"])).not_before_ms for row in document["setpoints"]]
    return windows.index(frame * FRAME_MS)


def left_out(_made: Made, document: dict[str, Any]) -> None:
    document["setpoints"][index_of(document, FRAME)]["execution"] = ""


def swapped(_made: Made, document: dict[str, Any]) -> None:
    first, second = index_of(document, FRAME), index_of(document, FRAME + 1)
    rows = document["setpoints"]
    rows[first]["execution"], rows[second]["execution"] = rows[second]["execution"], rows[first]["execution"]


def put(made: Made, document: dict[str, Any], frame: int, **changed: object) -> None:
    old = said(document)[0]
    point = envelope.peek(bytes.fromhex(document["setpoints"][index_of(document, frame)]["setpoint"]))
    again = old._replace(setpoint=point.id, **changed)
    sealed = envelope.seal(again, DEPLOYMENT, made.devices[POD].key.sign)
    document["setpoints"][index_of(document, frame)]["execution"] = sealed.hex()


def signed_again(made: Made, document: dict[str, Any]) -> None:
    put(made, document, FRAME, measured_w=1)


def of_no_batch(made: Made, document: dict[str, Any]) -> None:
    """Under the seq of a statement."""
    statement = envelope.peek(bytes.fromhex(document["batches"][1]["statement"]))
    put(made, document, FRAME + 2, boot=statement.boot, seq=statement.seq)


def silence_for_a_word(made: Made, document: dict[str, Any]) -> None:
    held = [envelope.peek(bytes.fromhex(text)) for batch in document["batches"] for text in batch["records"]]
    third = next(r for r in held if r.KIND == records.EMS_REPORT and r.time_ms == (FRAME + 2) * FRAME_MS)
    sealed = envelope.seal(third, DEPLOYMENT, made.devices[POD].key.sign)
    document["setpoints"][index_of(document, FRAME + 2)]["execution"] = sealed.hex()


def signed_by_the_agent(made: Made, document: dict[str, Any]) -> None:
    sealed = envelope.seal(said(document)[0], DEPLOYMENT, made.agents[POD].sign)
    document["setpoints"][index_of(document, FRAME)]["execution"] = sealed.hex()


def a_reading(_made: Made, document: dict[str, Any]) -> None:
    document["setpoints"][index_of(document, FRAME)]["execution"] = document["batches"][0]["records"][0]


def no_message(_made: Made, document: dict[str, Any]) -> None:
    document["setpoints"][index_of(document, FRAME)]["execution"] = "00"


TABLE: list[tuple[Callable[[Made, dict[str, Any]], None], str]] = [
    (left_out, "is missing: the batches hold the energy manager's word"),
    (swapped, "is about another set-point"),
    (signed_again, "is in none of the batches"),
    (of_no_batch, "is in none of the batches"),
    (silence_for_a_word, "is no word of the energy manager: it was not reached"),
    (signed_by_the_agent, "signature does not hold"),
    (a_reading, "is of kind 1"),
    (no_message, "is not a COSE_Sign1 message"),
]


@pytest.mark.parametrize(("change", "rule"), TABLE, ids=[row[0].__name__ for row in TABLE])
def test_a_changed_word_under_a_seal_that_holds_is_refused(
    made: Client, change: Callable[[Made, dict[str, Any]], None], rule: str
) -> None:
    document = made.bundle()
    change(made, document)
    with pytest.raises(NotValid) as refused:
        verify(made.sealed(document), made.anchors())
    assert refused.value.where.startswith("setpoints[") and "execution" in refused.value.where
    assert refused.value.rule.startswith(rule), str(refused.value)


def test_a_word_that_came_after_the_batches_is_taken(made: Client) -> None:
    document = made.bundle()
    put(made, document, FRAME + 2, seq=9_000)
    assert verify(made.sealed(document), made.anchors()).anchored


def test_no_check_of_it_can_be_left_out(made: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setpoint, "_check_told", lambda *_: None)
    document = made.bundle()
    left_out(made, document)
    with pytest.raises(NotValid) as refused:
        verify(made.sealed(document), made.anchors())
    assert refused.value.where.startswith("documents[1]"), "only the statement, that the operator makes, would say so"
