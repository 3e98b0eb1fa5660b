"""Bad days of a chain, from a seed: lost requests and answers, crashes, reorganisations, fee spikes, stolen nonces, a
mempool that forgets; and the account of what anchoring made of them.

1. Faults come between any two calls that anchoring makes of store and ledger, and between its steps.
2. At any moment what the database shows as final stands on the chain, with the right root.
3. At the end every wanted epoch is on the chain exactly once, with the right root, and final.
"""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from lightwire.receipt import commitment_word

from backend.adapters.admin import ContractAdmin
from backend.adapters.chain_store import ChainStore
from backend.adapters.keys import SigningKey
from backend.adapters.ledger import Account, Call, ContractLedger, Place
from backend.adapters.rpc import Rpc
from backend.adapters.sqlite import SqliteStore
from backend.contract import anchor_log
from backend.errors import Unavailable
from backend.evidence.anchoring import BATCH, FINAL, GWEI, Fees
from backend.flows.anchor import Anchoring, Terms
from hil.anvil import CHAIN_ID, DEVELOPER_KEY, Anvil

LOG = b"C" * 32
DEEPEST_REORGANISATION = 12
TERMS = Terms(confirmations=DEEPEST_REORGANISATION + 1, max_fee_wei=300 * GWEI)
FIRST_EPOCH = 2_000_000
_LOST, _CRASH = 0.02, 0.01
_STEPS_PER_EPOCH = 40
_NAME = "chain"


class Crash(Exception):
    """The process ends here, on purpose."""


class LossyRpc:
    """A way to a node on which requests and answers get lost."""

    def __init__(self, rpc: Rpc, dice: random.Random, count: Counter[str]) -> None:
        self._rpc, self._dice, self._count = rpc, dice, count
        self.loss = 0.0

    def ask(self, method: str, *params: object) -> Any:
        """As the other, or Unavailable before or after it."""
        self._lose("requests lost")
        found = self._rpc.ask(method, *params)
        self._lose("answers lost")
        return found

    def broadcast(self, raw: bytes) -> list[str]:
        """As the other, or not at all; that nobody answered is no error."""
        if self._dice.random() < self.loss:
            self._count["requests lost"] += 1
            return []
        return self._rpc.broadcast(raw)

    def _lose(self, what: str) -> None:
        if self._dice.random() < self.loss:
            self._count[what] += 1
            raise Unavailable(_NAME, what)


class _Crashing:
    """A part of the process that may end before or after each of its calls."""

    def __init__(self, part: object, dice: random.Random) -> None:
        self._part, self._dice = part, dice

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not callable(found):
            return found

        def call(*arguments: object) -> Any:
            if self._dice.random() < _CRASH / 2:
                raise Crash(name)
            made = found(*arguments)
            if self._dice.random() < _CRASH / 2:
                raise Crash(name)
            return made

        return call


def deploy(anvil: Anvil, log: bytes, writer: bytes) -> Place:
    """AnchorLog on a node of the rig, deployed by its developer account, with a writer that has a role and funds."""
    admin = ContractAdmin(anvil.rpc, Account(SigningKey(DEVELOPER_KEY)), 500 * GWEI, 10)
    made = admin.deploy(anchor_log())
    admin.change(made.contract, anchor_log(), "grant", (log, "0x" + writer.hex(), True))
    anvil.do("anvil_setBalance", "0x" + writer.hex(), hex(100 * 10**18))
    return Place(made.contract, log, made.block)


class BadDays:
    """An operator's anchoring on a node, through faults."""

    def __init__(self, anvil: Anvil, folder: Path, seed: int, epochs: int) -> None:
        self._anvil, self._path, self._dice = anvil, folder / "scd.sqlite", random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.wanted = {FIRST_EPOCH + k: (self._dice.randbytes(32), 1 + k % 5) for k in range(epochs)}
        self._account = Account(SigningKey(self._dice.randbytes(32)))
        place = deploy(anvil, LOG, self._account.address)
        anvil.mine(DEEPEST_REORGANISATION + 4)
        anvil.do("evm_setAutomine", False)
        self._floor = int(str(anvil.do("eth_blockNumber")), 16)
        self._rpc = LossyRpc(anvil.rpc, self._dice, self.counts)
        self._lossy = ContractLedger(self._rpc, self._account, place)
        self.truth = ContractLedger(anvil.rpc, self._account, place)
        self._rpc.loss = _LOST
        self._start()

    def _start(self) -> None:
        """The process starts, again."""
        self.sqlite = SqliteStore(self._path)
        self.store = ChainStore(self.sqlite)
        store: Any = _Crashing(self.store, self._dice)
        ledger: Any = _Crashing(self._lossy, self._dice)
        while True:
            try:
                self._anchoring = Anchoring(store, ledger, TERMS, lambda: 0)
                return
            except Crash:
                self.counts["crashes"] += 1

    def run(self) -> None:
        """Until everything wanted is final; AssertionError, with the seed's story, if that takes unreasonably long."""
        waiting = list(self.wanted.items())
        for _ in range(_STEPS_PER_EPOCH * len(self.wanted)):
            if waiting and self._dice.random() < 0.5:
                epoch, (root, count) = waiting.pop(0)
                self.sqlite.save_epoch(epoch, root, count, [])
            self._step()
            self._weather()
            if not waiting and set(self.states().values()) == {FINAL}:
                return self.check_final()
        raise AssertionError(f"not final: {Counter(self.states().values())} after {dict(self.counts)}")

    def states(self) -> dict[int, str]:
        """What the database shows."""
        return {epoch: state for epoch, (state, _) in self.store.anchor_states().items()}

    def _step(self) -> None:
        self.counts["steps"] += 1
        try:
            self._anchoring.step()
        except Crash:
            self.counts["crashes"] += 1
            self.sqlite.close()
            self._start()
        except Unavailable:
            self.counts["unavailable"] += 1

    def _weather(self) -> None:
        """What happens between two steps: mostly a block."""
        fate = self._dice.random()
        if fate < 0.55:
            self._anvil.mine()
        elif fate < 0.60:
            self._reorganise(self._dice.randint(1, DEEPEST_REORGANISATION))
        elif fate < 0.63:
            self.counts["fee spikes"] += 1
            spike = self._dice.choice([2, 20, 100, 400]) * GWEI
            self._anvil.do("anvil_setNextBlockBaseFeePerGas", hex(spike))
        elif fate < 0.65:
            self._steal_nonce()
        elif fate < 0.67:
            self.counts["mempools dropped"] += 1
            self._anvil.do("anvil_dropAllTransactions")

    def _reorganise(self, depth: int) -> None:
        if int(str(self._anvil.do("eth_blockNumber")), 16) - depth <= self._floor:
            return
        self._anvil.reorganise(depth)
        self.counts["reorganisations"] += 1
        self.check_final()

    def _steal_nonce(self) -> None:
        """Somebody uses the key elsewhere."""
        head = self.truth.head()
        call = Call(self.truth.nonce(head), self._account.address, b"", 21_000)
        fee = 2 * (head.base_fee_wei or 0) + 1000 * GWEI
        self._anvil.rpc.broadcast(self._account.signed(CHAIN_ID, call, Fees(fee, 100 * GWEI), True))
        self.counts["nonces stolen"] += 1

    def check_final(self) -> None:
        """Rule 2, by a way to the node that loses nothing."""
        final = sorted(epoch for epoch, state in self.states().items() if state == FINAL)
        head = self.truth.head()
        for at in range(0, len(final), BATCH):
            part = final[at : at + BATCH]
            words = self.truth.words(part[0], min(BATCH, part[-1] - part[0] + 1), head)
            for epoch in [e for e in part if e - part[0] < BATCH]:
                root, count = self.wanted[epoch]
                found = words[epoch - part[0]]
                assert found == commitment_word(epoch, count, root), f"epoch {epoch} is shown final and is not on chain"

    def on_chain(self) -> list[tuple[int, bytes, int]]:
        """(epoch, root, count) of every event on the chain as it is, in order: rule 3."""
        events = self.truth.events(0, self.truth.head().number)
        facts = [event.facts for event in events if event.name == "Committed"]
        return [(int(f["epoch"]), bytes.fromhex(str(f["root"])[2:]), int(f["count"])) for f in facts]
