"""Documents between the actors: read as they were written, and refused in one line where they do not hold together."""

import json

import pytest

from backend.domain.trade import Award, Fate, Outcome, Reason, Result
from backend.errors import Rejected
from backend.market.canonical import text
from backend.market.exchange import nodes_of, outcome_of

F = 1_993_108
OUTCOME = Outcome(
    "s",
    (Award("o", "r", F, 4_000, {"a": 3_000, "b": 1_000}), Award("p", "r", F, 10, {"c": 10}, 1, True, 70)),
    (Result("o", Fate.ACCEPTED, Reason.TAKEN, 4_000, 4_000), Result("p", Fate.REJECTED, Reason.GUARD, 10, 0, "line:1")),
    {("r/1", F): 20},
)


def test_an_outcome_is_read_as_it_was_written() -> None:
    assert outcome_of(text(OUTCOME)) == OUTCOME


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"volume_w": 3_999}, "award 1 of o: parts_w do not add up to volume_w = 3999"),
        ({"parts_w": {"a": 3_000}}, "award 1 of o: parts_w do not add up to volume_w = 4000"),
        ({"parts_w": {"a": 4_000.0}}, "award 1 parts_w of a = 4000.0, expected a whole number"),
        ({"frame": True}, "award 1 frame = True, expected int"),
    ],
)
def test_an_award_that_does_not_hold_together_is_named(change: dict[str, object], said: str) -> None:
    document = json.loads(text(OUTCOME))
    document["awards"][0] |= change
    with pytest.raises(Rejected, match=f"^{said}$"):
        outcome_of(json.dumps(document))


@pytest.mark.parametrize("nodes", ["[]", "5", '{"a": 18}', '{"a": null}', '{"a": "1", "a": "2"}'])
def test_nodes_of_the_limits_are_words_by_pod_or_refused(nodes: str) -> None:
    def text(said: str) -> str:
        return f'{{"format": "lightnode-constraints/1", "constraints": [], "nodes": {said}}}'

    assert nodes_of(text('{"a": "18"}')) == {"a": "18"}
    assert nodes_of('{"format": "lightnode-constraints/1", "constraints": []}') == {}
    with pytest.raises(Rejected):
        nodes_of(text(nodes))
