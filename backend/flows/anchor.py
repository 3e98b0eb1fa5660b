"""Evidence to chain: reconciles what should stand in the contract with what does; a receipt of a node decides nothing.

1. States come from the contract, read in bulk at the latest block and at confirmation depth, both pinned by their hash; if
   the chain was reorganised meanwhile, the picture is thrown away.
2. Exactly one nonce is in flight; the raw transaction is stored before it is broadcast, and broadcast again at each step
   until its nonce is used. When it is stuck it is replaced, with more on the fees and everything missing by then.
3. The block of a commitment is the one whose event says so (flows.certify). What is final is looked at again for
   WATCHED_EPOCHS, and whenever its event has gone. An endpoint that gives no events holds up no commitment.
4. A commitment that has gone, or another one in its place, is an alarm.
5. What the contract would refuse (paused, no role) is not sent: it costs and changes nothing. `trouble` says what is in
   the way, and is empty when nothing is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from backend.errors import Unavailable
from backend.evidence.anchoring import (
    ANCHORED,
    CONFLICT,
    FINAL,
    GWEI,
    REGRESSED,
    Commitment,
    Flight,
    Hold,
    Picture,
    fees_for,
    gas_limit,
    is_stuck,
    spans,
    state_of,
    to_send,
)
from backend.flows.certify import Certification
from backend.ports import AnchorStore, Block, Ledger

WATCHED_EPOCHS = 96


@dataclass(frozen=True, slots=True)
class Terms:
    """confirmations: blocks above one until it counts as final, 0 where blocks are final at once; max_fee_wei: the most
    that is offered per unit of gas."""

    confirmations: int = 2
    max_fee_wei: int = 500 * GWEI


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: the block at confirmation depth, the state of each desired epoch."""

    deep: Block
    states: Mapping[int, str]


def look(ledger: Ledger, head: Block, desired: Sequence[Commitment], before: Mapping[int, str], terms: Terms) -> Look:
    """The states as of a head (rule 1); before: as last noted. Raises Unavailable."""
    deep = ledger.block(max(0, head.number - terms.confirmations))
    epochs = [epoch for epoch, _, _ in desired]
    picture = Picture(_words(ledger, epochs, head), _words(ledger, epochs, deep))
    if ledger.block(head.number).hash != head.hash:
        raise Unavailable("chain", f"block {head.number} was replaced while it was read")
    return Look(deep, {e: state_of(e, root, count, before.get(e, ""), picture) for e, root, count in desired})


def _words(ledger: Ledger, epochs: Sequence[int], block: Block) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for first, count in spans(epochs):
        found.update(zip(range(first, first + count), ledger.words(first, count, block), strict=True))
    return found


class Anchoring:
    """One step at a time; may be killed between any two lines and started again."""

    def __init__(
        self,
        store: AnchorStore,
        ledger: Ledger,
        terms: Terms,
        now_ms: Callable[[], int],
        alarm: Callable[[str], None] = lambda _what: None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._terms = terms
        self._now_ms = now_ms
        self._alarm = alarm
        self._certification = Certification(store, alarm)
        self._states = dict(store.anchor_states())
        self.trouble = ""

    @property
    def settled(self) -> bool:
        """Whether every commitment was final, or lost to another, when it was last looked at."""
        states = (self._states.get(epoch, ("", 0))[0] for epoch, _, _ in self._store.desired(WATCHED_EPOCHS))
        return all(state in (FINAL, CONFLICT) for state in states)

    def step(self) -> Mapping[int, tuple[str, int]]:
        """Looks, notes the states, sends what is missing. Returns (state, block) by epoch; raises Unavailable."""
        self.trouble = ""
        ledger = self._ledger
        if self._nothing_to_do():
            return {}
        head = ledger.head()
        try:
            self._certification.follow(ledger, head)
        except Unavailable as away:
            self.trouble = str(away)
        desired = list(self._store.desired(WATCHED_EPOCHS))
        seen = look(ledger, head, desired, {epoch: state for epoch, (state, _) in self._states.items()}, self._terms)
        for epoch, state in seen.states.items():
            self._note(epoch, state)
        self._store.note_look(head, self._now_ms())
        if self._store.flights():
            self._store.forget_flights(ledger.nonce(seen.deep))
        missing = to_send(desired, {epoch: state for epoch, (state, _) in self._states.items()})
        if missing:
            self._send(missing, head)
        return dict(self._states)

    def _nothing_to_do(self) -> bool:
        return not self._states and not self._store.desired(WATCHED_EPOCHS)

    def _note(self, epoch: int, state: str) -> None:
        block = self._store.committed_in(epoch) if state in (ANCHORED, FINAL) else 0
        before = self._states.get(epoch, ("", 0))
        if before == (state, block):
            return
        if state in (REGRESSED, CONFLICT) and state != before[0]:
            what = "has gone from the chain" if state == REGRESSED else "stands on the chain with another root"
            self._alarm(f"the commitment of epoch {epoch} {what}")
        self._store.set_state(epoch, state, block)
        self._states[epoch] = (state, block)

    def _send(self, missing: Sequence[Commitment], head: Block) -> None:
        nonce = self._ledger.nonce(head)
        flying = self._store.flight(nonce)
        if flying is None or is_stuck(flying, head.number, head.base_fee_wei or 0):
            flying = self._made(nonce, missing, head, flying) or flying
        if flying is not None:
            self._ledger.send(flying.raw)

    def _made(self, nonce: int, missing: Sequence[Commitment], head: Block, stuck: Flight | None) -> Flight | None:
        """Another transaction, stored; None, and `trouble`, if there must be none."""
        market = self._ledger.market(head)
        fees = fees_for(market, gas_limit(missing), self._terms.max_fee_wei, stuck.fees if stuck else None)
        if isinstance(fees, Hold):
            self.trouble = fees.reason
        elif reason := self._ledger.refusal(missing, head):
            self.trouble = f"the contract refuses: {reason}"
        else:
            raw = self._ledger.prepare(nonce, missing, fees)
            made = Flight(nonce, raw, fees, missing[0][0], missing[-1][0], head.number)
            self._store.save_flight(made)
            return made
        return None
