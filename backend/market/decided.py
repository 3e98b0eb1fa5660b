"""An outcome from what it is decided by: the engine's rules and limits, then the operator's verdicts. The same on any machine.

1. ``lightnode-clearing/2`` says by which rules a session was cleared, which way PODs moved by other sessions, and, of the
   optimal engine, what the solver said of each program, in whole numbers; where a request names nodes, at which node each
   POD that is offered is connected.
2. From the frozen book, these, and the limits, `cleared` makes the outcome to the byte, whatever engine it was.
3. From that and the operator's verdicts `judged` makes the next round, which is cleared by the same rules from what was not
   cut, or the outcome that is published (market.rounds).
4. ``lightnode-clearing/1`` is of a time when the verdicts were taken once, whatever number of rounds it names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from backend.domain.bids import Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.trade import Outcome
from backend.errors import Rejected
from backend.market import exchange, form
from backend.market.clearing import clear
from backend.market.judged import to_judge
from backend.market.literal import clear_literally
from backend.market.optimal import Report, Solution, clear_optimally, solved
from backend.market.program import Program
from backend.market.rounds import Round, Verdict, after
from backend.market.rules import Engine, Pricing, Rules

CLEARING, _IN_ONE_PASS = "lightnode-clearing/2", "lightnode-clearing/1"
_MOST = 1 << 62
Moves = Mapping[tuple[str, int], Direction]
Book = tuple[Sequence[Request], Sequence[Offer]]


@dataclass(frozen=True, slots=True)
class Basis:
    """What a session is cleared by beside its book and the limits; solutions: of the optimal engine, None to be solved;
    node_of: by POD."""

    rules: Rules
    moves: Moves
    solutions: tuple[Solution | None, ...] | None = None
    node_of: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cleared:
    """An outcome, what it was decided by with nothing left open, and how good it is (of the optimal engine)."""

    outcome: Outcome
    basis: Basis
    report: Report | None = None


def cleared(
    session: str, book: Book, constraints: Sequence[Constraint], basis: Basis, at: Round | None = None
) -> Cleared:
    """The outcome before validation; at: the round, None for the first. Rejected for solutions that are not those of its
    programs."""
    caps = {} if at is None else at.caps
    rules, arguments = basis.rules, (session, *book, constraints, basis.moves, basis.rules, caps)
    if rules.engine is Engine.OPTIMAL:
        said = _Said(basis.solutions)
        outcome, report = clear_optimally(*arguments, node_of=basis.node_of, solve=said.solve)
        return Cleared(outcome, replace(basis, solutions=said.all()), report)
    decide = clear_literally if rules.engine is Engine.LITERAL else clear
    return Cleared(decide(*arguments, node_of=basis.node_of), replace(basis, solutions=()))


def nodes_asked(book: Book, node_of: Mapping[str, str]) -> dict[str, str]:
    """The node of each POD that is offered, if a request names nodes; nothing else is to be known of where a POD is."""
    requests, offers = book
    if not any(request.nodes for request in requests):
        return {}
    return {pod: node_of[pod] for pod in sorted({p for o in offers for p in o.shares_w}) if pod in node_of}


class _Said:
    """What a solver says, or said before."""

    def __init__(self, before: tuple[Solution | None, ...] | None) -> None:
        self._before = before
        self._found: list[Solution | None] = []

    def solve(self, program: Program, objectives: Sequence[dict[int, float]], time_limit_s: int) -> Solution | None:
        """The next solution; Rejected if it is none of this program."""
        if self._before is None:
            one = solved(program, objectives, time_limit_s)
        elif len(self._found) == len(self._before):
            raise Rejected(f"clearing: {len(self._before)} solutions, there are more programs")
        else:
            one = self._before[len(self._found)]
            if one is not None and len(one.values) != len(program.upper):
                raise Rejected(
                    f"clearing: solution {len(self._found) + 1} has {len(one.values)} values, its program {len(program.upper)}"
                )
        self._found.append(one)
        return one

    def all(self) -> tuple[Solution | None, ...]:
        """Those that were asked for; Rejected if others were handed in beside them."""
        if self._before is not None and len(self._before) > len(self._found):
            raise Rejected(f"clearing: {len(self._before)} solutions, {len(self._found)} programs")
        return tuple(self._found)


def judged(
    frames: Sequence[int],
    book: Book,
    constraints: Sequence[Constraint],
    rules: Rules,
    rounds: Sequence[tuple[Outcome, str]],
) -> Round | Outcome:
    """What follows from the rounds so far, each an outcome as cleared and the verdicts on it. Rejected for verdicts that are
    not on what was cleared, and for a round beyond the outcome that stands."""
    at: Round | Outcome = Round()
    for before, verdicts in rounds:
        if isinstance(at, Outcome):
            raise Rejected("verdicts: the round before them left nothing to be judged")
        verdict = Verdict(*exchange.verdicts_of(verdicts, frames, to_judge(frames, *book, before)))
        at = after(at, before, verdict, book, constraints, rules)
    return at


def basis_row(basis: Basis) -> dict[str, Any]:
    """As a document."""
    rules = {f.name: getattr(basis.rules, f.name) for f in fields(Rules)}
    rules |= {"engine": basis.rules.engine.value, "pricing": basis.rules.pricing.value}
    solutions = [
        None if s is None else {"values": list(s.values), "bound_ueur": s.bound_ueur, "proven": s.proven}
        for s in basis.solutions or ()
    ]
    moves = [[pod, frame, way.value] for (pod, frame), way in sorted(basis.moves.items())]
    nodes = {"nodes": dict(basis.node_of)} if basis.node_of else {}
    return {"format": CLEARING, "rules": rules, "moves": moves, "solutions": solutions, **nodes}


def basis_of(text: str) -> Basis:
    """The same read; Rejected in one line for what is none."""
    row = form.json_object(text, "clearing")
    if row.get("format") != _IN_ONE_PASS:
        form.read(text, CLEARING, "clearing")
    documents = {"format": str, "rules": dict, "moves": list, "solutions": list, "nodes": dict}
    taken = form.fields(row, "clearing", documents, {"nodes": {}})
    kinds = {"engine": str, "pricing": str, "reserve_ppm": int, "rounds": int, "time_limit_s": int}
    rules = form.fields(taken["rules"], "clearing rules", kinds)
    try:
        made = Rules(**{**rules, "engine": Engine(rules["engine"]), "pricing": Pricing(rules["pricing"])})
        made = replace(made, rounds=1) if row["format"] == _IN_ONE_PASS else made
        moves = {(str(pod), _whole(frame)): Direction(way) for pod, frame, way in taken["moves"]}
    except (TypeError, ValueError) as error:
        raise Rejected(f"clearing: {error!s:.120}") from error
    solutions = tuple(_solution(one, k) for k, one in enumerate(taken["solutions"], 1))
    return Basis(made, moves, solutions, form.words(taken["nodes"], "clearing nodes"))


def _solution(row: object, number: int) -> Solution | None:
    if row is None:
        return None
    where = f"clearing solution {number}"
    taken = form.fields(row, where, {"values": list, "bound_ueur": int, "proven": bool})
    if any(type(v) is not int or not -_MOST < v < _MOST for v in taken["values"]):
        raise Rejected(f"{where} values, expected whole numbers")
    return Solution(tuple(taken["values"]), taken["bound_ueur"], taken["proven"])


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r:.60}, expected a whole number")
    return value
