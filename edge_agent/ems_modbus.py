"""An energy manager that is a SunSpec device on Modbus TCP (we are the client).

1. Models are found by walking from register 40000. Needed: 701 (measures), 704 (controls) and our POD block 64900; with
   702 the device's own ratings bound the commands.
2. SunSpec is positive for injection, we for withdrawal: `_turned` is the only place where the sign turns.
3. A command is one write of WSetEna..WSetRvrtTms, WSetMod watts; the device reverts alone when the timer ends.
4. A measure is one read if the models lie within 125 registers, else one for each.

Source: SunSpec DER Information Model Specification V1.2. Offsets count from a model's ID.
"""

from collections.abc import Callable, Sequence

from pymodbus.client import ModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from edge_agent.ems import Bounds, Command, Measured
from edge_agent.errors import EmsRefused, EmsUnreachable
from edge_agent.settings import EmsSettings

_BASE = 40_000
_MARK = [0x5375, 0x6E53]
_END = 0xFFFF
_MOST = 125
_TIMEOUT_S = 1.0
POD_MODEL = 64_900
_W, _W_SF = 10, 116
_CHARGE_MAX, _DISCHARGE_MAX, _RATING_SF = 34, 35, 45
_CONTROL, _CONTROL_WORDS, _WSET_SF = 22, 4, 55
_POD_W, _POD_WORDS = 2, 4
_WATTS = 1
_DOWN = (ExcCodes.DEVICE_FAILURE, ExcCodes.DEVICE_BUSY, ExcCodes.GATEWAY_PATH_UNAVIABLE, ExcCodes.GATEWAY_NO_RESPONSE)


class ModbusEms:
    """Connects when first needed and again after a failure."""

    def __init__(self, settings: EmsSettings) -> None:
        self._settings = settings
        self._client = ModbusTcpClient(settings.host, port=settings.port, timeout=_TIMEOUT_S, retries=0)
        self._models: dict[int, int] = {}
        self._watt_unit = self._set_unit = 1
        self._bounds = Bounds(0, 0)

    def bounds(self) -> Bounds:
        """The smaller of nameplate and the device's ratings."""
        self._open()
        return self._bounds

    def measure(self) -> Measured:
        """Command, POD and resource in one instant where the layout permits."""
        self._open()
        control, pod, measures = self._models[704] + _CONTROL, self._models[POD_MODEL] + _POD_W, self._models[701] + _W
        found = self._read_all([(control, _CONTROL_WORDS), (pod, _POD_WORDS), (measures, 1)])
        enabled, mode, *wset = found[0]
        commanded_w = None
        if enabled == 1 and mode == _WATTS:
            commanded_w = _turned(_signed(wset)) * self._set_unit
        return Measured(
            pod_w=_signed(found[1][:2]),
            der_w=_turned(_signed(found[2])) * self._watt_unit,
            commanded_w=commanded_w,
            local_switch=found[1][2] == 1,
            emergency_stop=found[1][3] == 1,
        )

    def command(self, command: Command) -> None:
        """WSetEna, WSetMod, WSet, WSetRvrt, WSetPct, WSetPctRvrt, WSetEnaRvrt, WSetRvrtTms in one write."""
        self._open()
        reverts_w = command.reverts_to_w if command.reverts_to_w is not None else 0
        self._write(
            [
                1,
                _WATTS,
                *self._watts(command.der_w),
                *self._watts(reverts_w),
                0,
                0,
                int(command.reverts_to_w is not None),
            ]
            + _words(command.reverts_after_s)
        )

    def release(self) -> None:
        """WSetEna 0, timers off."""
        self._open()
        self._write([0, _WATTS] + [0] * 9)

    def close(self) -> None:
        """Ends the connection; what was commanded stays."""
        self._client.close()  # type: ignore[no-untyped-call]

    @property
    def granularity_w(self) -> int:
        """Step of WSet [W]: a read-back may differ by less."""
        return self._set_unit

    def _watts(self, power_w: int) -> list[int]:
        return _words(_turned(power_w) // self._set_unit)

    def _write(self, values: list[int]) -> None:
        self._call(lambda: self._client.write_registers(
            self._models[704] + _CONTROL, values, device_id=self._settings.unit))  # fmt: skip

    def _open(self) -> None:
        if self._client.connected and self._models:
            return
        if not self._client.connect():  # type: ignore[no-untyped-call]
            raise EmsUnreachable(
                f"no connection to {self._settings.host}:{self._settings.port}: is it on, are ems.host and ems.port right?"
            )
        self._models = {}
        models = self._walk()
        for model in (701, 704, POD_MODEL):
            if model not in models:
                raise EmsRefused(f"{self._settings.host}:{self._settings.port} has no SunSpec model {model}")
        self._watt_unit = _unit(self._read(models[701] + _W_SF, 1)[0])
        self._set_unit = _unit(self._read(models[704] + _WSET_SF, 1)[0])
        self._bounds = self._rated(models)
        self._models = models

    def _walk(self) -> dict[int, int]:
        """Address of each model's ID."""
        if self._read(_BASE, 2) != _MARK:
            raise EmsRefused(f"{self._settings.host}:{self._settings.port} is no SunSpec device at register {_BASE}")
        models: dict[int, int] = {}
        at = _BASE + 2
        while len(models) < 64:
            model, length = self._read(at, 2)
            if model == _END:
                break
            models[model] = at
            at += 2 + length
        return models

    def _rated(self, models: dict[int, int]) -> Bounds:
        nameplate_w = self._settings.nameplate_w
        if 702 not in models:
            return Bounds(nameplate_w, nameplate_w)
        unit_w = _unit(self._read(models[702] + _RATING_SF, 1)[0])
        charge, discharge = self._read(models[702] + _CHARGE_MAX, 2)
        withdrawal_w, injection_w = (nameplate_w if v == 0xFFFF else v * unit_w for v in (charge, discharge))
        return Bounds(min(nameplate_w, injection_w), min(nameplate_w, withdrawal_w))

    def _read_all(self, wanted: Sequence[tuple[int, int]]) -> list[list[int]]:
        """The words of each (address, count)."""
        low, high = min(a for a, _ in wanted), max(a + n for a, n in wanted)
        if high - low > _MOST:
            return [self._read(address, count) for address, count in wanted]
        words = self._read(low, high - low)
        return [words[address - low : address - low + count] for address, count in wanted]

    def _read(self, address: int, count: int) -> list[int]:
        return self._call(lambda: self._client.read_holding_registers(
            address, count=count, device_id=self._settings.unit))  # fmt: skip

    def _call(self, request: Callable[[], ModbusPDU]) -> list[int]:
        try:
            response = request()
        except (ModbusException, OSError) as error:
            self._client.close()  # type: ignore[no-untyped-call]
            raise EmsUnreachable(str(error)) from error
        if response.isError():
            if response.exception_code in _DOWN:
                raise EmsUnreachable(f"the energy manager answers with exception {response.exception_code}")
            raise EmsRefused(f"the energy manager answers with exception {response.exception_code}")
        return list(response.registers)


def _turned(power: int) -> int:
    """Injection positive to withdrawal positive, and back."""
    return -power


def _signed(words: Sequence[int]) -> int:
    raw = 0
    for word in words:
        raw = raw << 16 | word
    top = 1 << (16 * len(words) - 1)
    return raw - 2 * top if raw >= top else raw


def _words(value: int) -> list[int]:
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def _unit(scale_word: int) -> int:
    """W of one step; SunSpec's scale factor is a signed exponent, here 0 to 9."""
    scale = _signed([scale_word])
    if not 0 <= scale <= 9:
        raise EmsRefused(f"a power scale factor of {scale} is finer than 1 W")
    return int(10**scale)
