"""Branch exchange and its switching list, on the 33-bus grid of Baran and Wu (1989) whose best configuration is known."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.errors import Rejected
from backend.grid.congestion import Limits, violations
from backend.grid.document import parse_network
from backend.grid.exchange import Exchanges, with_open
from backend.grid.flow import scenarios_of
from backend.grid.loss import loss_w
from backend.grid.plan import Allowed, opened_in, plan_day
from backend.grid.radial import Exchange, after, branches_of, named, towards, ways_of
from tests.backend.grid.sweep import swept

GRID = parse_network((Path(__file__).parents[3] / "backend/demo/baran_wu_33.json").read_text())
EVERY = tuple(f"line:{line.id}" for line in GRID.lines)
WAYS = ways_of(GRID, EVERY)
STANDING = opened_in(GRID, EVERY)
BEST = ("line:7", "line:9", "line:14", "line:32", "line:37")


@pytest.fixture(scope="module")
def feeder():
    return PowerGridFlow(GRID)


def rows(*percent):
    load_w = np.array([[e.p_nominal_w * p // 100 for e in GRID.loads] for p in percent], dtype=np.int64)
    load_var = np.array([[e.q_nominal_var * p // 100 for e in GRID.loads] for p in percent], dtype=np.int64)
    return scenarios_of(GRID, load_w, load_var, np.zeros((len(percent), 0), dtype=np.int64))


def lost_w(feeder, opened):
    state = with_open(GRID, rows(100), WAYS, [frozenset(opened)])
    solved = feeder.solve(state)
    return int(loss_w(GRID, state, solved)[0]) if solved.solved[0] else 10**12


def test_the_published_losses_are_those_of_the_published_configurations(feeder):
    assert lost_w(feeder, STANDING) == pytest.approx(202_677, abs=2)
    assert lost_w(feeder, BEST) == pytest.approx(139_551, abs=2)


@pytest.mark.parametrize("opened", [tuple(STANDING), BEST])
def test_an_independent_power_flow_finds_the_same_voltages_currents_and_losses(feeder, opened):
    state = with_open(GRID, rows(100), WAYS, [frozenset(opened)])
    solved = feeder.solve(state)
    voltage, current, lost = swept(GRID, state.load_w[0], state.load_var[0], opened)
    for k, node in enumerate(GRID.nodes):
        assert int(solved.voltage_ppt[0, k]) == pytest.approx(abs(voltage[node.id]) * 1e12, abs=1e5)
    for k, line in enumerate(GRID.lines):
        assert int(solved.line_ppt[0, k]) == pytest.approx(current.get(line.id, 0) / line.rated_ma * 1e15, abs=1e5)
    assert lost_w(feeder, opened) == pytest.approx(lost, abs=2)


def test_the_best_configuration_is_found_and_every_step_is_radial_and_fed(feeder):
    found = Exchanges(feeder, rows(100), Limits(), WAYS).run(STANDING, 12, for_losses=True)
    assert found.opened == BEST and len(found.steps) == 4
    assert (found.loss_before_wh * 4, found.loss_after_wh * 4) == pytest.approx((202_677, 139_551), abs=6)
    now = STANDING
    for step in found.steps:
        assert step.close in now and step.open not in now
        assert WAYS.is_fed(now - {step.close}), "while both are closed"
        now = after(now, Exchange(step.close, step.open))
        assert WAYS.is_radial(now)
    assert named(list(now)) == BEST and found.steps[-1].loss_after_wh == found.loss_after_wh


def test_operations_are_limited_and_fewer_save_less(feeder):
    search = Exchanges(feeder, rows(100), Limits(), WAYS)
    losses = []
    for most in (0, 1, 2, 4, 8):
        found = search.run(STANDING, most, for_losses=True)
        assert 2 * len(found.steps) <= most
        losses.append(found.loss_after_wh)
    assert losses == sorted(losses, reverse=True) and losses[0] == losses[1] == found.loss_before_wh
    assert losses[2] < losses[0] and losses[4] < losses[2]


def test_two_operations_agree_with_a_search_of_every_exchange(feeder):
    found = Exchanges(feeder, rows(100), Limits(), WAYS).run(STANDING, 2, for_losses=True)
    best = min((lost_w(feeder, o), named(list(o))) for o in (after(STANDING, e) for e in WAYS.exchanges(STANDING)))
    assert named(list(found.opened)) == best[1]


def test_switches_heal_a_voltage_that_is_too_low_and_break_nothing(feeder):
    """With 3 % more of the band kept free the standing configuration is too low at the feeder's end."""
    kept, states, frames = Limits(voltage_margin_ppm=33_000), rows(100, 70, 100), [7, 8, 9]
    before = violations(GRID, feeder.solve(states), frames, kept)
    made = plan_day(feeder, states, frames, kept, Allowed(switchable=EVERY))
    assert before == made.before and {v.frame for v in before} == {7, 9}
    assert made.after == () == violations(GRID, feeder.solve(made.scenarios), frames, kept)
    assert made.switches is not None and made.switches.broken_after_ppt == 0
    assert len(made.switches.steps) <= 6


def test_without_a_violation_nothing_is_switched_unless_losses_count(feeder):
    assert plan_day(feeder, rows(50), [7], Limits(), Allowed(switchable=EVERY)).switches is None
    made = plan_day(feeder, rows(50), [7], Limits(), Allowed(switchable=EVERY, for_losses=True))
    assert made.switches is not None and made.loss_after_wh < made.loss_before_wh


def test_only_what_is_switchable_is_switched(feeder):
    some = ("line:33", "line:6", "line:7", "line:36", "line:32")
    made = plan_day(feeder, rows(100), [7], Limits(), Allowed(switchable=some, for_losses=True))
    moved = {s.close for s in made.switches.steps} | {s.open for s in made.switches.steps}
    assert moved and moved <= set(some)
    with pytest.raises(Rejected, match="switchable 'line:99': not a line or a link"):
        plan_day(feeder, rows(100), [7], Limits(), Allowed(switchable=("line:99",), for_losses=True))


def test_every_radial_configuration_is_reached_by_exchanges_that_stay_radial():
    """From the standing configuration to fifty others, drawn by walking; each way is made of exchanges towards the goal."""
    now = STANDING
    for k in range(50):
        options = WAYS.exchanges(now)
        now = after(now, options[(k * 17) % len(options)])
        here, steps = STANDING, 0
        while here != now:
            here = after(here, towards(WAYS, here, now)[0])
            steps += 1
            assert WAYS.is_radial(here) and steps <= 5


def test_an_exchange_never_leaves_an_island():
    for opened in itertools.islice((after(STANDING, e) for e in WAYS.exchanges(STANDING)), 60):
        assert WAYS.is_radial(opened)
    assert not WAYS.is_fed(STANDING | {"line:3"})
    assert not WAYS.is_radial(STANDING - {"line:33"})


def test_elements_between_one_place_are_no_switches():
    names = [name for name in branches_of(GRID) if name != "line:33"]
    assert set(ways_of(GRID, ["line:33"]).ends) <= {"line:33"}
    assert ways_of(GRID, names).places == 33


def test_the_same_search_gives_the_same_list_whatever_the_threads():
    lists = [
        Exchanges(PowerGridFlow(GRID, threads=t), rows(100), Limits(), ways_of(GRID, names)).run(STANDING, 12, True)
        for t, names in ((-1, EVERY), (2, EVERY[::-1]))
    ]
    assert lists[0] == lists[1]
