"""Anchoring on a real node: a thousand epochs through every fault of a chain, and each of the faults alone."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.admin import ContractAdmin
from backend.adapters.chain_store import ChainStore
from backend.adapters.keys import SigningKey
from backend.adapters.ledger import Account, Call, ContractLedger
from backend.adapters.sqlite import SqliteStore
from backend.contract import anchor_log
from backend.errors import Unavailable
from backend.evidence.anchoring import GWEI, Fees
from backend.flows.anchor import Anchoring, Terms
from hil.anvil import CHAIN_ID, DEVELOPER_KEY, Anvil
from hil.faults.chain import LOG, BadDays, deploy

MakeAnvil = Callable[..., Anvil]


def lived(anvil: MakeAnvil, folder: Path, seed: int, epochs: int) -> BadDays:
    node = anvil("--order", "fees", "--prune-history", "100000")  # all states in memory: on disk it loses some
    days = BadDays(node, folder, seed, epochs)
    try:
        days.run()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    assert sorted(days.on_chain()) == sorted((e, root, count) for e, (root, count) in days.wanted.items()), (
        f"seed {seed}"
    )
    print(f"seed {seed}: {epochs} epochs, {dict(days.counts)}")
    return days


def test_every_epoch_is_on_chain_once_through_every_fault_of_a_chain(anvil: MakeAnvil, tmp_path: Path) -> None:
    counts = lived(anvil, tmp_path, seed=1, epochs=25).counts
    assert counts["crashes"] and counts["reorganisations"] and counts["requests lost"] and counts["answers lost"]


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("seed", "epochs"), [(100, 1000), *[(seed, 100) for seed in range(101, 105)]])
def test_a_thousand_epochs_through_every_fault_of_a_chain(
    anvil: MakeAnvil, tmp_path: Path, seed: int, epochs: int
) -> None:
    counts: Counter[str] = lived(anvil, tmp_path, seed, epochs).counts
    happened = (
        "crashes",
        "requests lost",
        "answers lost",
        "reorganisations",
        "fee spikes",
        "nonces stolen",
        "mempools dropped",
    )
    assert all(counts[what] for what in happened)


TWO = Terms(2, 100 * GWEI)


class Desk:
    """An operator's database and anchoring on a node that mines when asked."""

    def __init__(self, node: Anvil, folder: Path, terms: Terms = TWO, funds_wei: int = 10**20) -> None:
        self.node, self.terms, self.alarms = node, terms, []  # type: ignore[var-annotated]
        self.sqlite = SqliteStore(folder / "scd.sqlite")
        self.store = ChainStore(self.sqlite)
        account = Account(SigningKey(b"\x07" * 32))
        place = deploy(node, LOG, account.address)
        node.do("anvil_setBalance", "0x" + account.address.hex(), hex(funds_wei))
        node.mine(20)
        node.do("evm_setAutomine", False)
        self.ledger = ContractLedger(node.rpc, account, place)
        self.restart()

    def restart(self) -> None:
        self.anchoring = Anchoring(self.store, self.ledger, self.terms, lambda: 0, self.alarms.append)

    def want(self, *epochs: int) -> None:
        for epoch in epochs:
            self.sqlite.save_epoch(epoch, bytes([epoch % 256]) * 32, 5, [])

    def step(self, mined: int = 0) -> dict[int, str]:
        self.node.mine(mined) if mined else None
        self.anchoring.step()
        return {epoch: state for epoch, (state, _) in self.store.anchor_states().items()}

    def block(self, epoch: int) -> int:
        return self.store.anchor_states()[epoch][1]


E1 = 2_000_000


def test_states_follow_the_chain_from_pending_to_final_and_back(anvil: MakeAnvil, tmp_path: Path) -> None:
    desk = Desk(anvil(), tmp_path)
    desk.want(E1)
    assert desk.step() == {E1: "pending"}
    assert desk.step(mined=1) == {E1: "anchored"}
    assert desk.step(mined=1) == {E1: "anchored"}, "one block above, two are asked for"
    assert desk.step(mined=1) == {E1: "final"} and desk.anchoring.settled
    desk.node.reorganise(8)
    assert desk.step() == {E1: "regressed"} and not desk.anchoring.settled
    assert desk.alarms == [f"the commitment of epoch {E1} has gone from the chain"]
    assert desk.step(mined=1) == {E1: "anchored"}
    assert desk.step(mined=2) == {E1: "final"}


def test_the_block_is_that_of_the_chain_as_it_is_after_a_reorganisation(anvil: MakeAnvil, tmp_path: Path) -> None:
    desk = Desk(anvil(), tmp_path)
    desk.want(E1)
    desk.step()
    desk.step(mined=1)
    before = desk.block(E1)
    assert before == desk.ledger.head().number
    desk.node.reorganise(2)
    desk.step()
    assert desk.block(E1) == 0, "no event says so any more"
    desk.restart()
    desk.step(mined=1)
    assert desk.block(E1) == desk.ledger.head().number == before + 1
    assert [e.block for e in desk.store.certification() if e.name == "Committed"] == [before + 1]


def test_an_old_final_commitment_that_goes_is_seen_by_its_event(anvil: MakeAnvil, tmp_path: Path) -> None:
    desk = Desk(anvil(), tmp_path)
    desk.want(E1)
    desk.step()
    desk.step(mined=1)
    desk.want(E1 + 500)
    assert desk.step(mined=3)[E1] == "final"
    desk.node.reorganise(6)
    assert desk.step()[E1] == "regressed", "long outside the epochs that are looked at each time"


def test_a_stuck_transaction_is_replaced_with_more_on_both_fees_and_everything_missing(
    anvil: MakeAnvil, tmp_path: Path
) -> None:
    desk = Desk(anvil(), tmp_path)
    desk.want(E1)
    desk.step()
    first = desk.store.flights()[0]
    desk.want(E1 + 1)
    desk.step()
    assert desk.store.flights() == [first], "not stuck: sent again as it is"
    desk.node.do("anvil_dropAllTransactions")
    desk.node.mine(3)
    desk.node.do("anvil_dropAllTransactions")
    desk.step()
    (second,) = desk.store.flights()
    assert (second.nonce, second.first, second.last) == (first.nonce, E1, E1 + 1)
    assert (
        second.fees.max_fee_wei * 8 >= first.fees.max_fee_wei * 9 and second.fees.tip_wei * 8 >= first.fees.tip_wei * 9
    )
    assert desk.step(mined=1) == {E1: "anchored", E1 + 1: "anchored"}


def test_a_base_fee_above_the_offer_replaces_at_once_and_above_the_ceiling_waits(
    anvil: MakeAnvil, tmp_path: Path
) -> None:
    desk = Desk(anvil(), tmp_path)
    desk.want(E1)
    desk.step()
    offered = desk.store.flights()[0].fees.max_fee_wei
    desk.node.do("anvil_dropAllTransactions")
    desk.node.do("anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    desk.step(mined=1)
    assert desk.store.flights()[0].fees.max_fee_wei == 100 * GWEI > offered, "at most the ceiling"
    desk.node.do("anvil_dropAllTransactions")
    desk.node.do("anvil_setNextBlockBaseFeePerGas", hex(200 * GWEI))
    assert desk.step(mined=1) == {E1: "pending"}
    assert "is above the ceiling of 100 Gwei" in desk.anchoring.trouble
    desk.node.do("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    desk.step(mined=1)
    assert desk.step(mined=1) == {E1: "anchored"} and desk.anchoring.trouble == ""


def test_a_stolen_nonce_only_costs_a_step(anvil: MakeAnvil, tmp_path: Path) -> None:
    desk = Desk(anvil(), tmp_path)
    desk.want(E1)
    desk.step()
    stolen = desk.store.flights()[0].nonce
    desk.node.do("anvil_dropAllTransactions")
    call = Call(stolen, desk.ledger.address, b"", 21_000)
    account = Account(SigningKey(b"\x07" * 32))
    desk.node.rpc.broadcast(account.signed(CHAIN_ID, call, Fees(100 * GWEI, GWEI), True))
    assert desk.step(mined=1) == {E1: "pending"}
    assert [flight.nonce for flight in desk.store.flights()] == [stolen, stolen + 1]
    assert desk.step(mined=1) == {E1: "anchored"}


def test_hours_without_a_chain_and_a_chain_that_was_rolled_back(anvil: MakeAnvil, tmp_path: Path) -> None:
    node = anvil(state=True)
    desk = Desk(node, tmp_path)
    node.stop()
    node.start()
    node.do("evm_setAutomine", False)
    desk.want(E1)
    desk.step()
    assert desk.step(mined=3) == {E1: "final"}
    node.kill()  # what it acknowledged since it was started is lost
    for k in range(1, 13):
        desk.want(E1 + k)
        with pytest.raises(Unavailable):
            desk.step()
        desk.restart()
    node.start()
    node.do("evm_setAutomine", False)
    assert desk.step()[E1] == "regressed"
    assert set(desk.step(mined=1).values()) == {"anchored"}
    assert set(desk.step(mined=2).values()) == {"final"}


@pytest.mark.parametrize(
    "options",
    [
        ("--gas-price", "0", "--block-base-fee-per-gas", "0", "--disable-min-priority-fee"),
        ("--hardfork", "berlin", "--gas-price", "0"),
    ],
)
def test_a_key_without_funds_writes_on_a_chain_without_fees(
    anvil: MakeAnvil, tmp_path: Path, options: tuple[str, ...]
) -> None:
    desk = Desk(anvil(*options), tmp_path, Terms(0), funds_wei=0)
    desk.want(*range(E1, E1 + 5))
    desk.step()
    assert set(desk.step(mined=1).values()) == {"final"}, "blocks that are final at once: no confirmations"
    assert desk.node.do("eth_getBalance", "0x" + desk.ledger.address.hex(), "latest") == "0x0"


def test_a_chain_from_before_base_fees_takes_a_gas_price(anvil: MakeAnvil, tmp_path: Path) -> None:
    desk = Desk(anvil("--hardfork", "berlin"), tmp_path)
    desk.want(E1, E1 + 1)
    desk.step()
    assert set(desk.step(mined=1).values()) == {"anchored"}


def test_without_funds_on_a_chain_with_fees_it_is_said(anvil: MakeAnvil, tmp_path: Path) -> None:
    desk = Desk(anvil(), tmp_path, funds_wei=1000)
    desk.want(E1)
    assert desk.step() == {E1: "pending"} and "of funds do not cover" in desk.anchoring.trouble


def test_changes_of_the_contract_and_epochs_of_others_are_alarms(anvil: MakeAnvil, tmp_path: Path) -> None:
    desk = Desk(anvil(), tmp_path)
    desk.want(E1)
    desk.step()
    desk.step(mined=1)
    assert desk.alarms == [], "what stood there before is no news"
    desk.sqlite.save_epoch(E1 + 9, b"x" * 32, 5, [])
    desk.step()
    desk.sqlite.change("delete from epoch where epoch = ?", E1 + 9)
    desk.node.do("evm_setAutomine", True)
    admin = ContractAdmin(desk.node.rpc, Account(SigningKey(DEVELOPER_KEY)), 100 * GWEI, 5)
    admin.change(desk.ledger.contract, anchor_log(), "set_paused", (True,))
    desk.restart()
    desk.step(mined=1)
    assert any(f"epoch {E1 + 9} was committed, which this database does not know" in what for what in desk.alarms)
    assert any("Paused state True" in what for what in desk.alarms)


class NoLogs:
    """The node behind an endpoint that gives the events of few blocks at a time, or of none."""

    def __init__(self, rpc: Any, most_blocks: int) -> None:
        self._rpc, self.most_blocks = rpc, most_blocks

    def ask(self, method: str, *params: Any) -> Any:
        if method == "eth_getLogs":
            blocks = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if blocks > self.most_blocks:
                raise Unavailable("chain", f"at most {self.most_blocks} blocks")
        return self._rpc.ask(method, *params)

    def broadcast(self, raw: bytes) -> Any:
        return self._rpc.broadcast(raw)


def test_an_endpoint_without_events_holds_up_no_commitment_and_one_with_few_is_asked_for_few(
    anvil: MakeAnvil, tmp_path: Path
) -> None:
    desk = Desk(anvil(), tmp_path)
    endpoint = NoLogs(desk.node.rpc, 0)
    desk.ledger._rpc = endpoint
    desk.want(E1)
    desk.step()
    assert desk.step(mined=3) == {E1: "final"} and desk.block(E1) == 0 and "at most 0" in desk.anchoring.trouble
    endpoint.most_blocks = 7
    for _ in range(12):
        desk.step()
    assert desk.block(E1) > 0 and desk.anchoring.trouble == ""


def test_after_a_restart_events_are_read_from_the_cursor_on_and_a_reorganisation_from_where_chains_part(
    anvil: MakeAnvil, tmp_path: Path
) -> None:
    desk = Desk(anvil(), tmp_path)
    desk.want(E1)
    desk.step()
    read: list[tuple[int, int]] = []
    asked = desk.ledger.events
    desk.ledger.events = lambda first, last: read.append((first, last)) or asked(first, last)  # type: ignore[method-assign, func-returns-value]
    head = desk.ledger.head().number
    desk.step(mined=4)
    desk.restart()
    desk.step(mined=3)
    desk.node.reorganise(2)
    desk.step(mined=1)
    assert read == [(head + 1, head + 4), (head + 5, head + 7), (head + 5, head + 8)]
