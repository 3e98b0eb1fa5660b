"""A chain in this process that also proves its state: block headers and Merkle proofs by py-evm and py-trie, not by us."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import rlp
from eth_hash.auto import keccak
from trie import HexaryTrie

from backend.adapters.ethereum import EmbeddedChain
from backend.adapters.state import _HEADER, _LATER, _NUMBERS


class ProvingChain(EmbeddedChain):
    """EmbeddedChain with eth_getProof; `serve_proofs` answers what a full node does."""

    def header(self, number: int) -> Any:
        return self._tester.backend.chain.get_canonical_block_header_by_number(number)

    def block(self, number: int) -> dict[str, str]:
        head = self.header(number)
        names = [*_HEADER, *_LATER][: len(rlp.decode(rlp.encode(head)))]
        fields = dict(zip(names, rlp.decode(rlp.encode(head)), strict=True))
        said = {k: hex(int.from_bytes(v, "big")) if k in _NUMBERS else "0x" + v.hex() for k, v in fields.items()}
        return {**said, "hash": "0x" + head.hash.hex()}

    def proof(self, address: str, slots: list[str], number: int) -> dict[str, Any]:
        database = self._tester.backend.chain.chaindb.db
        accounts, key = HexaryTrie(database, self.header(number).state_root), keccak(bytes.fromhex(address[2:]))
        storage = HexaryTrie(database, rlp.decode(accounts[key])[2])
        rows = [_nodes(storage, keccak(bytes.fromhex(slot[2:]))) for slot in slots]
        return {"accountProof": _nodes(accounts, key), "storageProof": [{"proof": row} for row in rows]}

    def serve_proofs(self) -> str:
        chain = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                params = asked["params"]
                if asked["method"] == "eth_getProof":
                    result: Any = chain.proof(params[0], params[1], int(params[2], 16))
                elif asked["method"] == "eth_chainId":
                    result = hex(chain.ledger.chain_id)
                else:
                    number = chain.ledger.head().number if params[0] == "finalized" else int(params[0], 16)
                    result = chain.block(number)
                body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._server = server
        return f"http://127.0.0.1:{server.server_port}"


def _nodes(trie: HexaryTrie, key: bytes) -> list[str]:
    return ["0x" + rlp.encode(node).hex() for node in trie.get_proof(key)]
