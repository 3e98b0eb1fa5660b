"""An energy manager that is the client: it reads a light node's register map, follows it and says so.

1. Addresses and forms come from firmware/EMS.md, not from the firmware's code.
2. It obeys what the state and the three values in effect say, at once and exactly; `shift_w` makes it miss by so much.
3. Its powers are what it was told; without a command it draws `free_w`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException

from hil.errors import RigError

TABLES = Path(__file__).parents[1] / "firmware" / "EMS.md"
_ROW = re.compile(r"^\| (\d+) \| (\w+) \| (u16|u32|u64|i32|bytes \d+) \|", re.MULTILINE)
_FIRST_OF_EMS = 100
_TIMEOUT_S = 3.0
Block = dict[str, int | bytes | None]

NONE, PENDING, IN_FORCE, FALLBACK, STALE, LOCAL, STOP = range(7)
NOTHING, APPLIED, SUPERSEDED, EXPIRED, FAILED = range(5)
REASON_STOP, REASON_LOCAL = 9, 10


class EmsError(RigError):
    """The light node refused or does not answer; the message says which."""


@dataclass(frozen=True, slots=True)
class Register:
    """One row of the tables; width in registers."""

    first: int
    name: str
    form: str

    @property
    def width(self) -> int:
        """Registers that it takes."""
        bits = {"u16": 16, "u32": 32, "u64": 64, "i32": 32}.get(self.form)
        return bits // 16 if bits else int(self.form.split()[1]) // 2

    @property
    def absent(self) -> bytes:
        """The not-available pattern."""
        return b"\x80\0\0\0" if self.form == "i32" else b"\xff" * (2 * self.width)


def tables() -> tuple[list[Register], list[Register]]:
    """(the node's block, the EMS's block) as documented."""
    rows = [Register(int(first), name, form) for first, name, form in _ROW.findall(TABLES.read_text())]
    return [r for r in rows if r.first < _FIRST_OF_EMS], [r for r in rows if r.first >= _FIRST_OF_EMS]


def decoded(rows: list[Register], words: list[int]) -> Block:
    """The values of a block; None is not available, but for what counts."""
    found: Block = {}
    for row in rows:
        at = row.first - rows[0].first
        raw = b"".join(w.to_bytes(2, "big") for w in words[at : at + row.width])
        if raw == row.absent and row.name not in ("heartbeat", "sequence", "sequence_again"):
            found[row.name] = None
        elif row.form.startswith("bytes"):
            found[row.name] = raw
        else:
            found[row.name] = int.from_bytes(raw, "big", signed=row.form == "i32")
    return found


def encoded(rows: list[Register], values: Mapping[str, int | None]) -> list[int]:
    """The registers of a block."""
    raw = b""
    for row in rows:
        value = values[row.name]
        raw += row.absent if value is None else value.to_bytes(2 * row.width, "big", signed=row.form == "i32")
    return [int.from_bytes(raw[k : k + 2], "big") for k in range(0, len(raw), 2)]


@dataclass(slots=True)
class EnergyManager:
    """One EMS; `client`: a connected or connectable pymodbus client. `read` and `say` are its two requests."""

    client: ModbusTcpClient | ModbusSerialClient
    unit: int = 1
    free_w: int = 0
    shift_w: int = 0
    local_switch: bool = False
    emergency_stop: bool = False
    heartbeat: int = 0
    said: dict[str, int | None] = field(default_factory=dict)
    _node: list[Register] = field(default_factory=lambda: tables()[0])
    _own: list[Register] = field(default_factory=lambda: tables()[1])

    def read(self) -> Block:
        """The node's block, in one request."""
        last = self._node[-1]
        count = last.first + last.width
        answer = self._ask(lambda: self.client.read_holding_registers(0, count=count, device_id=self.unit))
        return decoded(self._node, answer.registers)

    def say(self, values: Mapping[str, int | None]) -> None:
        """Writes its block with the next heartbeat, in one request."""
        self.heartbeat = (self.heartbeat + 1) % 65_536
        self.said = {**values, "heartbeat": self.heartbeat}
        words = encoded(self._own, self.said)
        self._ask(lambda: self.client.write_registers(self._own[0].first, words, device_id=self.unit))

    def follow(self) -> Block:
        """Reads, obeys, says so; what it read."""
        node = self.read()
        self.say(self.answer(node))
        return node

    def answer(self, node: Block) -> dict[str, int | None]:
        """What it says to a block of the node's (rules 2 and 3)."""
        state, reason = NOTHING, 0
        power_w = self.free_w
        if node["state"] in (IN_FORCE, FALLBACK):
            state = APPLIED if node["state"] == IN_FORCE else EXPIRED
            power_w = _obeyed(node, self.free_w)
        elif node["state"] in (LOCAL, STOP):
            state, reason = FAILED, REASON_LOCAL if node["state"] == LOCAL else REASON_STOP
        elif node["state"] == STALE and self.said:
            state, reason = self.said["state"] or 0, self.said["reason"] or 0
        command = node["command"] if state in (APPLIED, EXPIRED) else self.said.get("command")
        return {
            "state": state, "reason": reason, "command": command if isinstance(command, int) else None,
            "commanded_w": power_w if state in (APPLIED, EXPIRED) else None, "measured_w": power_w + self.shift_w,
            "measured_var": 0, "charge_permille": None,
            "local_switch": int(self.local_switch), "emergency_stop": int(self.emergency_stop),
        }  # fmt: skip

    def close(self) -> None:
        """Ends the connection."""
        self.client.close()  # type: ignore[no-untyped-call]

    def _ask(self, request: Any) -> Any:
        try:
            answer = request()
        except (ModbusException, OSError) as error:
            raise EmsError(f"the light node does not answer: {error}") from error
        if answer.isError():
            raise EmsError(f"the light node refused: {answer}")
        return answer


def _obeyed(node: Block, free_w: int) -> int:
    if isinstance(node["target_w"], int):
        return node["target_w"]
    power_w = free_w
    if isinstance(node["max_withdrawal_w"], int):
        power_w = min(power_w, node["max_withdrawal_w"])
    if isinstance(node["max_injection_w"], int):
        power_w = max(power_w, -node["max_injection_w"])
    return power_w


def over_tcp(host: str, port: int, unit: int = 1) -> EnergyManager:
    """An EMS on Modbus TCP; EmsError if nobody listens there."""
    client = ModbusTcpClient(host, port=port, timeout=_TIMEOUT_S, retries=0)
    if not client.connect():  # type: ignore[no-untyped-call]
        raise EmsError(f"no light node at {host}:{port}: is ems.listen set?")
    return EnergyManager(client, unit)


def over_serial(port: str, unit: int = 1, line: tuple[int, str, int] = (9600, "N", 1)) -> EnergyManager:
    """An EMS on a serial line of (baud, parity, stop bits), 8 data bits."""
    baud, parity, stop_bits = line
    client = ModbusSerialClient(port, baudrate=baud, parity=parity, stopbits=stop_bits, timeout=_TIMEOUT_S, retries=0)
    if not client.connect():
        raise EmsError(f"no serial port {port}")
    return EnergyManager(client, unit)
