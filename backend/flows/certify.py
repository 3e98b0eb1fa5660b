"""Chain to SCD: the contract's events are read again and again from a durable cursor, so that certification data is whole.

1. The cursor is a list of blocks with their hashes, newest first. If the newest is no longer on the chain, what was read
   after the youngest that still is has gone with it, and is read again; if none is, everything is.
2. Events of a span count only if the span's last block is the same before and after they were read: its hash commits to
   all before it.
3. At most SPANS_PER_STEP spans of SPAN_BLOCKS are read in a step: a long way to catch up holds nobody up. When a span
   cannot be had the next is half as long, as endpoints limit what they give; then longer again.
4. A commitment to an epoch that the SCD does not know, and every change of roles, admin or pause, is an alarm; what stood
   there before the SCD first looked is not, nor what a reorganisation only moved.
"""

from collections.abc import Callable

from backend.errors import Unavailable
from backend.ports import AnchorStore, Block, ChainEvent, Ledger

SPAN_BLOCKS = 1000
SPANS_PER_STEP = 16
KEPT_CURSORS = 128
COMMITTED = "Committed"


class Certification:
    """Follows the contract's events into the store."""

    def __init__(self, store: AnchorStore, alarm: Callable[[str], None]) -> None:
        self._store = store
        self._alarm = alarm
        self._span = SPAN_BLOCKS
        self._told: set[tuple[bytes, str]] = set()

    def follow(self, ledger: Ledger, head: Block) -> bool:
        """Reads on towards the head; True if it was reached. Raises Unavailable."""
        news = bool(self._store.cursors())
        at = self._still_on(ledger, head)
        for _ in range(SPANS_PER_STEP):
            if at >= head.number:
                break
            last = min(at + self._span, head.number)
            try:
                self._read(ledger, at + 1, head if last == head.number else ledger.block(last), news)
            except Unavailable:
                self._span = max(1, self._span // 2)
                raise
            at, self._span = last, min(SPAN_BLOCKS, self._span * 2)
        if at < head.number:
            return False
        self._told.clear()
        return True

    def _still_on(self, ledger: Ledger, head: Block) -> int:
        """The block up to which what was read still holds (rule 1)."""
        cursors = self._store.cursors()
        for number, known in cursors:
            now = head if number == head.number else ledger.block(number) if number < head.number else None
            if now is not None and now.hash == known:
                if number != cursors[0][0]:
                    self._forget(number)
                return number
        if cursors:
            self._forget(-1)
        return ledger.first_block - 1

    def _forget(self, above: int) -> None:
        self._told |= {_said(event) for event in self._store.certification() if event.block > above}
        self._store.forget_events(above)

    def _read(self, ledger: Ledger, first: int, last: Block, is_news: bool) -> None:
        events = ledger.events(first, last.number)
        if ledger.block(last.number).hash != last.hash:
            raise Unavailable("chain", f"block {last.number} was replaced while its events were read")
        ours = set(self._store.anchor_states()) if is_news and events else set()
        for event in events:
            if is_news and _said(event) not in self._told and (what := _remarkable(event, ours)):
                self._alarm(f"the contract says in block {event.block}: {what}")
        self._store.save_events(last, events, KEPT_CURSORS)


def _said(event: ChainEvent) -> tuple[bytes, str]:
    """What makes an event the same after a reorganisation."""
    return event.transaction, event.name


def _remarkable(event: ChainEvent, ours: set[int]) -> str:
    """What an operator must see of an event (rule 4); empty if nothing."""
    if event.name != COMMITTED:
        return f"{event.name} " + " ".join(f"{name} {value}" for name, value in event.facts.items())
    epoch = event.facts["epoch"]
    return "" if epoch in ours else f"epoch {epoch} was committed, which this database does not know"
