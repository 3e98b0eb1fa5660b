"""The cost optimum within the network, over the same columns as the merit order, with the gap that is left to the bound.

1. First the DSO's requests: what stays unserved, by priority; then the cost. Then, with what is left, the TSO's the same
   way: a TSO's award never lowers a DSO's.
2. Limits are held as by the merit order: none broken that held, none more broken, but only by all awards of a buyer together.
3. Whole watts: what the program gives is rounded down. If that breaks a limit, what eats of it is taken back, the dearest
   first; what then is missing is served by the merit order, which also gives every offer its reason.
4. Where the merit order itself leaves less unserved, or costs less at the same, its awards stand: never worse than it. So
   they do where a group's goes, each in whole watts of its PODs, would break a limit once they are one award.
5. The gap is what the awards cost beyond the program's bound, in micro-EUR and in 1e-6 of the cost. With a time limit an
   outcome may depend on the machine; without one it does not.
6. Cost is energy at the price bid, whatever it is settled at. Of equals the program chooses: receipt time plays no part.
7. What the solver said of each program is taken in whole millionths, and can be handed in again instead of a solver: so the
   outcome follows from it to the byte, on another machine and with another solver too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from backend.domain.bids import Buyer, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.quantity import FRAME_S, PPM, value_ueur
from backend.domain.trade import Outcome
from backend.market.book import Book, Caps, book_of
from backend.market.clearing import Moves, outcome_of, unserved_of
from backend.market.coupled import Unit, units_of
from backend.market.limits import Limits, limits_of
from backend.market.merit_order import at_nodes, in_turn, queue_of, serve_all, unfit_for
from backend.market.optimal_columns import Columns
from backend.market.pod_parts import within_parts
from backend.market.program import Program, lexicographic
from backend.market.queue import Queue
from backend.market.repair import take
from backend.market.rules import GUARDED, Rules
from backend.market.state import Bought, State, fresh

_UEUR_PER_COST = 250
_MILLIONTHS = 1_000_000


@dataclass(frozen=True, slots=True)
class Solution:
    """What a solver said of one program (rule 7): its columns in 1e-6, the bound of its cost, whether solved to its end."""

    values: tuple[int, ...]
    bound_ueur: int
    proven: bool


Solve = Callable[[Program, Sequence[dict[int, float]], int], Solution | None]  # program, objectives, seconds


@dataclass(frozen=True, slots=True)
class Report:
    """How good an outcome is. cost: of awards at their bids, reserve apart; bound: no outcome that serves as much costs less.

    proven: every program was solved to its end. by_merit: how many of the two buyers' parts the merit order gave (rule 4).
    """

    cost_ueur: int
    bound_ueur: int
    gap_ueur: int
    gap_ppm: int
    proven: bool
    by_merit: int


def clear_optimally(
    session: str,
    requests: Iterable[Request],
    offers: Iterable[Offer],
    constraints: Iterable[Constraint],
    moves: Moves | None = None,
    rules: Rules = GUARDED,
    caps: Caps | None = None,
    node_of: Mapping[str, str] | None = None,
    solve: Solve | None = None,
) -> tuple[Outcome, Report]:
    """The outcome of one session before technical validation; arguments as of market.clearing.clear. solve: None is HiGHS."""
    book = book_of(offers, caps)
    limits = limits_of(sorted(constraints, key=lambda one: (one.frame, one.element)), book)
    return optimise_book(session, list(requests), book, limits, moves or {}, rules, node_of or {}, solve)


def optimise_book(
    session: str,
    requests: Sequence[Request],
    book: Book,
    limits: Limits,
    moves: Moves,
    rules: Rules = GUARDED,
    node_of: Mapping[str, str] | None = None,
    solve: Solve | None = None,
) -> tuple[Outcome, Report]:
    """The same for a book and limits that are columns already."""
    asked = in_turn(requests)
    bound, proven, by_merit = 0, True, 0

    def decided(one: Book) -> State:
        nonlocal bound, proven, by_merit
        state, (bound, proven, by_merit) = fresh(one, limits, moves), (0, True, 0)
        for buyer in Buyer:
            part = _Part(asked, [r.buyer is buyer for r in asked], rules, node_of or {}, solve or solved)
            if any(part.mine):
                state, best, done, merit = part.serve(state)
                bound, proven, by_merit = bound + best, proven and done, by_merit + merit
        return state

    state, parts = within_parts(book, asked, decided)
    cost = cost_ueur(state)
    gap = max(0, cost - bound)
    report = Report(cost, min(bound, cost), gap, gap * PPM // cost if cost else 0, proven, by_merit)
    return outcome_of(session, state, asked, rules.pricing, parts), report


def cost_ueur(state: State, since: int = 0) -> int:
    """Energy of what was bought from a place on at its bids, reserve apart."""
    price, total = state.book.price, 0
    for one in state.bought[since:]:
        if not one.reserve:
            total += sum(int(w) * int(p) for w, p in zip(one.volume_w.tolist(), price[one.entry].tolist(), strict=True))
    return value_ueur(total * FRAME_S, 1)


@dataclass(frozen=True, slots=True)
class _Part:
    """The requests of one buyer, among all in turn."""

    asked: Sequence[Request]
    mine: Sequence[bool]
    rules: Rules
    node_of: Mapping[str, str]
    solve: Solve

    def serve(self, state: State) -> tuple[State, int, bool, bool]:
        """The state after this buyer's awards, the bound of their cost, whether it is proven, whether merit gave it."""
        begin = len(state.bought)
        merit, best = _copy(state), _copy(state)
        self._by_merit(merit)
        bound, proven = self._optimise(best)
        self._by_merit(best)
        worse = not _joined(best, state) or self._rank(best, begin) > self._rank(merit, begin)
        return (merit if worse else best), bound, proven, worse

    def _by_merit(self, state: State) -> None:
        requests = [r if own else None for r, own in zip(self.asked, self.mine, strict=True)]
        serve_all(state, requests, self.rules.reserve_ppm, self.node_of)

    def _rank(self, state: State, begin: int) -> tuple[tuple[int, ...], int]:
        left = unserved_of(state, self.asked)
        priorities = sorted({r.priority for r, own in zip(self.asked, self.mine, strict=True) if own})
        by_priority = tuple(
            sum(left.get((r.id, f), 0) for r, own in zip(self.asked, self.mine, strict=True)
                if own and r.priority == p for f in r.need)
            for p in priorities
        )  # fmt: skip
        return by_priority, cost_ueur(state, begin)

    def _optimise(self, state: State) -> tuple[int, bool]:
        queues = self._queues(state)
        units = self._units(state, queues)
        bound_ueur, proven = 0, True
        for frames in _components({f for _, f in queues}, [u.touched for _, u in units]):
            columns = self._columns(state, queues, units, frames)
            objectives = [o for o in (*self._short(columns), columns.cost) if o]
            if not columns.cost:
                continue
            solution = self.solve(columns.program, objectives, self.rules.time_limit_s)
            proven = proven and solution is not None and solution.proven
            if solution is not None:
                take(state, columns, np.array(solution.values, dtype=np.int64) / _MILLIONTHS, queues)
                bound_ueur += solution.bound_ueur
        return bound_ueur, proven

    def _queues(self, state: State) -> dict[tuple[int, int], Queue]:
        found = {}
        for number, request in enumerate(self.asked):
            if not self.mine[number]:
                continue
            unfit = unfit_for(state.book, request, at_nodes(state.book, request, self.node_of))
            for frame in sorted(request.need):
                found[number, frame] = queue_of(state, request, number, frame, request.need[frame], 0, False, unfit)
        return found

    def _units(self, state: State, queues: Mapping[tuple[int, int], Queue]) -> list[tuple[int, Unit]]:
        if not state.book.coupled.any():
            return []
        found = []
        for number, request in enumerate(self.asked):
            if self.mine[number]:
                there = at_nodes(state.book, request, self.node_of)
                own = {f: queue for (n, f), queue in queues.items() if n == number}
                wanted = (u for u in units_of(state, request, own, there) if all(own[f].need > 0 for f in u.entries))
                found += [(number, unit) for unit in wanted]
        return found

    def _columns(
        self,
        state: State,
        queues: Mapping[tuple[int, int], Queue],
        units: Sequence[tuple[int, Unit]],
        frames: Sequence[int],
    ) -> Columns:
        columns, relieved = Columns(state), set()
        for frame in frames:
            seen = np.zeros(0, dtype=np.int64)
            for number, request in enumerate(self.asked):
                queue = queues.get((number, frame))
                if queue is None or queue.need <= 0:
                    continue
                entry = np.sort(queue.candidates.entry)
                if not request.by_volume:
                    entry = entry[~np.isin(entry, seen)]
                    seen = np.union1d(seen, entry)
                columns.add_plain(number, frame, entry)
        for number, unit in units:
            key = (unit.offer, min(unit.entries), unit.merit[3])
            if min(unit.entries) in frames and (self.asked[number].by_volume or key not in relieved):
                relieved.add(key)
                columns.add_unit(number, unit)
        columns.finish(self.asked, queues, frames)
        return columns

    def _short(self, columns: Columns) -> list[dict[int, float]]:
        priorities = sorted({self.asked[number].priority for number, _ in columns.short})
        return [{c: 1.0 for n, c in columns.short if self.asked[n].priority == p} for p in priorities]


def solved(program: Program, objectives: Sequence[dict[int, float]], time_limit_s: int) -> Solution | None:
    """By HiGHS; None if it found nothing in time."""
    found = lexicographic(program, objectives, time_limit_s)
    if found is None:
        return None
    last, done = found
    values = tuple(np.rint(last.values * _MILLIONTHS).astype(np.int64).tolist())
    return Solution(values, int(max(0.0, last.bound if done else 0.0) * _UEUR_PER_COST), done)


def _copy(state: State) -> State:
    other = copy(state)
    for name in ("taken_w", "level", "turn", "element_no"):
        setattr(other, name, getattr(state, name).copy())
    other.margins = {f: m.copy() for f, m in state.margins.items()}
    other.moved = {f: m.copy() for f, m in state.moved.items()}
    other.numbers, other.bought = dict(state.numbers), list(state.bought)
    return other


def _components(frames: Iterable[int], touched: Sequence[Sequence[int]]) -> list[list[int]]:
    """Quarter-hours that coupled offers join, each once, in order."""
    head: dict[int, int] = {f: f for f in frames}

    def find(frame: int) -> int:
        while head.setdefault(frame, frame) != frame:
            frame = head[frame]
        return frame

    for group in touched:
        for frame in group:
            one, other = sorted((find(group[0]), find(frame)))
            head[other] = one
    found: dict[int, list[int]] = {}
    for frame in sorted(head):
        found.setdefault(find(frame), []).append(frame)
    return list(found.values())


def _joined(state: State, before: State) -> bool:
    """Makes one of what was bought in several goes since `before` for one request and quarter-hour, by entry, and corrects
    the margins by its rounding; whether that leaves every limit."""
    goes: dict[tuple[int, bool, int], dict[int, list[int]]] = {}
    for one in state.bought[len(before.bought) :]:
        mine = goes.setdefault((one.request, one.reserve, one.frame), {})
        for entry, watts in zip(one.entry.tolist(), one.volume_w.tolist(), strict=True):
            mine.setdefault(entry, []).append(watts)
    touched: set[int] = set()
    for (_, _, frame), mine in goes.items():
        for entry, several in mine.items():
            if len(several) > 1:
                touched |= _rounded_once(state, entry, frame, several)
    joined = [
        Bought(*key, np.array(sorted(mine)), np.array([sum(mine[e]) for e in sorted(mine)]))
        for key, mine in goes.items()
    ]
    state.bought = [*before.bought, *joined]
    return all((state.margin(f) >= np.minimum(before.margin(f), 0)).all() for f in touched)


def _rounded_once(state: State, entry: int, frame: int, goes: Sequence[int]) -> set[int]:
    """Corrects the margins by what the goes of an entry, rounded each, differ from their sum; where they may differ."""
    offer = int(state.book.offer[entry])
    touched: set[int] = set()
    for sign, watts in ((1, sum(goes)), *((-1, w) for w in goes)):
        for f, parts_w in state.moved_w(offer, {frame: watts}).items():
            state.margin(f)[:] += sign * np.array(state.gained(offer, f, parts_w), dtype=state.margin(f).dtype)
            touched.add(f)
    return touched
