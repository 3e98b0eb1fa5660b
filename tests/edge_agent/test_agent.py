"""The agent over an energy manager in memory: what it does and answers, tick by tick, over restarts too."""

import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from lightwire import decision, envelope, records

from edge_agent.agent import Agent
from edge_agent.keys import verifier
from edge_agent.log import Log
from edge_agent.settings import BrokerSettings, EmsSettings, Settings
from edge_agent.state import open_state
from tests.edge_agent.parts import (
    AGENT_KEY,
    DEPLOYMENT,
    DEVICE,
    FRAME_MS,
    NODE_KEY,
    SLOT_MS,
    STRANGER,
    T0,
    MemoryEms,
    accepted,
    decided,
    sealed,
    set_point,
    trust,
)

NONE, PATH = decision.NONE, Path("-")
SETTINGS = Settings(
    PATH, DEPLOYMENT, DEVICE, NODE_KEY.public, (), PATH, PATH, BrokerSettings("h", 1, PATH, PATH, PATH),
    EmsSettings("h", 1, 1, 40_000), 50_000, 50_000, None,
)  # fmt: skip


class Bench:
    """An agent whose executions are opened and kept; `restart` makes a new one over the same disk."""

    def __init__(self, folder: Path, ems: MemoryEms) -> None:
        self.folder = folder
        self.ems = ems
        self.log = io.StringIO()
        self.executions: list[records.Execution] = []
        self.restart()

    def restart(self) -> None:
        trusted = trust()
        self.agent = Agent(SETTINGS, AGENT_KEY, trusted, open_state(self.folder, trusted), self.ems, Log(self.log))
        self.agent.send = self._keep
        self.agent.tick(T0 - 10 * SLOT_MS)

    def _keep(self, seq: int, message: bytes) -> None:
        opened: Any = envelope.open_sealed(message, DEPLOYMENT, verifier(AGENT_KEY.public))
        assert opened.seq == seq
        self.executions.append(opened)

    @property
    def answers(self) -> list[tuple[int, int, int]]:
        """(command number, state, reason) of every execution."""
        number = {set_point(n).id: n for n in range(1, 20)}
        return [(number[e.setpoint], e.state, e.reason) for e in self.executions]

    def events(self, name: str) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [row for row in rows if row["event"] == name]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, MemoryEms(load_w=30_000))


def test_before_its_window_a_set_point_is_held_and_nothing_moves(bench: Bench) -> None:
    bench.agent.receive(accepted(set_point(1)))
    facts = bench.agent.tick(T0 - SLOT_MS)
    assert facts == {"held": [set_point(1).id.hex()], "applied": 0, "refused": 0, "commanded_w": None}
    assert (bench.ems.commands, bench.ems.measures, bench.executions) == ([], 0, [])


def test_rule_3_applied_is_answered_once_with_the_read_back(bench: Bench) -> None:
    bench.agent.receive(accepted(set_point(1)))
    for k in range(20):
        facts = bench.agent.tick(T0 + k * SLOT_MS)
    assert facts["commanded_w"] == -20_000 and facts["applied"] == 1
    assert bench.answers == [(1, records.APPLIED, NONE)]
    done = bench.executions[0]
    assert (done.commanded_w, done.readback_w, done.time_ms, done.device) == (-20_000, -20_000, T0, DEVICE)
    assert done.digest == envelope.payload_digest(records.encode(set_point(1))) and done.agent == AGENT_KEY.agent


def test_rule_3_expiry_takes_the_fallback_and_says_so_once(bench: Bench) -> None:
    bench.agent.receive(accepted(set_point(1)))
    for k in range(230):
        bench.agent.tick(T0 + k * SLOT_MS)
    assert bench.answers == [(1, records.APPLIED, NONE), (1, records.EXPIRED, NONE)]
    assert bench.ems.held is None and bench.executions[1].time_ms == T0 + FRAME_MS


@pytest.mark.parametrize(
    ("changed", "power_w"),
    [
        ({"fallback": records.FALLBACK_HOLD}, -20_000),
        ({"fallback": records.FALLBACK_VALUE, "fallback_value": 22_000}, -8_000),
        ({"fallback": records.FALLBACK_RELEASE}, 0),
    ],
)
def test_rule_4_each_fallback_rules_after_expiry(bench: Bench, changed: dict[str, int], power_w: int) -> None:
    bench.agent.receive(accepted(set_point(1, **changed)))
    bench.agent.tick(T0)
    bench.agent.tick(T0 + FRAME_MS)
    assert bench.ems.der_w == power_w
    assert bench.answers[-1] == (1, records.EXPIRED, NONE)


def test_rule_3_windows_that_touch_hand_over_without_an_expiry(bench: Bench) -> None:
    for n in (1, 2):
        window = {"not_before_ms": T0 + (n - 1) * FRAME_MS, "not_after_ms": T0 + n * FRAME_MS}
        bench.agent.receive(accepted(set_point(n, value=n * 10_000, **window)))
    powers = [bench.agent.tick(T0 + k * SLOT_MS)["commanded_w"] for k in (0, 224, 225)]
    assert powers == [-20_000, -20_000, -10_000]
    assert bench.answers == [(1, records.APPLIED, NONE), (2, records.APPLIED, NONE)]


def test_rule_3_a_higher_number_supersedes(bench: Bench) -> None:
    bench.agent.receive(accepted(set_point(1)))
    bench.agent.tick(T0)
    bench.agent.receive(accepted(set_point(2, value=20_000)))
    bench.agent.tick(T0 + SLOT_MS)
    assert bench.answers == [(1, records.APPLIED, NONE), (1, records.SUPERSEDED, NONE), (2, records.APPLIED, NONE)]
    assert bench.ems.der_w == -10_000


def test_rule_3_failed_is_said_once_and_applied_when_the_manager_is_back(bench: Bench) -> None:
    bench.agent.receive(accepted(set_point(1)))
    bench.ems.down = True
    for k in range(3):
        bench.agent.tick(T0 + k * SLOT_MS)
    assert bench.answers == [(1, records.FAILED, decision.EMS_UNREACHABLE)]
    bench.ems.down = False
    bench.agent.tick(T0 + 3 * SLOT_MS)
    assert bench.answers[1:] == [(1, records.APPLIED, NONE)]


def test_rule_1_forged_messages_change_nothing_and_their_reason_is_logged(bench: Bench) -> None:
    bench.agent.receive(sealed(decided(set_point(1)), STRANGER) + sealed(set_point(1), STRANGER))
    bench.agent.receive(b"hello")
    facts = bench.agent.tick(T0)
    assert (facts["refused"], facts["held"], bench.ems.measures) == (2, [], 0)
    reasons = [event["reason"] for event in bench.events("refused")]
    assert reasons[0] == "bad signature (decision)" and reasons[1].startswith("malformed")


def test_the_same_message_twice_counts_once_and_an_older_number_is_refused(bench: Bench) -> None:
    for n in (2, 2, 1):
        bench.agent.receive(accepted(set_point(n)))
    facts = bench.agent.tick(T0)
    assert facts["held"] == [set_point(2).id.hex()] and facts["refused"] == 1
    assert bench.events("refused")[0]["reason"] == "command number not above the last"


def test_rule_2_after_a_restart_it_goes_on_with_what_is_still_valid(bench: Bench) -> None:
    bench.agent.receive(accepted(set_point(1)))
    bench.agent.tick(T0)
    bench.restart()
    bench.agent.tick(T0 + SLOT_MS)
    assert bench.ems.der_w == -20_000 and bench.answers == [(1, records.APPLIED, NONE)], "not answered twice"
    bench.restart()
    bench.agent.tick(T0 + FRAME_MS)
    assert bench.ems.held is None and bench.answers[-1] == (1, records.EXPIRED, NONE)


def test_what_arrives_before_the_first_tick_waits_for_the_time_and_an_ended_window_is_refused(tmp_path: Path) -> None:
    trusted, ems, log = trust(), MemoryEms(), io.StringIO()
    agent = Agent(SETTINGS, AGENT_KEY, trusted, open_state(tmp_path, trusted), ems, Log(log))
    kept: list[bool] = []
    thread = threading.Thread(target=lambda: kept.append(agent.receive(accepted(set_point(1, fallback=1)))))
    thread.start()
    agent.tick(T0 + FRAME_MS)
    thread.join(10)
    assert kept == [True] and "already expired" in log.getvalue()
    agent.tick(T0 + FRAME_MS + SLOT_MS)
    assert ems.commands == []


def test_a_stopped_agent_takes_nothing_more(tmp_path: Path) -> None:
    trusted = trust()
    agent = Agent(SETTINGS, AGENT_KEY, trusted, open_state(tmp_path, trusted), MemoryEms(), Log(io.StringIO()))
    agent.stop()
    assert not agent.receive(accepted(set_point(1))) and open_state(tmp_path, trusted).held == []


def test_rule_1_a_set_point_is_on_disk_before_it_counts(bench: Bench) -> None:
    bench.agent.receive(accepted(set_point(1)))
    state = open_state(bench.folder, trust())
    assert [h.accepted.point for h in state.held] == [set_point(1)] and state.last_command == 1


def test_boot_and_seq_are_never_used_twice(bench: Bench) -> None:
    for n in range(1, 6):
        bench.agent.receive(accepted(set_point(n)))
        bench.agent.tick(T0 + n * SLOT_MS)
        bench.restart()
    identities = [(e.boot, e.seq) for e in bench.executions]
    assert len(set(identities)) == len(identities) == 9 and identities == sorted(identities)


def test_an_execution_is_sent_again_after_a_restart_until_the_broker_has_it(bench: Bench) -> None:
    bench.agent.receive(accepted(set_point(1)))
    bench.agent.tick(T0)
    bench.restart()
    bench.agent.resend()
    assert len(bench.executions) == 2 and bench.executions[0] == bench.executions[1]
    bench.agent.sent(bench.executions[0].seq)
    bench.agent.receive(accepted(set_point(2)))
    bench.agent.tick(T0 + SLOT_MS)
    seqs = {e.seq for e in bench.executions}
    bench.executions.clear()
    bench.restart()
    bench.agent.resend()
    assert {e.seq for e in bench.executions} == seqs - {1}


def test_the_same_ticks_give_the_same_commands(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        bench = Bench(tmp_path / name, MemoryEms(load_w=30_000))
        bench.agent.receive(accepted(set_point(1, ramp_w_per_s=500)))
        for k in range(60):
            bench.ems.load_w = 30_000 + 37 * k
            bench.agent.tick(T0 + k * SLOT_MS)
        runs.append(bench.ems.commands)
    assert runs[0] == runs[1] and len(runs[0]) > 10
