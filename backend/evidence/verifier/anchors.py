"""What the chain says, from outside the bundle: an anchors file, or an RPC endpoint of any Ethereum-compatible chain."""

import http.client
import json
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.evidence.verifier.finding import AnchorsUnavailable, one_line
from backend.nesting import too_deep

FORMAT = "lightnode-anchors/1"
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
    """Reads an anchors file (FORMAT.md); AnchorsUnavailable with one line if it is something else."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise AnchorsUnavailable(f"{path}: more than {MAX_BYTES} bytes, not an anchors file")
        return _anchors(_json(data))
    except OSError as error:
        raise AnchorsUnavailable(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = one_line(f"{type(error).__name__} {error}")
        raise AnchorsUnavailable(f"{path} is not an anchors file: {reason}") from error


def _json(data: bytes) -> Any:
    text = data.decode("utf-8")
    if too_deep(text):
        raise ValueError("nested too deep")
    return json.loads(text)


def _anchors(document: Any) -> Anchors:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"format is not {FORMAT}")
    chain_id, rows = document["chain_id"], document["commitments"]
    if type(chain_id) is not int or not 0 <= chain_id < 1 << 64:
        raise ValueError("chain_id is not a whole number")
    if not all(k.isdecimal() and k.isascii() and len(k) < 20 for k in rows):
        raise ValueError("an epoch is not a whole number")
    words = {int(k): _octets(v, 32) for k, v in rows.items()}
    if len(words) != len(rows):
        raise ValueError("an epoch is there twice")
    return Anchors(chain_id, _octets(document["contract"], 20), _octets(document["operator"], 32), words)


def from_rpc(url: str, contract: bytes, log: bytes, epochs: Iterable[int]) -> Anchors:
    """Asks a node for each epoch's word (eth_call at the latest block); AnchorsUnavailable if it does not know the contract."""
    words = {}
    try:
        chain_id = int(str(_call(url, "eth_chainId", [])), 16)
        for epoch in sorted(set(epochs)):
            call = {"to": "0x" + contract.hex(), "data": f"0x{COMMITMENT_SELECTOR}{log.hex()}{epoch:064x}"}
            words[epoch] = _octets(str(_call(url, "eth_call", [call, "latest"])), 32)
    except ValueError as error:
        reason = one_line(str(error))
        raise AnchorsUnavailable(f"{one_line(url)}: no AnchorLog answers at 0x{contract.hex()}: {reason}") from error
    return Anchors(chain_id, contract, log, {k: v for k, v in words.items() if any(v)})


def _octets(text: str, length: int) -> bytes:
    octets = bytes.fromhex(text.removeprefix("0x"))
    if len(octets) != length:
        raise ValueError(f"{len(octets)} bytes where {length} belong")
    return octets


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https and nothing else; follows no redirection."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _call(url: str, method: str, params: list[object]) -> object:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    try:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise AnchorsUnavailable(f"{one_line(url)}: only http and https are asked")
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        with _opener().open(request, timeout=_TIMEOUT_S) as answer:
            document = _json(answer.read(MAX_BYTES))
        return document["result"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = one_line(f"{type(error).__name__} {error}")
        raise AnchorsUnavailable(f"{one_line(url)}: {method}: {reason}") from error
