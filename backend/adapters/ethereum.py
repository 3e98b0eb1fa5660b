"""The embedded chain: an EVM in this process (eth-tester, py-evm), for demo and unit tests; it ends with the process."""

import json
import os
import threading
import warnings
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from backend.adapters.keys import SigningKey
from backend.adapters.ledger import Account, ContractLedger, Place
from backend.adapters.rpc import REVERTED, RpcError
from backend.contract import anchor_log

if TYPE_CHECKING:
    from web3 import Web3

READ_METHODS = ("eth_chainId", "eth_call", "eth_blockNumber")
GAS_DEPLOY = 4_000_000
REFUSED = -32000


class EmbeddedRpc:
    """The embedded EVM asked as a node is."""

    def __init__(self, web3: "Web3") -> None:
        self.lock = threading.Lock()
        self._numbers: dict[str, str] = {}
        self._web3 = web3

    def ask(self, method: str, *params: object) -> Any:
        """The result in the forms of JSON-RPC; RpcError if the EVM or the contract refuses."""
        with self.lock:
            try:
                asked = [self._numbered(value) for value in params]
                return _plain(self._web3.manager.request_blocking(method, asked))  # type: ignore[arg-type]
            except Exception as error:  # whatever the EVM makes of a question
                raise RpcError(REVERTED if "revert" in str(error) else REFUSED, str(error)) from error

    def broadcast(self, raw: bytes) -> list[str]:
        """Mines it at once."""
        try:
            return [str(self.ask("eth_sendRawTransaction", "0x" + raw.hex()))]
        except RpcError as error:
            return [str(error)]

    def _numbered(self, value: object) -> object:
        """A block by its hash as its number, which is all that this EVM takes; it knows no other branch."""
        if not isinstance(value, dict) or "blockHash" not in value:
            return value
        hash = str(value["blockHash"])
        if hash not in self._numbers:
            self._numbers[hash] = hex(int(self._web3.eth.get_block(hash)["number"]))  # type: ignore[arg-type]
        return self._numbers[hash]


class EmbeddedChain:
    """A pip-only EVM in this process: deploys AnchorLog, mines when asked, answers JSON-RPC."""

    def __init__(self, log: bytes) -> None:
        """log: the operator's id on chain (32 bytes)."""
        warnings.filterwarnings("ignore", category=UserWarning, module="eth_tester")
        from eth_tester import EthereumTester, PyEVMBackend
        from web3 import EthereumTesterProvider, Web3

        self._tester = EthereumTester(PyEVMBackend())
        self.web3 = Web3(EthereumTesterProvider(self._tester))
        self.web3.middleware_onion.remove("ens_name_to_address")  # it takes an address in small letters for a name
        self.rpc = EmbeddedRpc(self.web3)
        self._server: ThreadingHTTPServer | None = None
        account = Account(SigningKey(os.urandom(32)))
        self.admin = self.web3.eth.accounts[0]
        writer = Web3.to_checksum_address(account.address)
        self.web3.eth.send_transaction({"from": self.admin, "to": writer, "value": Web3.to_wei(100, "ether")})
        build = anchor_log()
        terms: Any = {"from": self.admin, "gas": GAS_DEPLOY}
        made = self.web3.eth.contract(abi=build.abi, bytecode=build.bytecode).constructor().transact(terms)
        receipt = self.web3.eth.wait_for_transaction_receipt(made)
        address = receipt["contractAddress"]
        self.functions: Any = self.web3.eth.contract(address=address, abi=build.abi).functions
        self.functions.grant(log, writer, True).transact({"from": self.admin})
        place = Place(bytes.fromhex(str(address)[2:]), log, int(receipt["blockNumber"]))
        self.ledger = ContractLedger(self.rpc, account, place)

    def advance(self, blocks: int = 1) -> None:
        """Mines."""
        with self.rpc.lock:
            self._tester.mine_blocks(blocks)

    def serve(self) -> str:
        """Starts a read-only JSON-RPC endpoint on a free loopback port and returns its URL."""
        rpc = self.rpc

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                body = _answer(rpc, self.rfile.read(min(int(length), 65536)) if length.isdigit() else b"")
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


def _answer(rpc: EmbeddedRpc, request: bytes) -> bytes:
    """The answer of JSON-RPC 2.0 to any bytes; only questions, nothing that writes."""
    id: object = None
    try:
        asked = json.loads(request)
        if not isinstance(asked, dict):
            return _failed(id, -32600, "not a request")
        id = asked.get("id")
        if asked.get("method") not in READ_METHODS:
            return _failed(id, -32601, "read only: " + ", ".join(READ_METHODS))
        params = asked.get("params", [])
        if not isinstance(params, list):
            return _failed(id, -32602, "params are no list")
        found = rpc.ask(asked["method"], *params)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return _failed(id, -32700, "not JSON")
    except RpcError as error:
        return _failed(id, error.code, error.message)
    return json.dumps({"jsonrpc": "2.0", "id": id, "result": found}).encode()


def _failed(id: object, code: int, message: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}, default=str).encode()


def _plain(value: Any) -> Any:
    """What the EVM returns, in the forms of JSON-RPC."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    return hex(value) if isinstance(value, int) and not isinstance(value, bool) else value
