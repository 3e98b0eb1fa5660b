"""JSON-RPC 2.0 to the nodes of a chain: several endpoints, the next one when one fails.

1. A question goes to the endpoint that answered last; when that fails (no answer, no JSON, an error that is not the
   contract's own), to each other once; then Unavailable says what every one of them did. A method that a node does not
   know is an RpcError at once.
2. An endpoint is asked for its chain before its first question and after each failure; one of another chain is not used.
3. A transaction is handed to every endpoint; what they answer is kept for whoever looks, and decides nothing.
4. An endpoint may have a secret in its path: only scheme, host and port are ever said.
5. http and https only, no redirection, at most MAX_BYTES an answer, TIMEOUT_S for each.
"""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any, Protocol

from backend.errors import BackendError, Rejected, Unavailable
from backend.nesting import too_deep

TIMEOUT_S = 10
MAX_BYTES = 32 * 1024 * 1024
REVERTED, UNKNOWN_METHOD = 3, -32601
PARTY = "chain"


class RpcError(BackendError):
    """A node refused a question; code and message are its own, data what came with it."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.data = data

    @property
    def is_revert(self) -> bool:
        """Whether the contract refused, not the node."""
        return self.code == REVERTED or "revert" in self.message.lower()


class Rpc(Protocol):
    """A way to ask a chain."""

    def ask(self, method: str, *params: object) -> Any:
        """The result; RpcError if the contract or every node refuses, Unavailable if none answers."""
        ...

    def broadcast(self, raw: bytes) -> list[str]:
        """Hands a raw transaction out; what was answered, for the eye only."""
        ...


class Endpoints:
    """Nodes of one chain by URL (rules 1 to 5)."""

    def __init__(self, urls: Sequence[str], chain_id: int, timeout_s: float = TIMEOUT_S) -> None:
        """chain_id: 0 takes any chain, that of the first endpoint asked."""
        if not urls:
            raise Rejected("endpoints: none is given")
        self._urls = [_checked(url) for url in urls]
        self._chain_id = chain_id
        self._timeout_s = timeout_s
        self._at = 0
        self._trusted: set[str] = set()
        self._opener = _opener()

    def ask(self, method: str, *params: object) -> Any:
        """The result of the first endpoint that has one."""
        failures: list[str] = []
        for _ in self._urls:
            url = self._urls[self._at]
            try:
                self._same_chain(url)
                return self._post(url, method, params)
            except RpcError as error:
                if error.is_revert or error.code == UNKNOWN_METHOD:
                    raise
                failures.append(f"{spoken(url)}: {error}")
            except _Failed as failed:
                failures.append(f"{spoken(url)}: {failed}")
            self._trusted.discard(url)
            self._at = (self._at + 1) % len(self._urls)
        raise Unavailable(PARTY, f"{method}: " + "; ".join(failures))

    def broadcast(self, raw: bytes) -> list[str]:
        """To every endpoint of the chain."""
        said = []
        for url in self._urls:
            try:
                self._same_chain(url)
                answer = str(self._post(url, "eth_sendRawTransaction", ("0x" + raw.hex(),)))
            except (RpcError, _Failed) as refused:
                answer = str(refused)
            said.append(f"{spoken(url)}: {answer}")
        return said

    def _same_chain(self, url: str) -> None:
        if url in self._trusted:
            return
        answer = self._post(url, "eth_chainId", ())
        try:
            found = number(answer)
        except ValueError as error:
            raise _Failed("does not say its chain") from error
        if self._chain_id not in (0, found):
            raise _Failed(f"is a node of chain {found}, not {self._chain_id}")
        self._chain_id = found
        self._trusted.add(url)

    def _post(self, url: str, method: str, params: Sequence[object]) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                data = answer.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            data = error.read(MAX_BYTES)  # some nodes answer an error of JSON-RPC with a status of HTTP
            if b'"error"' not in data:
                raise _Failed(f"HTTP status {error.code}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _Failed(f"{type(error).__name__}: {getattr(error, 'reason', error)}") from error
        return _result(data)


class _Failed(Exception):
    """An endpoint did not answer as one does."""


def spoken(url: str) -> str:
    """What may be said of an endpoint (rule 4)."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def number(value: object) -> int:
    """A quantity of JSON-RPC; ValueError if it is none."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{str(value)[:40]!r} is no quantity")
    return int(value, 16)


def octets(value: object) -> bytes:
    """Bytes of JSON-RPC; ValueError if it is none."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{str(value)[:40]!r} is not hexadecimal")
    return bytes.fromhex(value[2:])


def _checked(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Rejected(f"endpoints: {url[:12]!r}... is no http or https URL")
    return url


def _result(data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise _Failed(f"answers more than {MAX_BYTES} bytes")
    try:
        text = data.decode()
        document = None if too_deep(text) else json.loads(text)
    except ValueError as error:
        raise _Failed("does not answer JSON") from error
    if not isinstance(document, dict) or ("result" in document) == (
        "error" in document and document["error"] is not None
    ):
        raise _Failed("does not answer JSON-RPC")
    refused = document.get("error")
    if refused is None:
        return document["result"]
    if not isinstance(refused, dict):
        raise _Failed("does not answer JSON-RPC")
    code = refused.get("code")
    raise RpcError(code if isinstance(code, int) else 0, str(refused.get("message", ""))[:200], refused.get("data"))


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
