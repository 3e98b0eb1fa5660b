"""The register maps beside what documents say that are neither the maps nor the rig's files: row by row, typed from them.

Read for it: the SunSpec Alliance's own model definitions (github.com/sunspec/models, json/model_201.json, 203, 211 and 213,
commit 7abdf89); transcriptions of Carlo Gavazzi's EM300/ET300 protocol, of Eastron's SDM630 and SDM120 protocols and of
Schneider's iEM3000 list, among them those of github.com/volkszaehler/mbmd (meters/rs485: carlogavazzi-ex3x0, sdm, sdm120,
iem3000). Facts are taken from them, no text.
"""

from typing import Any

import pytest
from lightnode import meters

INPUT, HOLDING = 4, 3
UNITS = {"V": 0, "A": 0, "W": 0, "var": 0, "Hz": 0, "Wh": 0, "kW": 3, "kvar": 3, "kWh": 3}
Row = tuple[int, str, str, int]  # register, form, unit, counts for one of the unit

EASTRON: dict[str, Row] = {  # 30001 is register 0
    "voltage_l1": (30001, "float32", "V", 1), "voltage_l2": (30003, "float32", "V", 1),
    "voltage_l3": (30005, "float32", "V", 1), "current": (30049, "float32", "A", 1), "power": (30053, "float32", "W", 1),
    "reactive": (30061, "float32", "var", 1), "frequency": (30071, "float32", "Hz", 1),
    "import": (30073, "float32", "kWh", 1), "export": (30075, "float32", "kWh", 1),
}  # fmt: skip
EASTRON_1: dict[str, Row] = {
    "voltage_l1": (30001, "float32", "V", 1), "current_l1": (30007, "float32", "A", 1),
    "power": (30013, "float32", "W", 1), "reactive": (30025, "float32", "var", 1),
    "frequency": (30071, "float32", "Hz", 1), "import": (30073, "float32", "kWh", 1),
    "export": (30075, "float32", "kWh", 1),
}  # fmt: skip
GAVAZZI: dict[str, Row] = {
    "voltage_l1": (0x00, "int32", "V", 10), "voltage_l2": (0x02, "int32", "V", 10),
    "voltage_l3": (0x04, "int32", "V", 10), "current_l1": (0x0C, "int32", "A", 1000),
    "current_l2": (0x0E, "int32", "A", 1000), "current_l3": (0x10, "int32", "A", 1000),
    "voltage_mean": (0x24, "int32", "V", 10), "power": (0x28, "int32", "W", 10), "reactive": (0x2C, "int32", "var", 10),
    "frequency": (0x33, "int16", "Hz", 10), "import": (0x34, "int32", "kWh", 10), "export": (0x4E, "int32", "kWh", 10),
}  # fmt: skip
SCHNEIDER: dict[str, Row] = {  # 3028 is register 3027
    "voltage_l1": (3028, "float32", "V", 1), "voltage_l2": (3030, "float32", "V", 1),
    "voltage_l3": (3032, "float32", "V", 1), "power_l1": (3054, "float32", "kW", 1),
    "power_l2": (3056, "float32", "kW", 1), "power_l3": (3058, "float32", "kW", 1),
    "power": (3060, "float32", "kW", 1), "reactive": (3068, "float32", "kvar", 1),
    "frequency": (3110, "float32", "Hz", 1), "import": (3204, "int64", "Wh", 1), "export": (3208, "int64", "Wh", 1),
}  # fmt: skip
# A model's points and their sizes in order, from its ID: (A, AphA, ...); the sum of the sizes before it is a point's place.
INTEGERS = (
    "ID L A AphA AphB AphC A_SF PhV PhVphA PhVphB PhVphC PPV PPVphAB PPVphBC PPVphCA V_SF Hz Hz_SF W WphA WphB WphC W_SF VA VAphA "
    "VAphB VAphC VA_SF VAR VARphA VARphB VARphC VAR_SF PF PFphA PFphB PFphC PF_SF TotWhExp:2 TotWhExpPhA:2 TotWhExpPhB:2 "
    "TotWhExpPhC:2 TotWhImp:2 TotWhImpPhA:2 TotWhImpPhB:2 TotWhImpPhC:2 TotWh_SF"
)
FLOATS = (
    "ID L A:2 AphA:2 AphB:2 AphC:2 PhV:2 PhVphA:2 PhVphB:2 PhVphC:2 PPV:2 PPVphAB:2 PPVphBC:2 PPVphCA:2 Hz:2 W:2 WphA:2 WphB:2 "
    "WphC:2 VA:2 VAphA:2 VAphB:2 VAphC:2 VAR:2 VARphA:2 VARphB:2 VARphC:2 PF:2 PFphA:2 PFphB:2 PFphC:2 TotWhExp:2 "
    "TotWhExpPhA:2 TotWhExpPhB:2 TotWhExpPhC:2 TotWhImp:2"
)
POINTS = {
    "current": ("A", "A_SF"), "voltage_l1": ("PhVphA", "V_SF"), "voltage_l2": ("PhVphB", "V_SF"),
    "voltage_l3": ("PhVphC", "V_SF"), "frequency": ("Hz", "Hz_SF"), "power": ("W", "W_SF"), "power_l1": ("WphA", "W_SF"),
    "power_l2": ("WphB", "W_SF"), "power_l3": ("WphC", "W_SF"), "reactive": ("VAR", "VAR_SF"),
    "export": ("TotWhExp", "TotWh_SF"), "import": ("TotWhImp", "TotWh_SF"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "function", "low_first", "first", "rows"),
    [
        ("sdm630", INPUT, False, 30001, EASTRON), ("sdm120", INPUT, False, 30001, EASTRON_1),
        ("em340", INPUT, True, 0, GAVAZZI), ("iem3155", HOLDING, False, 1, SCHNEIDER),
    ],
)  # fmt: skip
def test_each_register_is_the_one_that_the_document_names(
    model: str, function: int, low_first: bool, first: int, rows: dict[str, Row]
) -> None:
    found = meters.layout(model)
    assert (found.FUNCTION, found.LOW_FIRST) == (function, low_first)
    assert set(found.QUANTITIES) == set(rows)
    for name, (register, form, unit, counts) in rows.items():
        where, said, ten = found.QUANTITIES[name]
        assert (where, said) == (register - first, form), name
        assert 10**ten == 10 ** UNITS[unit] / counts, name


def places(model: str) -> dict[str, int]:
    """Point to register of a SunSpec model."""
    made, at = {}, 0
    for point in model.split():
        name, _, size = point.partition(":")
        made[name] = at
        at += int(size or 1)
    return made


@pytest.mark.parametrize("model", ["sunspec201", "sunspec203", "sunspec211", "sunspec213"])
def test_each_point_is_where_the_alliances_definition_has_it(model: str) -> None:
    found: Any = meters.layout(model)
    is_float = model.startswith("sunspec21")
    at = places(FLOATS if is_float else INTEGERS)
    assert (found.FUNCTION, found.LOW_FIRST) == (HOLDING, False)
    assert (int(model[7:]), 124 if is_float else 105) == found.SUNSPEC
    for name, (register, form, ten) in found.QUANTITIES.items():
        point, scale = POINTS[name]
        assert (register, ten) == (at[point], 0), name
        assert form == ("float32" if is_float else "uint32" if point.startswith("TotWh") else "int16"), name
        assert is_float or found.SCALES[name.split("_")[0]] == at[scale], name
