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
        (changed(("orders", 0, "shares_w"), {"Q": 1}), "order o1: POD Q of its group is not among the abilities"),
        (changed(("orders", 0, "shares_w"), {}), "order o1: no shares_w, expected those of at least one POD"),
        (changed(("orders", 0, "shares_w"), {"A": 1, "B": 0}), "order o1: share of B = 0, expected 1 W or more"),
        (changed(("orders", 0, "shares_w"), {"A": -3}), "order o1: share of A = -3, expected 1 W or more"),
        (changed(("orders", 0, "volume_w"), -1), "order o1: volume_w = -1, expected 0 or more"),
        (changed(("orders", 0, "volume_w"), float("nan")), "volume_w = nan, expected a whole number"),
        (changed(("orders", 0, "direction"), "UP"), "order o1: direction 'UP', expected up or down"),
        (changed(("orders", 0, "order"), ""), "order number 1: order = '', expected 1 to 64 characters"),
        (changed(("orders", 0, "order"), "o1\nA: 0 W"), "order number 1: order = 'o1\\nA: 0 W', expected 1 to 64"),
        (changed(("orders",), document()["orders"] * 2), "order o1 stands twice, expected once"),  # type: ignore[operator]
        (changed(("abilities",), []), "order o1: POD A of its group is not among the abilities"),
        (changed(("abilities", 0, "pod"), "x" * 99_999), "ability number 1: pod = '"),
        (changed(("orders", 0, "shares_w"), {"x" * 999: 1}), "order number 1: POD of shares_w = 'xx"),
        (changed(("out",), ["A"]), "orders: no such field as 'out'"),
        (json.dumps(document()).replace('"A": 3', '"A": 9, "A": 3'), "orders: field 'A' stands twice, expected once"),
        (json.dumps(document()).replace('"volume_w"', '"volume_w": 1, "volume_w"'), "field 'volume_w' stands twice"),
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
    assert (code, out) == (1, "") and named in err and err.count("\n") == 1 and len(err) < 200


def test_without_an_order_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, capsys, changed(("orders",), []))[:2] == (0, "no order: nobody is asked for anything\n")


def test_a_target_outside_of_a_pods_limits_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its baseline is beyond them: its node will refuse. The others are not concerned."""
    code, out, err = run(tmp_path, capsys, changed(("abilities", 0, "baseline_w"), 20_000))
    assert code == 0 and "A: 17000 W for o1" in out
    assert err == (
        "lightnode: POD A: target 17000 W is outside of its limits, -9000 to 9000 W (baseline 20000 W): its node will refuse it\n"
    )


def test_a_pod_of_two_groups_is_replaced_in_each_and_in_none_where_nobody_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A has 1,000 W of the DSO's order, which B takes over, and 2,000 W of the TSO's, whose group is A alone."""
    made = document()
    made["orders"] = [
        {"order": "t", "buyer": "TSO", "direction": "up", "volume_w": 2_000, "shares_w": {"A": 1}},
        {"order": "d", "buyer": "DSO", "direction": "up", "volume_w": 2_000, "shares_w": {"A": 1, "B": 1}},
    ]
    _, out, _ = run(tmp_path, capsys, made, "--json", "--out", "A")
    said = json.loads(out)
    assert [(o["order"], o["parts_w"], o["short_w"]) for o in said["orders"]] == [
        ("d", {"B": 2_000}, 0),
        ("t", {}, 2_000),
    ]
    assert {t["pod"]: t["target_w"] for t in said["targets"]} == {"A": 5_000, "B": 3_000}
    turned = json.loads(json.dumps(made, sort_keys=True))
    for name in ("orders", "abilities"):
        turned[name] = turned[name][::-1]
    turned["orders"][0]["shares_w"] = dict(reversed(turned["orders"][0]["shares_w"].items()))
    assert run(tmp_path, capsys, turned, "--json", "--out", "A", "--out", "A")[1] == out, "the same bytes in any order"


def test_watts_that_do_not_divide_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """7 W over thirds of 3: the largest remainder, ties by POD; an ability below its share gives the rest to the others."""
    made = changed(("orders", 0, "shares_w"), dict.fromkeys(PODS, 1))
    made["orders"][0]["volume_w"] = 7  # type: ignore[index]
    said = json.loads(run(tmp_path, capsys, made, "--json")[1])
    assert said["orders"][0]["parts_w"] == {"A": 3, "B": 2, "C": 2}
    made["abilities"][0]["up_w"] = 1  # type: ignore[index]
    said = json.loads(run(tmp_path, capsys, made, "--json")[1])
    assert said["orders"][0]["parts_w"] == {"A": 1, "B": 3, "C": 3} and said["orders"][0]["short_w"] == 0
