"""A meter is one data file: a new one works at once, a wrong one is named by file and field."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.meters.catalogue import REGISTERS, described, meter_map, models
from hil.meters.fields import CatalogueError
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from tests.hil.meter_lines import on_pty, registers, serial_master, value_of


def wrong(folder: Path, change: Any, name: str = "em340") -> str:
    """The error of a changed copy of a model's file."""
    document = json.loads((REGISTERS / f"{name}.json").read_text())
    change(document)
    (folder / "mine.json").write_text(json.dumps(document))
    with pytest.raises(CatalogueError) as error:
        meter_map("mine", folder=folder)
    meter_map.cache_clear()
    return str(error.value)


def test_a_new_meter_is_one_file(tmp_path: Path) -> None:
    quantities = [
        {"name": "voltage_l1", "address": 100, "form": "uint16", "unit": "V", "resolution": 0.1},
        {"name": "power_total", "address": 101, "form": "int32", "unit": "kW", "resolution": 0.001, "sign": -1},
        {"name": "frequency", "address": 103, "form": "uint16", "unit": "Hz", "resolution": 0.01},
        {"name": "import", "address": 104, "form": "uint32", "unit": "kWh", "resolution": 0.01},
        {"name": "export", "address": 106, "form": "uint32", "unit": "kWh", "resolution": 0.01},
    ]
    document = {
        "title": "a meter", "source": "its document", "unverified": [], "phases": 1, "functions": "input",
        "word_order": "low register first", "request_max": 20, "pairs_only": False, "areas": [[100, 8]],
        "serial": {"baud": 9600, "parity": "N", "stop_bits": 1},
        "not_available": {"uint16": "ffff", "int32": "7fffffff", "uint32": "ffffffff"}, "quantities": quantities,
    }  # fmt: skip
    (tmp_path / "mine.json").write_text(json.dumps(document))
    assert models(tmp_path) == ["mine"]
    one = Station(Meter("P1", meter_map("mine", folder=tmp_path), import_ws=12_345 * 3600))
    one.offer(0, Terminals((1_500,), (0,), (229_960,)))
    with on_pty(one) as line, serial_master(line.path) as master:
        words = registers(master, 100, 8)
    assert words[0] == 2_300
    assert value_of(words[1:3], "int32", low_first=True) == -1_500
    assert words[3] == 5_000
    assert value_of(words[4:6], "uint32", low_first=True) == 1_234


def test_every_model_names_its_source_and_what_is_unverified() -> None:
    for name in models():
        about = described(name)
        assert len(about["source"]) > 40 and about["unverified"], name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(phases=2), "mine.json: phases is 2, one of 1, 3 belongs here"),
        (lambda d: d.pop("source"), "mine.json: source is missing, a text belongs here"),
        (lambda d: d.update(colour=1), "mine.json: colour is not a field"),
        (lambda d: d.update(word_order="big"), 'mine.json: word_order is "big", one of "high register first", "low'),
        (lambda d: d.update(pairs_only=1), "mine.json: pairs_only is 1, one of true, false"),
        (lambda d: d.update(areas=[[0, 10]]), "mine.json: quantities[3] (current_l1).address is 12, a register inside"),
        (lambda d: d.update(areas=[[0, 70_000]]), "mine.json: areas is [[0, 70000]], a list of [first register, count]"),
        (lambda d: d["quantities"].pop(-1), "mine.json: quantities lacks export"),
        (lambda d: d["quantities"][1].update(address=1), "mine.json: quantities[1] (voltage_l2).address overlaps voltage_l1"),
        (lambda d: d["quantities"][1].update(name="voltage_l1"), "mine.json: quantities[0] (voltage_l1) is there twice"),
        (lambda d: d["quantities"][0].update(unit="W"), 'mine.json: quantities[0].unit is "W", one of "V"'),
        (lambda d: d["quantities"][0].update(resolution=0), "mine.json: quantities[0].resolution is 0, what one count"),
        (lambda d: d["quantities"][-1].update(resolution=0.0001), "mine.json: quantities[17].resolution is 0.0001, a step"),
        (lambda d: d["quantities"][0].update(form="bcd"), 'mine.json: quantities[0].form is "bcd", one of "float32"'),
        (lambda d: d["not_available"].pop("int16"), "mine.json: not_available lacks int16"),
        (lambda d: d["not_available"].update(int16="7f"), 'mine.json: not_available.int16 is "7f", 2 bytes in hexadecimal'),
        (lambda d: d["serial"].update(parity="X"), 'mine.json: serial.parity is "X", one of "N", "E", "O"'),
        (lambda d: d.update(quantities=[5]), "mine.json: quantities[0] is not an object"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_field_value_and_what_belongs_there(
    tmp_path: Path, change: Any, message: str
) -> None:
    assert wrong(tmp_path, change).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["sunspec"].update(bases=[1]), "mine.json: sunspec.bases is [1], a list of 40000, 50000 or 0"),
        (lambda d: d["sunspec"]["common"].update(Mn="x" * 33), "mine.json: sunspec.common.Mn is"),
        (lambda d: d["sunspec"]["scale_factors"]["W_SF"].update(exponent=11), "mine.json: sunspec.scale_factors.W_SF.exponent"),
        (lambda d: d["quantities"][0].update(scale_factor="X_SF"), 'mine.json: quantities[0].scale_factor is "X_SF", one of'),
    ],
)  # fmt: skip
def test_a_wrong_sunspec_block_too(tmp_path: Path, change: Any, message: str) -> None:
    assert wrong(tmp_path, change, "sunspec203").startswith(message)


def test_an_unknown_model_and_a_base_that_is_none_are_refused() -> None:
    with pytest.raises(CatalogueError, match="sdm631x is not a model; these are: " + ", ".join(models())):
        meter_map("sdm631x")
    with pytest.raises(CatalogueError, match="40001 is not a base"):
        meter_map("sunspec201", 40_001)
    with pytest.raises(CatalogueError, match="sdm630 is no SunSpec meter"):
        meter_map("sdm630", 0)
    with pytest.raises(CatalogueError, match="is not a model"):
        meter_map("../secrets")


_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3))


@given(st.data())
def test_any_value_in_any_field_is_a_map_or_one_clear_error(data: Any) -> None:
    from tempfile import TemporaryDirectory

    name = data.draw(st.sampled_from(["em340", "sunspec203"]))
    document = json.loads((REGISTERS / f"{name}.json").read_text())
    place = document
    for _ in range(3):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        if data.draw(st.booleans()):
            break
        place = place[key]
    else:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
    place[key] = data.draw(_JSON)
    with TemporaryDirectory() as folder:
        (Path(folder) / "mine.json").write_text(json.dumps(document))
        try:
            assert meter_map("mine", folder=Path(folder)).quantities
        except CatalogueError as error:
            assert "mine" in str(error) and "\n" not in str(error)
