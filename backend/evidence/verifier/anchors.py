"""What the chain says, from outside the bundle: an anchors file, or RPC endpoints of any Ethereum-compatible chain.

1. Of several endpoints each is asked on its own; a word counts when at least a quorum of them gives it, and none when as
   many give another.
"""

import http.client
import json
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from backend.evidence.verifier.finding import AnchorsUnavailable, NotValid, one_line
from backend.evidence.verifier.sheet import number, octets, record
from backend.evidence.verifier.state import prove
from backend.nesting import too_deep

FORMAT = "lightnode-anchors/1"
STATE_FORMAT = "lightnode-state/1"
STATE_FIELDS = ("format", "chain_id", "contract", "operator", "state")
COMMITMENT_SELECTOR = "87d9f43b"
COMMITMENTS_SELECTOR = "f939fbbe"
AT_ONCE = 128
MAX_BYTES = 16 * 1024 * 1024
_TIMEOUT_S = 10
Said = TypeVar("Said", int, bytes)


@dataclass(frozen=True, slots=True)
class Anchors:
    """Commitment words by epoch (32 bytes), as contract `contract` on chain `chain_id` holds them for log `log`."""

    chain_id: int
    contract: bytes
    log: bytes
    words: Mapping[int, bytes]


def from_file(path: Path, block_hash: bytes | None = None) -> Anchors:
    """Reads an anchors file (FORMAT.md); AnchorsUnavailable with one line if it is something else.

    With the hash of a block known to be final the file is a state proof of that block, and nobody is trusted for it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise AnchorsUnavailable(f"{path}: more than {MAX_BYTES} bytes, not an anchors file")
        document = _json(data)
        return _anchors(document) if block_hash is None else _proven(document, block_hash)
    except NotValid as finding:
        raise AnchorsUnavailable(f"{path} is no state proof: {finding}") from finding
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


def _proven(document: Any, block_hash: bytes) -> Anchors:
    table = record(document, STATE_FIELDS, "file")
    if table["format"] != STATE_FORMAT:
        raise ValueError(f"format is not {STATE_FORMAT}")
    contract, log = octets(table["contract"], "contract", 20), octets(table["operator"], "operator", 32)
    proof = prove(table["state"], contract, log, "state")
    if proof.block_hash != block_hash:
        raise NotValid("state", f"is of block {proof.block_hash.hex()}, not of the block that you named")
    return Anchors(number(table["chain_id"], "chain_id"), contract, log, proof.words)


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
        chain_id = int(str(ask(url, "eth_chainId", [])), 16)
        for epoch in sorted(set(epochs)):
            call = {"to": "0x" + contract.hex(), "data": f"0x{COMMITMENT_SELECTOR}{log.hex()}{epoch:064x}"}
            words[epoch] = _octets(str(ask(url, "eth_call", [call, "latest"])), 32)
    except ValueError as error:
        reason = one_line(str(error))
        raise AnchorsUnavailable(f"{one_line(url)}: no AnchorLog answers at 0x{contract.hex()}: {reason}") from error
    return Anchors(chain_id, contract, log, {k: v for k, v in words.items() if any(v)})


def from_quorum(urls: Sequence[str], quorum: int, contract: bytes, log: bytes, epochs: Iterable[int]) -> Anchors:
    """What at least a quorum of the endpoints says (rule 1); AnchorsUnavailable if they do not agree, or too few answer."""
    asked = sorted(set(epochs))
    answers, failures = [], []
    for url in urls:
        try:
            answers.append(from_rpc(url, contract, log, asked))
        except AnchorsUnavailable as failure:
            failures.append(str(failure))
    if len(answers) < quorum:
        raise AnchorsUnavailable(
            f"{len(answers)} of {len(urls)} endpoints answer, {quorum} must: {'; '.join(failures)}"
        )
    chain_id = _agreed("the chain id", [one.chain_id for one in answers], quorum)
    words = {e: _agreed(f"epoch {e}", [one.words.get(e, bytes(32)) for one in answers], quorum) for e in asked}
    return Anchors(chain_id, contract, log, {e: word for e, word in words.items() if any(word)})


def _agreed(what: str, said: Sequence[Said], quorum: int) -> Said:
    votes = Counter(said)
    enough = [value for value, count in votes.items() if count >= quorum]
    if len(enough) != 1:
        least = max(votes.values())
        raise AnchorsUnavailable(
            f"the endpoints disagree about {what}: {least} of {len(said)} say the same, {quorum} must"
        )
    return enough[0]


def span_from_rpc(url: str, contract: bytes, log: bytes, first: int, last: int) -> Anchors:
    """Every word that a node holds of the epochs first to last, asked for many at once."""
    words = {}
    try:
        chain_id = int(str(ask(url, "eth_chainId", [])), 16)
        for start in range(first, last + 1, AT_ONCE):
            count = min(AT_ONCE, last + 1 - start)
            asked = f"0x{COMMITMENTS_SELECTOR}{log.hex()}{start:064x}{count:064x}"
            call = {"to": "0x" + contract.hex(), "data": asked}
            found = _octets(str(ask(url, "eth_call", [call, "latest"])), 64 + 32 * count)
            words.update({start + k: found[64 + 32 * k : 96 + 32 * k] for k in range(count)})
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


def ask(url: str, method: str, params: list[object]) -> object:
    """What a node answers to a question in JSON-RPC; AnchorsUnavailable if it does not."""
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
