"""Ems over Modbus TCP: SunSpec models 701 (measures), 702 (scale) and 704 (controls), found by walking the model list.

SunSpec DER Information Model Specification V1.2. SunSpec powers are positive for injection, ours for withdrawal: the
sign turns here and nowhere else. Model 64900 holds the POD's net power as the energy manager's own meter knows it.
"""

from typing import Any

from edge_agent.ems import EmsState, EmsUnavailable

BASE = 40000
SUNS = (0x5375, 0x6E53)
END = 0xFFFF
W_SCALE = 10
W_701, WSET_ENA, WSET_MOD, WSET = 8, 17, 18, 19
MOD_WATTS = 1


class ModbusEms:
    """One SunSpec device; connects when first needed and again after a failure."""

    def __init__(self, host: str, port: int, unit: int) -> None:
        self._host, self._port, self._unit = host, port, unit
        self._client: Any = None
        self._models: dict[int, int] = {}

    def read(self) -> EmsState:
        """POD and DER power."""
        power = self._registers(self._point(701) + W_701, 1)[0]
        injection_w = (power - 0x10000 if power & 0x8000 else power) * W_SCALE
        high, low = self._registers(self._point(64900), 2)
        return EmsState(_signed(high, low), -injection_w)

    def command(self, der_w: int) -> int:
        """Writes WSet in watts, enables it, reads it back."""
        raw = -der_w & 0xFFFFFFFF
        first = self._point(704) + WSET_ENA
        self._write(first, [1, MOD_WATTS, raw >> 16, raw & 0xFFFF])
        enabled, mode, high, low = self._registers(first, 4)
        if (enabled, mode) != (1, MOD_WATTS):
            raise EmsUnavailable("the DER did not keep the set-point")
        return -_signed(high, low)

    def release(self) -> None:
        """Disables WSet."""
        self._write(self._point(704) + WSET_ENA, [0])

    def _point(self, model: int) -> int:
        if not self._models:
            self._discover()
        if model not in self._models:
            raise EmsUnavailable(f"the device has no SunSpec model {model}")
        return self._models[model]

    def _discover(self) -> None:
        if tuple(self._registers(BASE, 2)) != SUNS:
            raise EmsUnavailable(f"no SunSpec device: register {BASE} does not hold 'SunS'")
        at = BASE + 2
        for _ in range(64):
            model, length = self._registers(at, 2)
            if model == END:
                return
            self._models[model] = at + 2
            at += 2 + length

    def _registers(self, address: int, count: int) -> list[int]:
        return list(self._call("read_holding_registers", address, count=count).registers)

    def _write(self, address: int, values: list[int]) -> None:
        self._call("write_registers", address, values)

    def _call(self, function: str, *arguments: object, **named: object) -> Any:
        from pymodbus.client import ModbusTcpClient
        from pymodbus.exceptions import ModbusException

        if self._client is None:
            self._client = ModbusTcpClient(self._host, port=self._port, timeout=2, retries=1)
        try:
            answer = getattr(self._client, function)(*arguments, device_id=self._unit, **named)
        except (ModbusException, OSError) as error:
            self._client.close()
            self._client = None
            raise EmsUnavailable(f"{self._host}:{self._port}: {error}") from error
        if answer.isError():
            raise EmsUnavailable(f"{self._host}:{self._port}: {answer}")
        return answer


def _signed(high: int, low: int) -> int:
    raw = high << 16 | low
    return raw - (1 << 32) if raw & 0x80000000 else raw
