"""From the registers of every map to quantities, exactly; what no meter can mean is an error. Numbers are meter.py's rules."""

import ast
import asyncio
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode import meters
from lightnode.errors import MeterError
from lightnode.meter import Meter, Quantities, places, quantities
from lightnode.modbus import REQUESTS_MAX
from lightnode.modbus_rtu import OWED_CYCLES
from lightnode.registers import SIZES

from hil.meters.catalogue import MeterMap, meter_map, models
from hil.meters.meter import Meter as Emulated
from hil.meters.meter import Terminals
from hil.meters.registers import turned
from tests.lightnode.metered import CT, MeteredNode, virtually

EVERY = pytest.mark.parametrize("model", models())
UNITS = {"V": 0, "A": 0, "mA": -3, "W": 0, "kW": 3, "var": 0, "kvar": 3, "Hz": 0, "Wh": 0, "kWh": 3}
RIG_NAMES = {"power": "power_total", "reactive": "reactive_total", "current": "current_total"}


def start(model: MeterMap) -> int:
    """What a map's registers count from."""
    return model.quantity("export").address - meters.layout(model.name).QUANTITIES["export"][0]


def blocks(emulated: Emulated) -> list[bytes]:
    """The answers to the requests of the meter's map."""
    model, content = emulated.model, emulated.content
    first = start(model) - model.first
    return [bytes(content[2 * (first + r[0]) : 2 * (first + r[0] + r[1])]) for r in meters.layout(model.name).REQUESTS]


def read(emulated: Emulated, ct_ratio: int = 1, vt_ratio: int = 1) -> Quantities:
    found = meters.layout(emulated.model.name)
    return quantities(found, blocks(emulated), places(found, ct_ratio, vt_ratio), ct_ratio, vt_ratio)


@EVERY
def test_1_a_map_is_one_file_of_literals_with_its_source(model: str) -> None:
    text = Path(str(meters.layout(model).__file__)).read_text()
    docstring, *rest = ast.parse(text).body
    assert isinstance(docstring, ast.Expr) and "Source: " in str(ast.get_docstring(ast.parse(text)))
    for statement in rest:
        assert isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        ast.literal_eval(statement.value)


@EVERY
def test_a_map_asks_for_what_the_meter_lets_be_read_in_three_requests_at_most(model: str) -> None:
    rig, found = meter_map(model), meters.layout(model)
    assert found.FUNCTION in rig.functions and len(found.REQUESTS) <= REQUESTS_MAX
    assert found.PHASES == rig.phases and rig.serial == type(rig.serial)(*found.SERIAL)
    assert (found.STEP == 2) == rig.pairs_only and found.LOW_FIRST == rig.low_first
    for first, count, before, after in found.REQUESTS:
        low, end = start(rig) + first - before, start(rig) + first + count + after
        assert any(a <= low and end <= b for a, b in rig.areas) and count + before + after <= rig.request_max
        assert not (first | count | before | after) % found.STEP
    _, _, before, after = found.REQUESTS[0]
    assert (before + after) // found.STEP + 1 >= OWED_CYCLES + REQUESTS_MAX  # a silent meter never uses up the lengths


@EVERY
def test_registers_forms_units_and_patterns_are_those_of_the_rigs_own_reading_of_the_documents(model: str) -> None:
    rig, found = meter_map(model), meters.layout(model)
    for name, (register, form, ten) in found.QUANTITIES.items():
        theirs = rig.quantity(RIG_NAMES.get(name, name))
        counts = theirs.form != "float32" and not getattr(found, "SCALES", {})
        assert (start(rig) + register, form, found.SIGN) == (theirs.address, theirs.form, theirs.sign), name
        assert 10.0**ten == 10.0 ** UNITS[theirs.unit] * (float(theirs.resolution) if counts else 1), name
        assert any(r[0] <= register and register + SIZES[form] // 2 <= r[0] + r[1] for r in found.REQUESTS)
    assert all(rig.not_available[form] == pattern for form, pattern in found.ABSENT.items())
    step = rig.quantity("import")
    assert step.resolution * step.factor == found.ENERGY_STEP_WH


@EVERY
@given(st.data())
def test_3_what_the_meter_offers_arrives_within_its_resolution_behind_any_transformers(
    model: str, data: st.DataObject
) -> None:
    rig, ct_ratio, vt_ratio = meter_map(model), data.draw(st.integers(1, 40)), data.draw(st.sampled_from((1, 100)))
    power_w = data.draw(st.integers(-6_000, 6_000)) * ct_ratio * vt_ratio
    reactive_var = data.draw(st.integers(-4_000, 4_000)) * ct_ratio * vt_ratio
    emulated = Emulated(
        "P", rig, ct_ratio, vt_ratio, data.draw(st.integers(0, 10**13)), data.draw(st.integers(0, 10**13))
    )
    offered = emulated.offer(0, Terminals.spread(rig.phases, power_w, reactive_var, 230_000 * vt_ratio)).values
    found = read(emulated, ct_ratio, vt_ratio)

    def near(value: int, name: str, least: int, ratio: int = ct_ratio * vt_ratio) -> bool:
        quantity = rig.quantity(name)
        half = float(quantity.resolution) * quantity.factor * ratio / 2
        return abs(value - offered[name]) <= max(least, half) + abs(offered[name]) / (1 << 22)

    assert near(found.power_w, "power_total", 1) and near(found.reactive_var, "reactive_total", 1)
    if "import" in offered and "export" in offered:
        assert near(found.import_wh, "import", 0, 0) and near(found.export_wh, "export", 0, 0)
    assert near(found.voltage_mv[0], "voltage_l1", 50 * vt_ratio, vt_ratio)
    assert found.frequency_mhz == 50_000
    assert all(v == 0 for v in found.voltage_mv[rig.phases :])  # rule 4


def words(**at: bytes) -> dict[int, bytes]:
    return {int(k[1:]): v for k, v in at.items()}


def from_words(name: str, content: dict[int, bytes], ct_ratio: int = 1, vt_ratio: int = 1) -> Quantities:
    """A reading of registers written by hand; all others are 0."""
    found, answered = meters.layout(name), []
    for first, count, _, _ in found.REQUESTS:
        block = bytearray(2 * count)
        for register, data in content.items():
            if first <= register and register + len(data) // 2 <= first + count:
                block[2 * (register - first) : 2 * (register - first) + len(data)] = data
        answered.append(bytes(block))
    return quantities(found, answered, places(found, ct_ratio, vt_ratio), ct_ratio, vt_ratio)


def f(value: float) -> bytes:
    return struct.pack(">f", value)


def test_sdm630_by_hand() -> None:
    """Registers 30001, 30053, 30061, 30071, 30073: 57.7 V, -12.5 W, 3 var, 49.98 Hz, 12.345 kWh behind CT 40 and VT 200."""
    shown = words(_0=f(57.7), _52=f(-12.5), _60=f(3.0), _70=f(49.98), _72=f(12.345))
    found = from_words("sdm630", shown, 40, 200)
    assert (found.power_w, found.reactive_var, found.import_wh) == (-100_000, 24_000, 12_345 * 8000)
    assert (found.voltage_mv[0], found.frequency_mhz) == (11_540_000, 49_980)


def test_em340_by_hand() -> None:
    """V L1-N 2301 at 0, W sys -12345 at 28h, Hz 499 at 33h, kWh(+) 98765 at 34h, kWh(-) 7 at 4Eh; low register first."""
    shown = words(_0=b"\x08\xfd\0\0", _40=turned(struct.pack(">i", -12_345)), _51=b"\x01\xf3",
                  _52=turned(struct.pack(">i", 98_765)), _78=b"\x00\x07\0\0")  # fmt: skip
    found = from_words("em340", shown)
    assert (found.voltage_mv[0], found.power_w, found.frequency_mhz) == (230_100, -1235, 49_900)
    assert (found.import_wh, found.export_wh, found.energy_step_wh) == (9_876_500, 700, 100)


def test_iem3155_by_hand() -> None:
    """Numbers 3028 V, 3060 kW, 3110 Hz, 3204 and 3208 Wh are one lower on the wire."""
    shown = words(_3027=f(230.5), _3059=f(-1.25), _3109=f(50.02), _3203=struct.pack(">q", 123_456_789), _3207=bytes(8))
    found = from_words("iem3155", shown)
    assert (found.voltage_mv[0], found.power_w, found.frequency_mhz, found.import_wh) == (
        230_500,
        -1250,
        50_020,
        123_456_789,
    )


def test_sunspec203_by_hand() -> None:
    """PhVphA 2305 x 10^-1, Hz 5001 x 10^-2, W -123 x 10^1, TotWhImp 777 x 10^3."""
    shown = words(_8=b"\x09\x01", _15=b"\xff\xff", _16=b"\x13\x89", _17=b"\xff\xfe", _18=struct.pack(">h", -123),
                  _22=b"\0\1", _46=struct.pack(">I", 777), _54=b"\0\3")  # fmt: skip
    found = from_words("sunspec203", shown)
    assert (found.voltage_mv[0], found.frequency_mhz, found.power_w, found.import_wh) == (
        230_500,
        50_010,
        -1230,
        777_000,
    )
    assert found.energy_step_wh == 1000


def test_2_the_sign_of_a_map_turns_powers_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters.layout("sdm120"), "SIGN", -1)
    found = from_words("sdm120", words(_0=f(230), _12=f(500), _24=f(-20), _70=f(50), _72=f(1)))
    assert (found.power_w, found.reactive_var, found.import_wh) == (-500, 20, 1000)


@EVERY
def test_4_what_the_meter_does_not_have_is_no_value(model: str) -> None:
    rig, found = meter_map(model), meters.layout(model)
    for name, (register, form, _) in found.QUANTITIES.items():
        if form == "uint32":  # SunSpec: an energy that is not accumulated reads 0
            continue
        emulated = Emulated("P", rig)
        emulated.offer(0, Terminals.spread(rig.phases, 900, 0, 230_000))
        absent = rig.not_available[rig.quantity(RIG_NAMES.get(name, name)).form]
        at = 2 * (start(rig) + register - rig.first)
        emulated.content[at : at + len(absent)] = turned(absent) if rig.low_first else absent
        with pytest.raises(MeterError, match="the meter has no|holds no number"):
            read(emulated)


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ({"_52": f(1e9)}, "a power of"),
        ({"_72": f(-1.0)}, "an energy register of"),
        ({"_0": f(-1.0)}, "a voltage of"),
        ({"_70": f(700.0)}, "a frequency of"),
    ],
)
def test_4_what_no_meter_can_mean_is_refused(shown: dict[str, bytes], says: str) -> None:
    with pytest.raises(MeterError, match=says):
        from_words("sdm630", words(**shown), 10)


def test_a_float_register_above_65536_kwh_says_that_it_steps() -> None:
    assert from_words("sdm630", words(_72=f(70_000.0))).energy_step_wh == 8
    assert from_words("sdm630", words(_72=f(1_000.0)), 20).energy_step_wh == 20


def test_1_an_unknown_map_names_those_there_are() -> None:
    assert meters.names() == models()
    for name in ("sdm72x", "", "../settings", "__init__", "SDM630"):
        with pytest.raises(MeterError, match="known maps are " + ", ".join(models())):
            meters.layout(name)


@given(st.sampled_from(models()), st.data())
def test_any_registers_are_quantities_within_the_wires_fields_or_an_error(model: str, data: st.DataObject) -> None:
    found = meters.layout(model)
    answered = [data.draw(st.binary(min_size=2 * r[1], max_size=2 * r[1])) for r in found.REQUESTS]
    try:
        made = quantities(found, answered, places(found, CT, 1), CT, 1)
    except MeterError:
        return
    assert -0x80000000 <= made.power_w < 0x80000000 and 0 <= made.import_wh < 1 << 63
    assert all(0 <= v < 1 << 32 and v % 100 == 0 for v in made.voltage_mv) and 0 <= made.frequency_mhz <= 65_530


@pytest.mark.parametrize("base", [40_000, 50_000, 0])
@pytest.mark.parametrize("model", [m for m in models() if m.startswith("sunspec")])
def test_a_sunspec_meter_is_found_at_its_base_and_again_at_another(model: str, base: int) -> None:
    async def slots() -> list[bool]:
        node = MeteredNode(meter_map(model, base), over_tcp=False)
        first = await node.run([50_000] * 5)
        node.station.meter = Emulated("P1", meter_map(model, 0 if base else 50_000), CT, 1, 10**10)
        return [s.reading is not None for s in [*first, *await node.run([50_000] * 8)]]

    read_in = virtually(slots())
    assert read_in[1:5] == [True] * 4 and read_in[-3:] == [True] * 3


def test_a_cycle_is_one_of_the_masters() -> None:
    class Recording:
        left = 3

        def __init__(self) -> None:
            self.seen: list[Any] = []

        def begin(self) -> None:
            self.seen.append("begin")

        async def read(self, unit: int, function: int, requests: Sequence[Any]) -> list[bytes]:
            self.seen.append((unit, function, tuple(requests)))
            raise MeterError("no answer")

    master = Recording()
    with pytest.raises(MeterError):
        asyncio.run(Meter(master, meters.layout("sdm630"), 7, 1, 1).read())
    assert master.seen == ["begin", (7, 4, ((0, 6, 0, 74), (48, 28, 48, 4)))]
