"""Several endpoints of a chain, on real nodes: the next one when one fails, none of another chain, no secret said."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from backend.adapters.rpc import MAX_BYTES, Endpoints, RpcError
from backend.errors import Rejected, Unavailable
from hil.anvil import Anvil

MakeAnvil = Callable[..., Anvil]
NOBODY = "http://127.0.0.1:9"


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    """An endpoint that always answers this."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_the_next_endpoint_answers_when_one_fails_and_stays_in_use(anvil: MakeAnvil) -> None:
    first, second = anvil(), anvil()
    second.mine(5)
    rpc = Endpoints([NOBODY, first.url, second.url], 31337)
    assert rpc.ask("eth_blockNumber") == "0x0"
    first.kill()
    assert rpc.ask("eth_blockNumber") == "0x5"
    first.start()
    assert rpc.ask("eth_blockNumber") == "0x5", "an endpoint that works is not left"
    second.kill()
    assert rpc.ask("eth_blockNumber") == "0x0"


def test_when_none_answers_each_is_named_without_its_secret() -> None:
    with answering(b"", 500) as other, pytest.raises(Unavailable) as away:
        Endpoints(["http://user:hidden@127.0.0.1:9/v3/hidden", f"{other}/hidden"], 1).ask("eth_blockNumber")
    said = str(away.value)
    assert "http://127.0.0.1:9: " in said and f"{other}: HTTP status 500" in said and "hidden" not in said


def test_a_node_of_another_chain_is_not_used(anvil: MakeAnvil) -> None:
    other, ours = anvil("--chain-id", "5"), anvil()
    ours.mine(3)
    rpc = Endpoints([other.url, ours.url], 31337)
    assert rpc.ask("eth_blockNumber") == "0x3"
    with pytest.raises(Unavailable, match="is a node of chain 5, not 31337"):
        Endpoints([other.url], 31337).ask("eth_blockNumber")


def test_an_endpoint_that_became_another_chain_is_left(anvil: MakeAnvil) -> None:
    node = anvil()
    rpc = Endpoints([node.url], 31337)
    rpc.ask("eth_blockNumber")
    node.kill()
    with pytest.raises(Unavailable):
        rpc.ask("eth_blockNumber")
    with pytest.raises(Unavailable):
        Endpoints([node.url], 5).ask("eth_blockNumber")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "does not answer JSON"),
        (b"\xff\xfe", "does not answer JSON"),
        (b"[1]", "does not answer JSON-RPC"),
        (b'{"jsonrpc":"2.0"}', "does not answer JSON-RPC"),
        (b'{"error":7}', "does not answer JSON-RPC"),
        (b'{"result":"0x1","error":{"code":1}}', "does not answer JSON-RPC"),
        (b'{"result":' + b"[" * 90_000, "does not answer JSON"),
        (b'{"result":"1"}', "does not say its chain"),
        (b'{"error":{"code":-32005,"message":"limit exceeded"}}', "-32005: limit exceeded"),
    ],
)
def test_an_answer_that_is_none_is_a_failed_endpoint(body: bytes, reason: str) -> None:
    with answering(body) as url, pytest.raises(Unavailable, match=reason):
        Endpoints([url], 1).ask("eth_blockNumber")


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    body = b'{"result":"' + b"0" * (MAX_BYTES + 10)
    with answering(body) as url, pytest.raises(Unavailable, match="more than"):
        Endpoints([url], 1).ask("eth_blockNumber")


def test_a_redirection_is_not_followed() -> None:
    with answering(b"", 302) as url, pytest.raises(Unavailable, match="HTTP status 302"):
        Endpoints([url], 1).ask("eth_blockNumber")


def test_what_a_contract_or_a_node_refuses_is_its_own_error(anvil: MakeAnvil) -> None:
    with pytest.raises(RpcError) as unknown:
        anvil().rpc.ask("eth_noSuchThing")
    assert not unknown.value.is_revert


@pytest.mark.parametrize(
    "urls", [[], ["file:///etc/passwd"], ["127.0.0.1:8545"], ["http://[::1"], ["http://h:0"], [""]]
)
def test_what_is_no_endpoint_is_refused(urls: list[str]) -> None:
    with pytest.raises(Rejected, match="endpoints"):
        Endpoints(urls, 1)


def test_a_transaction_goes_to_every_endpoint(anvil: MakeAnvil) -> None:
    first, second = anvil("--no-mining"), anvil("--no-mining")
    account = first.do("eth_accounts")[0]
    terms = {"gas": "0x5208", "gasPrice": "0x77359400", "nonce": "0x0", "value": "0x0"}
    signed = first.do("eth_signTransaction", {"from": account, "to": account, **terms})
    said = Endpoints([first.url, NOBODY, second.url], 31337).broadcast(bytes.fromhex(signed[2:]))
    assert len(said) == 3 and all(node.do("txpool_status")["pending"] == "0x1" for node in (first, second))
