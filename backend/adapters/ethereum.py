"""Ledger over web3: any Ethereum-compatible endpoint, or the embedded EVM in this process."""

import json
import threading
import warnings
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from backend.contract import anchor_log
from backend.errors import Unavailable

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

LOG_SPAN = 1000
READ_METHODS = ("eth_chainId", "eth_call", "eth_blockNumber")
GAS_COMMIT, GAS_EACH, GAS_DEPLOY = 150_000, 60_000, 4_000_000


class Web3Ledger:
    """The operator's log on a chain; the account pays and writes."""

    def __init__(self, web3: "Web3", account: "LocalAccount", contract: bytes, log: bytes, deployed_at: int) -> None:
        self._deployed_at = deployed_at
        self.last_answer = ""
        self._web3 = web3
        self._account = account
        self._lock = threading.Lock()
        self._abi = anchor_log().abi
        self.chain_id = int(web3.eth.chain_id)
        self.contract = contract
        self.log = log
        self._functions = web3.eth.contract(address=web3.to_checksum_address(contract), abi=self._abi).functions

    def head(self) -> int:
        """Number of the latest block."""
        return int(self._ask(lambda: self._web3.eth.block_number))

    def words(self, first: int, count: int, block: int) -> list[bytes]:
        """Words of epochs first.. as of a block."""
        if block < self._deployed_at:
            return [bytes(32)] * count
        call = self._functions.commitments(self.log, first, count)
        return [bytes(w) for w in self._ask(lambda: call.call(block_identifier=block))]

    def block_of(self, epoch: int, head: int) -> int:
        """From the event, looked for from the newest block down in steps that endpoints allow."""
        topic = "0x" + epoch.to_bytes(32, "big").hex()
        signature = self._web3.keccak(text="Committed(bytes32,uint64,bytes32,uint64)").to_0x_hex()
        for last in range(head, self._deployed_at - 1, -LOG_SPAN):
            asked: Any = {
                "address": self._web3.to_checksum_address(self.contract), "topics": [signature, "0x" + self.log.hex(), topic],
                "fromBlock": max(self._deployed_at, last - LOG_SPAN + 1), "toBlock": last,
            }  # fmt: skip
            if found := self._ask(lambda asked=asked: self._web3.eth.get_logs(asked)):
                return int(found[-1]["blockNumber"])
        raise Unavailable("chain", f"the endpoint gives no event for epoch {epoch}: does it keep logs?")

    def nonce(self, block: int) -> int:
        """The account's next nonce as of a block."""
        return int(self._ask(lambda: self._web3.eth.get_transaction_count(self._account.address, block)))

    def prepare(self, nonce: int, commitments: Sequence[tuple[int, bytes, int]], bump: int) -> bytes:
        """A signed raw transaction."""
        if len(commitments) == 1:
            epoch, root, count = commitments[0]
            call = self._functions.commit(self.log, epoch, root, count)
        else:
            first = commitments[0][0]
            rows = {epoch: (root, count) for epoch, root, count in commitments}
            span = [rows.get(first + k, (bytes(32), 0)) for k in range(commitments[-1][0] - first + 1)]
            call = self._functions.commit_many(self.log, first, [r for r, _ in span], [c for _, c in span])
        price = int(self._ask(lambda: self._web3.eth.gas_price)) or 1
        terms: Any = {
            "from": self._account.address,
            "nonce": nonce,
            "gas": GAS_COMMIT + GAS_EACH * len(commitments),
            "gasPrice": price * 2 * 1125**bump // 1000**bump,
            "chainId": self.chain_id,
        }
        signed = self._account.sign_transaction(dict(call.build_transaction(terms)))  # type: ignore[arg-type]
        return bytes(signed.raw_transaction)

    def send(self, raw: bytes) -> None:
        """Broadcasts, whatever the node answers."""
        with self._lock:
            try:
                self._web3.eth.send_raw_transaction(raw)
            except Exception as answer:
                self.last_answer = f"{type(answer).__name__}: {answer}"

    def _ask(self, call: Any) -> Any:
        with self._lock:
            try:
                return call()
            except (OSError, ValueError, TimeoutError) as error:
                raise Unavailable("chain", str(error)) from error


class EmbeddedChain:
    """A pip-only EVM in this process (eth-tester, py-evm): deploys AnchorLog, mines when asked, answers JSON-RPC."""

    def __init__(self, log: bytes) -> None:
        """log: the operator's id on chain (32 bytes)."""
        warnings.filterwarnings("ignore", category=UserWarning, module="eth_tester")
        from eth_account import Account
        from eth_tester import EthereumTester, PyEVMBackend
        from web3 import EthereumTesterProvider, Web3

        self._tester = EthereumTester(PyEVMBackend())
        self._web3 = Web3(EthereumTesterProvider(self._tester))
        self._server: ThreadingHTTPServer | None = None
        account = Account.create()
        bank = self._web3.eth.accounts[0]
        self._web3.eth.send_transaction({"from": bank, "to": account.address, "value": Web3.to_wei(100, "ether")})
        build = anchor_log()
        terms: Any = {"from": bank, "gas": GAS_DEPLOY}
        made = self._web3.eth.contract(abi=build.abi, bytecode=build.bytecode).constructor().transact(terms)
        receipt = self._web3.eth.wait_for_transaction_receipt(made)
        address = receipt["contractAddress"]
        functions = self._web3.eth.contract(address=address, abi=build.abi).functions
        functions.grant(log, account.address, True).transact({"from": bank})
        self.ledger = Web3Ledger(self._web3, account, bytes.fromhex(str(address)[2:]), log, receipt["blockNumber"])

    def advance(self, blocks: int = 1) -> None:
        """Mines."""
        with self.ledger._lock:
            self._tester.mine_blocks(blocks)

    def serve(self) -> str:
        """Starts a read-only JSON-RPC endpoint on a free loopback port and returns its URL."""
        ledger, web3 = self.ledger, self._web3

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                body = _answer(
                    web3, ledger._lock, self.rfile.read(min(int(length), 65536)) if length.isdigit() else b""
                )
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stops the endpoint."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _answer(web3: "Web3", lock: threading.Lock, request: bytes) -> bytes:
    """The answer of JSON-RPC 2.0 to any bytes; only questions, nothing that writes."""
    id: object = None
    try:
        asked = json.loads(request)
        if not isinstance(asked, dict):
            return _failed(id, -32600, "not a request")
        id = asked.get("id")
        if asked.get("method") not in READ_METHODS:
            return _failed(id, -32601, "read only: " + ", ".join(READ_METHODS))
        with lock:
            found = web3.manager.request_blocking(asked["method"], asked.get("params", []))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return _failed(id, -32700, "not JSON")
    except Exception as error:  # whatever the EVM makes of a stranger's parameters
        return _failed(id, -32000, f"{type(error).__name__}: {error}")
    result = hex(found) if isinstance(found, int) else found
    return json.dumps({"jsonrpc": "2.0", "id": id, "result": result}, default=_hex).encode()


def _failed(id: object, code: int, message: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}, default=str).encode()


def _hex(value: object) -> object:
    return "0x" + bytes(value).hex() if isinstance(value, bytes | bytearray) else str(value)
