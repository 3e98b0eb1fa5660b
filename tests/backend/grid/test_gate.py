"""Nothing after the gate is read: whatever happens later, every document of the day before is the same to the byte."""

import numpy as np

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import load_day
from backend.grid import answer
from backend.grid.congestion import violations
from backend.grid.forecast import Series, day_scenarios, forecast
from backend.grid.localisation import localise
from backend.grid.need import Capability, size
from backend.grid.plan import Allowed, plan_day
from backend.grid.substation import substation_profile
from backend.grid.validation import Proposal, validate

DAY = load_day()
WINDOW = slice(73, 79)


def texts(series, gate, threads=-1):
    """Everything that is published before the gate, as text."""
    made = forecast(series, gate, DAY.first_frame, DAY.frame_count, DAY.offset_quarters)
    frames = list(DAY.frames)[WINDOW]
    flow, states = PowerGridFlow(DAY.network, threads), day_scenarios(DAY.network, made).rows(list(range(96))[WINDOW])
    plan = plan_day(flow, states, frames, DAY.margin_kept, Allowed())
    sizing = size(
        flow, plan.scenarios, frames, DAY.margin_kept, [Capability(c.pod, c.up_w, c.down_w) for c in DAY.customers]
    )
    awards = [
        Proposal(pod, {pod: tuple(dict(zip(sizing.frames, watts, strict=True)).get(f, 0) for f in frames)})
        for pod, watts in sorted(sizing.least_w.items())
    ]
    verdicts = validate(flow, plan.scenarios, frames, DAY.margin_kept, awards)
    profile = substation_profile(DAY.network, flow.solve(states), frames)
    left = violations(DAY.network, flow.solve(plan.scenarios), frames, DAY.margin_kept)
    return [
        answer.text_of(document)
        for document in (
            answer.localisation(DAY.network, localise(flow, {500_000: states}, frames, DAY.margin_kept)),
            answer.plan(DAY.network, plan),
            answer.requests(DAY.network, sizing),
            answer.verdicts(DAY.network, verdicts, left),
            answer.substation(DAY.network, profile, profile),
        )
    ]


def test_what_happens_after_the_gate_changes_no_byte_and_what_happened_before_does():
    gate, known = DAY.day_ahead_gate, DAY.series
    at = gate - known.first_frame
    spoilt = [table.copy() for table in (known.load_w, known.load_var, known.generator_w)]
    for table in spoilt:
        table[at:] = np.iinfo(np.int64).max // 10**6
    first = texts(known, gate)
    assert texts(Series(known.first_frame, *spoilt), gate) == first
    assert texts(known.before(gate), gate, threads=2) == first, "and the threads change nothing either"
    earlier = known.load_w.copy()
    earlier[at - 96 * 3 : at] += 5_000
    assert texts(Series(known.first_frame, earlier, known.load_var, known.generator_w), gate) != first
