"""What the README says of meters and time is what the maps and the clock hold."""

import ast
import re

import pytest
from lightnode import clock, meters
from lightnode.modbus import REQUESTS_MAX

from hil.meters.catalogue import models
from tests.conftest import ROOT

README = (ROOT / "firmware" / "README.md").read_text()


def resolution(found: object, name: str) -> str:
    """What one count of a quantity is worth."""
    _, form, ten = found.QUANTITIES[name]  # type: ignore[attr-defined]
    if name == "import" and form == "float32":
        return str(found.ENERGY_STEP_WH)  # type: ignore[attr-defined]
    if form == "float32":
        return "float32"
    if getattr(found, "SCALES", {}):
        return "10^SF"
    return f"{10.0**ten:g}"


def row(name: str) -> str:
    found = meters.layout(name)
    title = str(ast.get_docstring(ast.parse((ROOT / f"firmware/lightnode/meters/{name}.py").read_text()))).split("\n")[
        0
    ]
    baud, parity, stop_bits = found.SERIAL
    cells = [
        f"`{name}`",
        title.rstrip("."),
        str(found.FUNCTION),
        str(len(found.REQUESTS)),
        f"{baud} 8{parity}{stop_bits}",
    ]
    return (
        "| " + " | ".join(cells + [resolution(found, n) for n in ("power", "voltage_l1", "frequency", "import")]) + " |"
    )


@pytest.mark.parametrize("name", models())
def test_each_map_has_its_row(name: str) -> None:
    assert row(name) in README, row(name)


def test_no_row_is_without_a_map() -> None:
    assert re.findall(r"^\| `(\w+)` \|.*\| \d \|", README, re.MULTILINE) == meters.names()


def test_what_a_map_holds_is_what_the_maps_hold() -> None:
    text = README.partition("### Add a meter")[2].partition("## Time")[0]
    said = set(re.findall(r"`([A-Z_]{4,})`", text))
    held = {n for name in models() for n in vars(meters.layout(name)) if n.isupper()}
    assert said == held
    assert {q for name in models() for q in meters.layout(name).QUANTITIES} - set(re.findall(r"`(\w+)`", text)) <= {
        f"{kind}_l{k}" for kind in ("voltage", "current", "power") for k in (2, 3)
    }


def test_figures_of_time_and_requests() -> None:
    assert f"by {clock.DRIFT_PPM} ppm, {clock.DRIFT_PPM * 3_600_000 // 10**6} ms an hour" in README
    assert f"over {clock.RENEW_ERROR_MS:,} ms" in README and f"Over {clock.HOLDOVER_ERROR_MS:,} ms" in README
    assert clock.RENEW_MS == 6 * 3_600_000 and clock.HOLDOVER_ERROR_MS * 10**6 // clock.DRIFT_PPM // 3_600_000 == 11
    assert REQUESTS_MAX == 3 and "at most three requests, repetitions included" in README
