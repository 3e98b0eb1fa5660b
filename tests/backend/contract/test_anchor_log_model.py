"""AnchorLog against a model of it in Python: random sequences of everything that anybody may call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from lightwire.receipt import commitment_word

from backend.adapters.contract import Interface, reason
from backend.adapters.rpc import RpcError
from backend.contract import anchor_log
from hil.anvil import Anvil

BOUNDS = settings(deadline=None, suppress_health_check=list(HealthCheck))
INTERFACE = Interface(anchor_log())

LOGS = (b"A" * 32, b"B" * 32)
EPOCHS = 6
WHO = st.integers(0, 3)
ROOTS = st.sampled_from([b"r" * 32, b"s" * 32, bytes(32)])
COUNTS = st.integers(0, 3)


@dataclass
class Model:
    """What the contract should hold, and what it should refuse."""

    admin: int = 0
    pending: int | None = None
    paused: bool = False
    grants: set[tuple[bytes, int]] = field(default_factory=set)
    words: dict[tuple[bytes, int], bytes] = field(default_factory=dict)

    def grant(self, who: int, log: bytes, account: int, allowed: bool) -> str:
        if who != self.admin:
            return "admin"
        (self.grants.add if allowed else self.grants.discard)((log, account))
        return ""

    def offer_admin(self, who: int, account: int) -> str:
        if who != self.admin:
            return "admin"
        self.pending = account
        return ""

    def accept_admin(self, who: int) -> str:
        if who != self.pending:
            return "admin"
        self.admin, self.pending = who, None
        return ""

    def set_paused(self, who: int, state: bool) -> str:
        if who != self.admin:
            return "admin"
        self.paused = state
        return ""

    def commit(self, who: int, log: bytes, epoch: int, root: bytes, count: int) -> str:
        if self.paused or (log, who) not in self.grants:
            return "paused" if self.paused else "role"
        if count == 0 or (log, epoch) in self.words:
            return "count" if count == 0 else "taken"
        self.words[log, epoch] = commitment_word(epoch, count, root)
        return ""

    def commit_many(self, who: int, log: bytes, first: int, roots: list[bytes], counts: list[int]) -> str:
        if self.paused or (log, who) not in self.grants:
            return "paused" if self.paused else "role"
        if len(roots) != len(counts):
            return "length"
        for k, (root, count) in enumerate(zip(roots, counts, strict=True)):
            if count:
                self.words.setdefault((log, first + k), commitment_word(first + k, count, root))
        return ""


class AgainstTheContract(RuleBasedStateMachine):
    """Each call on both: the same refusal or none; afterwards the same state."""

    node: Anvil
    contract: str
    start: str

    def __init__(self) -> None:
        super().__init__()
        assert self.node.do("evm_revert", self.start)
        type(self).start = self.node.do("evm_snapshot")
        self.model = Model()
        self.accounts: list[str] = self.node.do("eth_accounts")[:4]

    def ask(self, name: str, *arguments: Any) -> Any:
        call = {"to": self.contract, "data": "0x" + INTERFACE.call(name, *arguments).hex()}
        return INTERFACE.answer(name, bytes.fromhex(self.node.do("eth_call", call, "latest")[2:]))

    def both(self, name: str, who: int, *arguments: Any) -> None:
        expected = getattr(self.model, name)(who, *arguments)
        named = [self.accounts[a] if name in ("grant", "offer_admin") and type(a) is int else a for a in arguments]
        call = {"from": self.accounts[who], "to": self.contract, "data": "0x" + INTERFACE.call(name, *named).hex()}
        try:
            self.node.do("eth_call", call, "latest")
            self.node.do("eth_sendTransaction", {**call, "gas": "0xf4240"})
            self.node.do("evm_mine")
            refused = ""
        except RpcError as error:
            refused = reason(error)
        assert refused == expected, f"{name}: {expected!r}, the contract: {refused!r}"

    @rule(who=WHO, log=st.sampled_from(LOGS), account=WHO, allowed=st.booleans())
    def grant(self, who: int, log: bytes, account: int, allowed: bool) -> None:
        self.both("grant", who, log, account, allowed)

    @rule(log=st.sampled_from(LOGS), account=WHO)
    def grant_by_admin(self, log: bytes, account: int) -> None:
        self.both("grant", self.model.admin, log, account, True)

    @rule(who=WHO, account=WHO)
    def offer_admin(self, who: int, account: int) -> None:
        self.both("offer_admin", who, account)

    @rule(who=WHO)
    def accept_admin(self, who: int) -> None:
        self.both("accept_admin", who)

    @rule(who=WHO, state=st.booleans())
    def set_paused(self, who: int, state: bool) -> None:
        self.both("set_paused", who, state)

    @rule(who=WHO, log=st.sampled_from(LOGS), epoch=st.integers(0, EPOCHS - 1), root=ROOTS, count=COUNTS)
    def commit(self, who: int, log: bytes, epoch: int, root: bytes, count: int) -> None:
        self.both("commit", who, log, epoch, root, count)

    @precondition(lambda self: self.model.grants and not self.model.paused)
    @rule(
        pick=st.integers(0, 7),
        first=st.integers(0, 3),
        rows=st.lists(st.tuples(ROOTS, COUNTS), max_size=3),
        spare=st.booleans(),
    )
    def commit_many(self, pick: int, first: int, rows: list[tuple[bytes, int]], spare: bool) -> None:
        log, who = sorted(self.model.grants)[pick % len(self.model.grants)]
        self.both("commit_many", who, log, first, [r for r, _ in rows], [c for _, c in rows] + [1] * spare)

    @invariant()
    def the_same_state(self) -> None:
        for log in LOGS:
            words = self.ask("commitments", log, 0, EPOCHS)
            assert list(words) == [self.model.words.get((log, epoch), bytes(32)) for epoch in range(EPOCHS)]
        assert self.ask("paused") == self.model.paused
        assert self.ask("admin") == self.accounts[self.model.admin].lower()


@pytest.fixture
def node(anvil: Callable[..., Anvil]) -> Anvil:
    """A node with the contract; a transaction that the contract refuses is refused when it is sent."""
    made = anvil("--no-mining")
    data = anchor_log().bytecode
    sent = made.do("eth_sendTransaction", {"from": made.do("eth_accounts")[0], "data": data, "gas": "0x4c4b40"})
    made.do("evm_mine")
    AgainstTheContract.node = made
    AgainstTheContract.contract = made.do("eth_getTransactionReceipt", sent)["contractAddress"]
    AgainstTheContract.start = made.do("evm_snapshot")
    return made


@pytest.mark.usefixtures("node")
def test_contract_and_model_agree_on_a_sample() -> None:
    run_state_machine_as_test(AgainstTheContract, settings=settings(BOUNDS, max_examples=8, stateful_step_count=20))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("node")
def test_contract_and_model_agree() -> None:
    run_state_machine_as_test(AgainstTheContract, settings=settings(BOUNDS, max_examples=60, stateful_step_count=50))
