"""Evidence to chain: reconciles what should stand in the contract with what does; a receipt of a node decides nothing.

1. States come from the contract, read in bulk at the latest block and at confirmation depth.
2. Exactly one nonce is in flight; the raw transaction is stored before it is broadcast, and broadcast again until its
   nonce is used. When it is stuck, it is replaced with 12.5 % more on the fee and everything missing by then.
3. The block of a commitment is the one whose event says so. What is final is looked at again for WATCHED_EPOCHS.
4. A commitment that has gone, or another one in its place, is an alarm.
"""

from collections.abc import Callable, Mapping

from backend.evidence.anchoring import ANCHORED, CONFLICT, FINAL, REGRESSED, Picture, state_of, to_send
from backend.ports import AnchorStore, Ledger

STUCK_STEPS = 3
WATCHED_EPOCHS = 96


class Anchoring:
    """One step at a time; may be killed between any two lines and started again."""

    def __init__(
        self, store: AnchorStore, ledger: Ledger, confirmations: int, alarm: Callable[[str], None] = lambda _what: None
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._confirmations = confirmations
        self._alarm = alarm
        self._states = dict(store.anchor_states())
        self._waited = 0

    @property
    def settled(self) -> bool:
        """Whether every commitment was final, or lost to another, when it was last looked at."""
        return all(self._states.get(epoch) in (FINAL, CONFLICT) for epoch, _, _ in self._store.desired(WATCHED_EPOCHS))

    def step(self) -> Mapping[int, str]:
        """Looks, notes the states, sends what is missing. Returns the states by epoch; raises Unavailable."""
        desired = list(self._store.desired(WATCHED_EPOCHS))
        if not desired:
            return {}
        head = self._ledger.head()
        deep = max(0, head - self._confirmations)
        picture = Picture(self._words(desired, head), self._words(desired, deep))
        for epoch, root, count in desired:
            state = state_of(epoch, root, count, self._states.get(epoch, ""), picture)
            if self._states.get(epoch) != state:
                self._note(epoch, state, head)
        missing = to_send(desired, self._states)
        if missing:
            self._send(missing, self._ledger.nonce(head))
        return dict(self._states)

    def _note(self, epoch: int, state: str, head: int) -> None:
        block = self._ledger.block_of(epoch, head) if state in (ANCHORED, FINAL) else 0
        if state in (REGRESSED, CONFLICT):
            what = "has gone from the chain" if state == REGRESSED else "stands on the chain with another root"
            self._alarm(f"the commitment of epoch {epoch} {what}")
        self._store.set_state(epoch, state, block)
        self._states[epoch] = state

    def _words(self, desired: list[tuple[int, bytes, int]], block: int) -> dict[int, bytes]:
        first, last = min(d[0] for d in desired), max(d[0] for d in desired)
        found: dict[int, bytes] = {}
        for start in range(first, last + 1, 128):
            words = self._ledger.words(start, min(128, last + 1 - start), block)
            found.update(zip(range(start, start + len(words)), words, strict=True))
        return found

    def _send(self, missing: list[tuple[int, bytes, int]], nonce: int) -> None:
        flying = self._store.in_flight()
        if flying is not None and flying[0] >= nonce:
            self._waited += 1
            if self._waited < STUCK_STEPS:
                self._ledger.send(flying[1])
                return
            bump = flying[2] + 1
        else:
            bump = 0
        self._waited = 0
        raw = self._ledger.prepare(nonce, missing, bump)
        self._store.save_in_flight(nonce, raw, bump)
        self._ledger.send(raw)
