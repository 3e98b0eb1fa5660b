"""A SunSpec register block and its Modbus TCP server: points by name, layout from registers/sunspec_der.json.

Values here are register values in SunSpec's own sense and scale: positive for injection. What is not implemented reads as
SunSpec says: 0xFFFF, or 0x8000 where the point is signed. Only points marked rw can be written.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

_LAYOUT = Path(__file__).parent / "registers" / "sunspec_der.json"
_UNSIGNED_NONE, _SIGNED_NONE = 0xFFFF, 0x8000
_READ_HOLDING = 3


@dataclass(frozen=True, slots=True)
class Point:
    """Where a point lies and how it is written."""

    address: int
    words: int
    form: str
    writable: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Points by (model, name), the first address, and what all registers read before anything is set."""

    points: dict[tuple[int, str], Point]
    base: int
    blank: tuple[int, ...]


@cache
def layout() -> Layout:
    """The layout of registers/sunspec_der.json."""
    document = json.loads(_LAYOUT.read_text())
    base: int = document["base"]
    blank = [int.from_bytes(b"Su", "big"), int.from_bytes(b"nS", "big")]
    points: dict[tuple[int, str], Point] = {}
    for model in document["models"]:
        first = base + len(blank)
        block = [model["id"], model["length"]] + [_UNSIGNED_NONE] * model["length"]
        for low, high in model.get("signed", []):
            block[low : high + 1] = [_SIGNED_NONE] * (high + 1 - low)
        blank += block
        for name, (offset, form, *rights) in model["points"].items():
            points[model["id"], name] = Point(first + offset, _words(form), form, "rw" in rights)
    return Layout(points, base, (*blank, 0xFFFF, 0))


def _words(form: str) -> int:
    return int(form.removeprefix("string")) if form.startswith("string") else int(form[-2:]) // 16


@dataclass(slots=True)
class SunSpecBlock:
    """Registers of one device. `written` is called after each accepted write; `refuses` answers all with device failure."""

    written: Callable[[], None]
    refuses: bool = False
    _registers: list[int] = field(init=False)
    _server: ModbusTcpServer | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._registers = list(layout().blank)

    def get(self, model: int, name: str) -> int:
        """The register value of a point."""
        point = layout().points[model, name]
        at = point.address - layout().base
        raw = 0
        for word in self._registers[at : at + point.words]:
            raw = raw << 16 | word
        top = 1 << (16 * point.words - 1)
        return raw - 2 * top if point.form.startswith("int") and raw >= top else raw

    def set(self, model: int, name: str, value: int | str) -> None:
        """Gives a point its register value; OverflowError if it does not fit."""
        point = layout().points[model, name]
        size = 2 * point.words
        if isinstance(value, str):
            raw = value.encode().ljust(size, b"\0")[:size]
        else:
            raw = value.to_bytes(size, "big", signed=point.form.startswith("int"))
        at = point.address - layout().base
        self._registers[at : at + point.words] = [int.from_bytes(raw[k : k + 2], "big") for k in range(0, size, 2)]

    async def listen(self, port: int = 0) -> int:
        """Serves on 127.0.0.1 as unit 1; the port."""
        base = layout().base
        device = SimDevice(
            1, simdata=[SimData(base, values=list(self._registers), datatype=DataType.REGISTERS)], action=self._act
        )
        self._server = ModbusTcpServer(device, address=("127.0.0.1", port))
        if not await self._server.listen():
            raise OSError(f"port {port} on 127.0.0.1 is in use")
        return int(self._server.transport.sockets[0].getsockname()[1])  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Stops serving."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]

    async def _act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        mirror: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """The library asks before each access: reads come from our registers, writes go there."""
        if self.refuses:
            return ExcCodes.DEVICE_FAILURE
        at = address - start
        if values is None:
            mirror[at : at + count] = self._registers[at : at + count]
            return None
        if any(address + k not in _writable() for k in range(len(values))):
            return ExcCodes.ILLEGAL_ADDRESS
        self._registers[at : at + len(values)] = [int(v) for v in values]
        self.written()
        return None


@cache
def _writable() -> frozenset[int]:
    return frozenset(p.address + k for p in layout().points.values() if p.writable for k in range(p.words))
