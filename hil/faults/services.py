"""Services that stop: the back end between commit and acknowledgement, the chain; the broker has kill and start itself.

A crash of the back end inside this process is what kill -9 leaves: no word to the broker, nothing written after it, and
everything in memory gone. For a real kill -9 see hil.scd.
"""

import threading
from collections.abc import Callable, Sequence

from backend.adapters.mqtt import BrokerAccess, Incoming, MqttLink
from backend.errors import Unavailable
from backend.evidence.anchoring import Commitment, Fees, Market
from backend.ports import Block, ChainEvent, Ledger
from backend.wiring import Backend
from hil.bench import Bench
from hil.broker import Broker
from hil.pki import Pki


class Crashed(RuntimeError):
    """The back end ends here, on purpose."""


class _CrashingLink:
    """The link; its next acknowledgement is never sent."""

    def __init__(self, link: MqttLink, crashed: threading.Event) -> None:
        self._link = link
        self._crashed = crashed

    def incoming(self, limit: int, timeout_s: float) -> list[Incoming]:
        """As the link."""
        return self._link.incoming(limit, timeout_s)

    def publish(self, topic: str, payload: bytes) -> None:
        """As the link."""
        self._link.publish(topic, payload)

    def stop(self) -> None:
        """As the link."""
        self._link.stop()

    def done(self, _batch: list[Incoming]) -> None:
        """What was to be acknowledged is committed; nobody will hear of it."""
        hang_up(self._link)
        self._crashed.set()
        raise Crashed("between commit and acknowledgement")


def hang_up(link: MqttLink) -> None:
    """The connection to the broker ends without a word, and is not made again."""
    client = link._client
    client.loop_stop()
    if (sock := client.socket()) is not None:
        sock.close()


def crash_before_acknowledgement(backend: Backend) -> threading.Event:
    """The next batch is committed and then the back end's ingest is gone; set when it has happened."""
    crashed = threading.Event()
    backend._link = _CrashingLink(backend._link, crashed)  # type: ignore[assignment]
    return crashed


def access_of(broker: Broker, pki: Pki) -> BrokerAccess:
    """The back end's way to the broker."""
    mine = pki.client("backend")
    return BrokerAccess(broker.host, broker.port, pki.ca_pem, mine.cert_pem, mine.key_pem)


def kill_backend(backend: Backend) -> None:
    """What kill -9 leaves of it (see above); of one that crashed already, too."""
    link = backend._link
    hang_up(link._link if isinstance(link, _CrashingLink) else link)
    backend._stop.set()
    backend._worker.join(5)
    backend.store.close()


def another_backend(bench: Bench, ledger: Ledger | None = None, now_ms: Callable[[], int] | None = None) -> Backend:
    """A back end on the store of the bench's own, which was killed; it takes its place. ledger: else the bench's chain."""
    bench.backend = Backend(
        bench.folder, bench.identity, access_of(bench.broker, bench.pki), ledger or bench.chain.ledger,
        now_ms or (lambda: bench.conductor.now_ms),
    )  # fmt: skip
    bench.backend.start()
    return bench.backend


class ChainSwitch:
    """A ledger that can be taken away: while `is_on` is false every call is Unavailable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.is_on = True
        self.refused = 0
        self.chain_id, self.contract, self.log = ledger.chain_id, ledger.contract, ledger.log
        self.first_block = ledger.first_block

    def head(self) -> Block:
        """As the ledger."""
        return self._there().head()

    def block(self, number: int) -> Block:
        """As the ledger."""
        return self._there().block(number)

    def words(self, first: int, count: int, block: Block) -> list[bytes]:
        """As the ledger."""
        return self._there().words(first, count, block)

    def events(self, first: int, last: int) -> list[ChainEvent]:
        """As the ledger."""
        return self._there().events(first, last)

    def nonce(self, block: Block) -> int:
        """As the ledger."""
        return self._there().nonce(block)

    def market(self, block: Block) -> Market:
        """As the ledger."""
        return self._there().market(block)

    def refusal(self, commitments: Sequence[Commitment], block: Block) -> str:
        """As the ledger."""
        return self._there().refusal(commitments, block)

    def prepare(self, nonce: int, commitments: Sequence[Commitment], fees: Fees) -> bytes:
        """As the ledger."""
        return self._there().prepare(nonce, commitments, fees)

    def send(self, raw: bytes) -> None:
        """As the ledger."""
        self._there().send(raw)

    def _there(self) -> Ledger:
        if not self.is_on:
            self.refused += 1
            raise Unavailable("chain", "switched off")
        return self._ledger
