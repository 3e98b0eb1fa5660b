"""Commitments from outside the bundle: asked from a chain's endpoint, as strangers do."""

import json
import urllib.request
from collections.abc import Iterator

import pytest
from lightwire.receipt import commitment_word

from backend.adapters.ethereum import EmbeddedChain
from backend.evidence.anchoring import Fees
from backend.evidence.verifier.anchors import from_rpc
from backend.evidence.verifier.finding import AnchorsUnavailable

LOG = b"operator".rjust(32, b"\0")
ROOT = bytes(range(32))


@pytest.fixture(scope="module")
def chain() -> Iterator[EmbeddedChain]:
    made = EmbeddedChain(LOG)
    ledger = made.ledger
    ledger.send(ledger.prepare(ledger.nonce(ledger.head()), [(100, ROOT, 3)], Fees(10**10, 10**9)))
    made.advance()
    yield made
    made.close()


def test_a_chain_says_which_epochs_it_holds(chain: EmbeddedChain) -> None:
    found = from_rpc(chain.serve(), chain.ledger.contract, LOG, [100, 101])
    assert (found.chain_id, found.contract, found.log) == (chain.ledger.chain_id, chain.ledger.contract, LOG)
    assert found.words == {100: commitment_word(100, 3, ROOT)}


def test_another_contract_holds_nothing_or_is_no_contract(chain: EmbeddedChain) -> None:
    with pytest.raises(AnchorsUnavailable):
        from_rpc(chain.serve(), bytes(20), LOG, [100])


def test_an_endpoint_that_does_not_answer_is_named() -> None:
    with pytest.raises(AnchorsUnavailable, match=r"http://127\.0\.0\.1:9"):
        from_rpc("http://127.0.0.1:9", bytes(20), LOG, [100])


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"xx", -32700), (b"[" * 50_000, -32700), (b"[]", -32600), (b'{"id":1,"method":"eth_sendTransaction"}', -32601),
        (b'{"id":1,"method":"eth_call","params":[7]}', -32000),
    ],
)  # fmt: skip
def test_the_endpoint_answers_any_bytes_with_an_error_of_json_rpc(
    chain: EmbeddedChain, request_: bytes, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with urllib.request.urlopen(urllib.request.Request(chain.serve(), request_), timeout=10) as answer:
        assert json.loads(answer.read())["error"]["code"] == code
    assert "Traceback" not in capfd.readouterr().err
