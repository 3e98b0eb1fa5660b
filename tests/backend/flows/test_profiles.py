"""A BRP's profiles of a session: answered, replaced until the freeze, refused after it; what stands is what settlement reads."""

import hashlib
import json
from dataclasses import dataclass

import pytest

from backend.adapters.market_store import MarketStore
from backend.adapters.sqlite import SqliteStore
from backend.domain.local_day import Calendar
from backend.errors import Rejected
from backend.flows.profiles import Profiles
from backend.flows.trade import Sessions
from backend.market.profile import (
    Profile,
    ProfileAnswer,
    baselines_of,
    baselines_text,
    profiles_of,
    profiles_of_csv,
)
from backend.market.register import Register, Resource
from backend.market.schedule import Window
from backend.market.session import Registered, SessionRules, State
from backend.market.settled_making import Settings, schedule_of
from tests.backend.market.settlement_case import TERMS

F, GATE = 1_995_260, 1_000_000
FRAMES = (F, F + 1, F + 2)


@dataclass
class Clock:
    time_ms: int = 0

    def now_ms(self):
        return self.time_ms


class Desk:
    """A session of its own in the one database of this file."""

    def __init__(self, store, session, lead_ms=0, register=None):
        self.clock, self.session, self.store = Clock(), session, store
        self.sessions = Sessions(store, self.clock, Registered({}, {}), lambda *_: None)
        self.sessions.announce(session, Window(FRAMES, GATE), SessionRules(baseline_lead_ms=lead_ms), "m")
        self.profiles = Profiles(store, self.clock, register)

    def submit(self, brp, *profiles):
        return dict(self.profiles.submit(self.session, brp, list(profiles), []))

    def baselines(self):
        return self.profiles.baselines(self.session)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return MarketStore(SqliteStore(tmp_path_factory.mktemp("profiles") / "scd.sqlite"))


@pytest.fixture
def desk(store, request):
    session = hashlib.sha256(request.node.name.encode()).hexdigest()
    return lambda **more: Desk(store, session, **more)


def flat(pod, w, frames=FRAMES):
    return Profile(pod, dict.fromkeys(frames, w))


def test_rule_3_the_last_one_before_the_freeze_stands_and_later_ones_are_refused(desk):
    desk = desk()
    assert desk.submit("P", flat("a", 5)) == {"a": "taken"}
    desk.clock.time_ms = GATE - 1
    assert desk.submit("P", flat("a", -7)) == {"a": "amended"}
    assert not desk.baselines().frozen
    desk.clock.time_ms = GATE
    assert desk.submit("P", flat("a", 9), flat("b", 9)) == dict.fromkeys("ab", "the baselines are frozen")
    made = desk.baselines()
    assert made.frozen and made.w == {("a", f): -7 for f in FRAMES}
    assert [(one.brp, one.version, one.received_ms) for one in made.standing] == [("P", 2, GATE - 1)]


def test_rule_3_baselines_freeze_before_the_gate_where_the_session_says_so(desk):
    desk = desk(lead_ms=600)
    desk.clock.time_ms = GATE - 601
    assert desk.submit("P", flat("a", 5)) == {"a": "taken"}
    desk.clock.time_ms = GATE - 600
    assert desk.submit("P", flat("a", 6)) == {"a": "the baselines are frozen"}
    assert desk.baselines().frozen and desk.baselines().frozen_ms == GATE - 600


@pytest.mark.parametrize(
    ("state", "said"), [(State.OPEN, "taken"), (State.CANCELLED, "the session takes no baselines")]
)
def test_what_a_session_takes_depends_on_where_it_stands(desk, state, said):
    desk = desk()
    desk.sessions.move(desk.session, state, "m")
    assert desk.submit("P", flat("a", 5)) == {"a": said}


def test_a_closed_session_is_frozen_even_if_the_clock_goes_back(desk):
    desk = desk()
    desk.sessions.move(desk.session, State.OPEN, "m")
    desk.clock.time_ms = GATE
    desk.sessions.close(desk.session, "m")
    desk.clock.time_ms = 0
    assert desk.submit("P", flat("a", 5)) == {"a": "the baselines are frozen"} and desk.baselines().frozen


def test_rule_1_a_profile_has_every_quarter_hour_of_the_session_and_no_other(desk):
    answers = desk().submit("P", flat("a", 1, FRAMES[:2]), flat("b", 1, (*FRAMES, F + 3)), flat("c", 0))
    assert answers == {"a": ProfileAnswer.INCOMPLETE, "b": ProfileAnswer.OUTSIDE, "c": ProfileAnswer.TAKEN}


def test_rule_2_a_pod_has_one_brp(desk):
    register = Register([Resource("a", "A", 1, 1, brp="P"), Resource("b", "A", 1, 1)])
    desk = desk(register=register)
    assert desk.submit("Q", flat("a", 1), flat("b", 2), flat("c", 3)) == {
        "a": "the POD is another BRP's", "b": "taken", "c": "the POD is not registered",
    }  # fmt: skip
    assert desk.submit("P", flat("a", 1), flat("b", 5)) == {"a": "taken", "b": "the POD is another BRP's"}
    assert {one.pod: one.brp for one in desk.baselines().standing} == {"a": "P", "b": "Q"}


def test_rule_4_every_row_is_answered_and_kept(desk):
    desk = desk()
    good, bad = profiles_of_csv(f"pod,frame,w\na,{F},1\na,{F + 1},2\na,{F + 2},x\nb,{F},1\nb,{F + 1},1\nb,{F + 2},1\n")
    answers = dict(desk.profiles.submit(desk.session, "P", good, bad))
    assert answers["b"] == "taken" and answers["a"].startswith("malformed: line 2 frames of")
    assert len([event for event in desk.store.events(desk.session) if event.what == "profile"]) == 2


def test_a_session_that_was_never_announced_is_refused(desk):
    with pytest.raises(Rejected, match="never announced"):
        desk().profiles.submit("t", "P", [flat("a", 1)], [])


def test_baselines_are_read_as_they_are_written(desk):
    desk = desk()
    desk.submit("P", flat("a", 5), flat("b", -6))
    made = desk.baselines()
    assert baselines_of(baselines_text(made)) == made and not made.frozen


def test_what_stands_when_they_freeze_is_what_settlement_uses(desk):
    desk = desk()
    desk.submit("P", flat("a", 5), flat("b", -6))
    desk.submit("P", flat("a", 7))
    settings = Settings(TERMS, Calendar(), {})
    with pytest.raises(Rejected, match="frozen"):
        schedule_of(baselines_text(desk.baselines()), desk.session, settings)
    desk.clock.time_ms = GATE
    desk.submit("P", flat("a", 9))
    made = desk.baselines()
    assert schedule_of(baselines_text(made), desk.session, settings) == made.w
    assert made.w["a", F] == 7 and made.w["b", F] == -6


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (7, "expected an object"),
        ({"pod": "a b", "frames": {}}, "expected 1 to 64 of letters"),
        ({"pod": "a", "frames": {"1": 1.5}}, "expected a whole number"),
        ({"pod": "a", "frames": {str(F): 10**13}}, "expected -1000000000000 to 1000000000000"),
        ({"pod": "a", "frames": {str(F): 1, f"0{F}": 2}}, "stands twice"),
        ({"pod": "a", "frames": {}, "more": 1}, "no such field"),
    ],
)
def test_a_row_that_is_no_profile_takes_no_other_with_it(row, words):
    good = {"pod": "z", "frames": {str(F): 1}}
    found, wrong = profiles_of(json.dumps({"format": "lightnode-profiles/1", "profiles": [row, good]}))
    assert [one.pod for one in found] == ["z"] and len(wrong) == 1 and words in wrong[0][1]


def test_a_pod_that_stands_twice_is_refused_both_times():
    rows = [{"pod": "a", "frames": {str(F): k}} for k in (1, 2)]
    found, wrong = profiles_of(json.dumps({"format": "lightnode-profiles/1", "profiles": rows}))
    assert found == [] and [pod for pod, _ in wrong] == ["a", "a"]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "pod,frame,w,w\n"])
def test_a_table_with_other_columns_is_refused(text):
    with pytest.raises(Rejected, match="columns pod, frame, w"):
        profiles_of_csv(text)


def test_a_quarter_hour_that_stands_twice_in_a_table_is_refused():
    found, wrong = profiles_of_csv(f"pod,frame,w\na,{F},1\na,{F},2\nb,{F},1\nc\n")
    assert [one.pod for one in found] == ["b"] and "twice" in wrong[0][1] and "line 5: 1 cells" in wrong[1][1]
