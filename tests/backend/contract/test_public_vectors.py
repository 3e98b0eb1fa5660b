"""The contract's proof of a checkpoint on the public inclusion vectors: what holds is proven, nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.contract import Interface, reason
from backend.adapters.rpc import RpcError
from backend.contract import anchor_log
from hil.anvil import Anvil
from hil.gas import GasMeter

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "vectors" / "merkle.json").read_text())[
    "inclusion"
]
LOG = b"V" * 32
FIRST, BATCH = 1000, 128
INTERFACE = Interface(anchor_log())


def expressible(vector: dict[str, Any]) -> bool:
    """Whether a call can say it at all: hashes of 32 bytes, numbers of 64 bits."""
    hashes = [vector["leaf"], vector["root"], *vector["path"]]
    return all(len(h) == 64 for h in hashes) and all(0 <= vector[n] < 1 << 64 for n in ("index", "size"))


@pytest.fixture
def ask(anvil: Callable[..., Anvil]) -> Callable[[int, dict[str, Any]], bool]:
    """ask(epoch, vector): whether the contract says that it holds; the roots stand there, an epoch each."""
    node = anvil()
    meter = GasMeter(node)
    meter.change("grant", LOG, "0x" + meter.address.hex(), True)
    said = [v for v in VECTORS if expressible(v)]
    for at in range(0, len(said), BATCH):
        part = said[at : at + BATCH]
        roots, sizes = [bytes.fromhex(v["root"]) for v in part], [v["size"] for v in part]
        meter.change("commit_many", LOG, FIRST + at, roots, sizes)

    def holds(epoch: int, vector: dict[str, Any]) -> bool:
        path = [bytes.fromhex(h) for h in vector["path"]]
        leaf = bytes.fromhex(vector["leaf"])
        data = INTERFACE.call("verify", LOG, epoch, vector["size"], leaf, vector["index"], path)
        try:
            found = node.do("eth_call", {"to": "0x" + meter.contract.hex(), "data": "0x" + data.hex()}, "latest")
        except RpcError as error:
            assert reason(error) in ("index", "path")
            return False
        return bool(INTERFACE.answer("verify", bytes.fromhex(found[2:])))

    return holds


def test_the_contract_agrees_with_the_public_vectors(ask: Callable[[int, dict[str, Any]], bool]) -> None:
    said = [v for v in VECTORS if expressible(v)]
    wrong = [v["name"] for k, v in enumerate(said) if ask(FIRST + k, v) != v["holds"]]
    assert not wrong
    assert sum(v["holds"] for v in said) >= 5 and len(said) > len(VECTORS) // 2
    assert not any(v["holds"] for v in VECTORS if not expressible(v))
