"""The state file is the old or the new one, and a damaged one stops the agent."""

from pathlib import Path

import pytest

from edge_agent.acceptance import Accepted, authentic
from edge_agent.errors import AgentError
from edge_agent.state import Held, State, open_state
from tests.edge_agent.parts import STRANGER, accepted, sealed, set_point, trust


def filled(folder: Path) -> State:
    found = authentic(accepted(set_point(3)), trust())
    assert isinstance(found, Accepted)
    state = open_state(folder / "new", trust())
    state.boot, state.seq, state.last_command = 2, 9, 3
    state.held.append(Held(found, {1}))
    state.outbox[9] = b"sealed"
    state.save()
    return state


def test_what_was_saved_is_opened(tmp_path: Path) -> None:
    state = filled(tmp_path)
    assert open_state(tmp_path / "new", trust()) == state


def test_rule_3_every_damage_stops_the_agent(tmp_path: Path) -> None:
    path = filled(tmp_path).path
    whole = path.read_text()
    for damaged in (
        whole[:-1],
        "",
        "[]",
        whole.replace('"boot": 2', '"boot": "x"'),
        whole.replace("d284", "d285", 1),
        "[" * 100_000,
        whole.replace('"boot": 2', '"boot": Infinity'),
    ):
        path.write_text(damaged)
        with pytest.raises(AgentError, match="is damaged"):
            open_state(tmp_path / "new", trust())


def test_a_held_set_point_that_nobody_signed_is_damage(tmp_path: Path) -> None:
    state = filled(tmp_path)
    forged = sealed(set_point(4), STRANGER)
    state.path.write_text(state.path.read_text().replace(state.held[0].accepted.sealed.hex(), forged.hex()))
    with pytest.raises(AgentError, match="bad signature"):
        open_state(tmp_path / "new", trust())


def test_a_folder_that_takes_nothing_is_named(tmp_path: Path) -> None:
    state = filled(tmp_path)
    (tmp_path / "new" / "agent-state.new").mkdir()
    with pytest.raises(AgentError, match="agent-state.new: Is a directory: the agent needs room"):
        state.save()
    with pytest.raises(AgentError, match="agent-state.json: Not a directory"):
        open_state(state.path / "below", trust())
