"""`lightnode grid dispatch`: orders in, set-points out, every watt placed or named short."""

import json
from pathlib import Path

import pytest

from backend.cli import main

PODS = ("A", "B", "C")


def document() -> dict[str, object]:
    able = {"baseline_w": 5_000, "lowest_w": -9_000, "highest_w": 9_000, "up_w": 3_000, "down_w": 0}
    order = {"order": "o1", "buyer": "DSO", "direction": "up", "volume_w": 6_000, "shares_w": {"A": 3, "B": 2, "C": 1}}
    return {
        "format": "lightnode-dispatch/1", "frame": 1_970_000, "abilities": [{"pod": pod, **able} for pod in PODS],
        "orders": [order],
    }  # fmt: skip


def run(folder: Path, capsys: pytest.CaptureFixture[str], made: object, *more: str) -> tuple[int, str, str]:
    path = folder / "orders.json"
    path.write_text(made if isinstance(made, str) else json.dumps(made))
    code = main(["grid", "dispatch", str(path), *more])
    return code, *capsys.readouterr()


def test_worked_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(tmp_path, capsys, document(), "--json")
    made = json.loads(out)
    assert code == 0 and made["orders"] == [
        {"order": "o1", "parts_w": {"A": 3_000, "B": 2_000, "C": 1_000}, "short_w": 0}
    ]
    assert [t["target_w"] for t in made["targets"]] == [2_000, 3_000, 4_000]


def test_a_pod_that_is_out_is_replaced_and_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(tmp_path, capsys, document(), "--out", "A", "--out", "B")
    assert code == 0 and "order o1: 3000 of 6000 W up; SHORT 3000 W" in out and "A: 5000 W for no order" in out
    assert "no such POD" in run(tmp_path, capsys, document(), "--out", "Z")[2]


def changed(path: tuple[object, ...], value: object) -> dict[str, object]:
    made = document()
    at: object = made
    for key in path[:-1]:
        at = at[key]  # type: ignore[index]
    at[path[-1]] = value  # type: ignore[index]
    return made


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("[", "not JSON"),
        ("[" * 5_000, "format, expected"),
        ({}, "format, expected 'lightnode-dispatch/1'"),
        (changed(("frame",), -1), "frame = -1"),
        (changed(("orders",), None), "orders, expected a list"),
        (changed(("orders", 0, "volume_w"), 1.5), "order number 1: volume_w = 1.5, expected a whole number"),
        (changed(("orders", 0, "buyer"), "BRP"), "buyer = 'BRP', expected DSO or TSO"),
        (changed(("orders", 0, "shares_w"), {"A": "x"}), "share of A = 'x'"),
        (changed(("orders", 0, "shares_w"), {"Q": 1}), "unknown POD Q"),
        (changed(("orders", 0, "shares_w"), {}), "over shares_w {}"),
        (changed(("abilities", 1, "pod"), "A"), "ability number 2: POD A is there twice"),
        (changed(("abilities", 0, "colour"), 1), "ability number 1: expected exactly pod"),
        (changed(("abilities", 0, "up_w"), True), "up_w = True, expected a whole number"),
        (changed(("abilities", 0, "lowest_w"), 9_001), "lowest_w 9001 is above highest_w 9000"),
    ],
)
def test_bad_input_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], made: object, named: str
) -> None:
    code, out, err = run(tmp_path, capsys, made)
    assert (code, out) == (1, "") and named in err and err.count("\n") == 1
