"""What the chain says, from outside the bundle: an anchors file, or an RPC endpoint of any Ethereum-compatible chain."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.evidence.verifier.finding import AnchorsUnavailable
from backend.nesting import too_deep

COMMITMENT_SELECTOR = "87d9f43b"
MAX_BYTES = 16 * 1024 * 1024
_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Anchors:
    """Commitment words by epoch (32 bytes), as contract `contract` on chain `chain_id` holds them for log `log`."""

    chain_id: int
    contract: bytes
    log: bytes
    words: Mapping[int, bytes]


def from_file(path: Path) -> Anchors:
    """Reads what `lightnode chain anchors` wrote; AnchorsUnavailable with one line if it is something else."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AnchorsUnavailable(f"{path}: more than {MAX_BYTES} bytes, not an anchors file")
        text = path.read_text("utf-8")
        if too_deep(text):
            raise AnchorsUnavailable(f"{path}: nested too deep for an anchors file")
        document = json.loads(text)
        words = {int(k): _octets(v, 32) for k, v in document["commitments"].items()}
        return Anchors(
            int(document["chain_id"]), _octets(document["contract"], 20), _octets(document["operator"], 32), words
        )
    except OSError as error:
        raise AnchorsUnavailable(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AnchorsUnavailable(f"{path} is not an anchors file: {type(error).__name__} {error}") from error


def from_rpc(url: str, contract: bytes, log: bytes, epochs: Iterable[int]) -> Anchors:
    """Asks a node for each epoch's word (eth_call at the latest block); AnchorsUnavailable if it does not know the contract."""
    words = {}
    try:
        chain_id = int(str(_call(url, "eth_chainId", [])), 16)
        for epoch in sorted(set(epochs)):
            call = {"to": "0x" + contract.hex(), "data": f"0x{COMMITMENT_SELECTOR}{log.hex()}{epoch:064x}"}
            words[epoch] = _octets(str(_call(url, "eth_call", [call, "latest"])), 32)
    except ValueError as error:
        raise AnchorsUnavailable(f"{url}: no AnchorLog answers at 0x{contract.hex()}: {error}") from error
    return Anchors(chain_id, contract, log, {k: v for k, v in words.items() if any(v)})


def _octets(text: str, length: int) -> bytes:
    octets = bytes.fromhex(text.removeprefix("0x"))
    if len(octets) != length:
        raise ValueError(f"{len(octets)} bytes where {length} belong")
    return octets


def _call(url: str, method: str, params: list[object]) -> object:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    try:
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            document = json.loads(answer.read(MAX_BYTES))
        return document["result"]
    except (OSError, urllib.error.URLError, ValueError, KeyError, TypeError) as error:
        raise AnchorsUnavailable(f"{url}: {method}: {error}") from error
