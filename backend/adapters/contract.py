"""The contract's interface as bytes: calls, reasons and events by the committed ABI, for any way to ask a chain."""

from collections.abc import Sequence
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from backend.adapters.rpc import RpcError, number, octets
from backend.contract import Build
from backend.ports import ChainEvent

_ERROR_SELECTOR = bytes.fromhex("08c379a0")


class Interface:
    """Functions and events of one build."""

    def __init__(self, build: Build) -> None:
        self._functions = {str(e["name"]): e for e in build.abi if e["type"] == "function"}
        self._events = {keccak(text=_signature(e)): e for e in build.abi if e["type"] == "event"}

    def call(self, function: str, *arguments: object) -> bytes:
        """The calldata of a call."""
        entry = self._functions[function]
        return keccak(text=_signature(entry))[:4] + encode(_types(entry["inputs"]), arguments)

    def answer(self, function: str, data: bytes) -> Any:
        """What a function returned (its one value); ValueError for anything else."""
        try:
            return decode(_types(self._functions[function]["outputs"]), data)[0]
        except DecodingError as error:
            raise ValueError(f"no answer of {function}") from error

    def event(self, entry: dict[str, Any]) -> ChainEvent:
        """A log entry of JSON-RPC; ValueError if it is none of these events."""
        topics = [octets(topic) for topic in entry["topics"]]
        found = self._events.get(topics[0]) if topics else None
        if found is None:
            raise ValueError("an event of another contract")
        indexed = [i for i in found["inputs"] if i["indexed"]]
        plain = [i for i in found["inputs"] if not i["indexed"]]
        try:
            values = [decode([i["type"]], topic)[0] for i, topic in zip(indexed, topics[1:], strict=True)]
            values += decode(_types(plain), octets(entry["data"]))
        except DecodingError as error:
            raise ValueError(f"no event {found['name']}") from error
        facts = {str(i["name"]): _fact(i["type"], v) for i, v in zip([*indexed, *plain], values, strict=True)}
        where = number(entry["blockNumber"]), number(entry["logIndex"])
        return ChainEvent(*where, octets(entry["blockHash"]), octets(entry["transactionHash"]), found["name"], facts)


def reason(error: RpcError) -> str:
    """Why a contract reverted: its own short word if there is one."""
    data = error.data
    if isinstance(data, dict):
        data = data.get("data")
    if isinstance(data, str) and data.startswith("Reverted "):
        data = data.removeprefix("Reverted ")
    try:
        raw = octets(data)
        if raw[:4] == _ERROR_SELECTOR:
            return str(decode(["string"], raw[4:])[0])
    except (ValueError, DecodingError):
        pass
    return error.message.removeprefix("execution reverted: ")


def _signature(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(_types(entry['inputs']))})"


def _types(fields: Sequence[dict[str, Any]]) -> list[str]:
    return [field["type"] for field in fields]


def _fact(kind: str, value: Any) -> int | str | bool:
    if kind == "address":
        return str(value)
    return "0x" + value.hex() if isinstance(value, bytes) else value
