"""`lightnode grid localise | plan | request | validate | substation` on the 33-bus grid, as a user types them."""

import json
from pathlib import Path

import pytest

from backend.cli import main
from backend.grid.document import written
from tests.backend.grid import three_nodes as small
from tests.backend.grid.test_renewal import CALM_W, FULL_W, NEEDED
from tests.backend.grid.test_renewal import GRID as GRID_WITH_BANK

DEMO = Path(__file__).parents[3] / "backend/demo"
GRID = str(DEMO / "baran_wu_33.json")
FRAMES = [100, 101, 102]


@pytest.fixture
def states(tmp_path):
    """Three quarter-hours: nominal, a heavier and a light one; two levels; two PODs."""
    network = json.loads(Path(GRID).read_text())
    percent = (100, 110, 40)
    load_w = {str(e["id"]): [e["p_nominal_w"] * p // 100 for p in percent] for e in network["loads"]}
    load_var = {str(e["id"]): [e["q_nominal_var"] * p // 100 for p in percent] for e in network["loads"]}
    more = {key: [w * 11 // 10 for w in row] for key, row in load_w.items()}
    document = {
        "format": "lightnode-states/1",
        "frames": FRAMES,
        "levels": [
            {"level_ppm": 500_000, "load_w": load_w, "load_var": load_var},
            {"level_ppm": 900_000, "load_w": more, "load_var": load_var},
        ],
        "pods": {"P18": 18, "P33": 33},
        "known_before_frame": 90,
    }
    return write(tmp_path / "states.json", document)


def write(path, document):
    path.write_text(json.dumps(document))
    return str(path)


def said(capsys, *arguments):
    """Exit code and the JSON document of a command."""
    code = main(["grid", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_an_alert_has_its_record_its_line_and_its_exit_code(states, capsys):
    code, document = said(capsys, "localise", GRID, states, "--voltage-margin-ppm", 10_000)
    assert code == 1 and document["alert"]["severity"] == "high"
    rows = [c for c in document["congestions"] if c["element"] == "node:18:low"]
    assert [(c["frame"], c["name"], c["probability_ppm"]) for c in rows][1] == (101, "bus 18", 1_000_000)
    assert main(["grid", "localise", GRID, states, "--voltage-margin-ppm", "10000"]) == 1
    assert capsys.readouterr().out.startswith("ALERT high: node:18:low (bus 18) in frame 101")
    assert main(["grid", "localise", GRID, str(DEMO / "baran_wu_states.json")]) == 0
    assert capsys.readouterr().out == "every limit holds in 1 frames\n"


def test_what_an_outage_loses_is_said(states, capsys):
    code, document = said(capsys, "localise", GRID, states, "--outage", "line:22", "--outage", "line:17")
    assert code == 1
    assert [(x["outage"], x["nodes"]) for x in document["lost"]] == [("line:22", [23, 24, 25]), ("line:17", [18])]


def test_the_day_from_alert_to_verdict(states, tmp_path, capsys):
    """Localise, own plan, request, a list, its verdicts, the substation; at the end nothing is broken."""
    margin = ("--voltage-margin-ppm", 40_000)
    code, plan = said(capsys, "plan", GRID, states, "--all", *margin)
    assert code == 0 and len(plan["before"]) > len(plan["after"]) > 0
    assert [row["do"] for row in plan["switching"]] == ["close", "open"] * (len(plan["switching"]) // 2)
    path = write(tmp_path / "plan.json", plan)
    code, asked = said(capsys, "request", GRID, states, "--plan", path, *margin)
    assert code == 0 and asked["unserved"] == [] and asked["requests"]
    assert all(r["product"] == "active" and r["direction"] == "up" and r["nodes"] for r in asked["requests"])
    able = {
        "format": "lightnode-capabilities/1",
        "capabilities": [{"pod": "P18", "up_w": 500}, {"pod": "P33", "up_w": 500}],
    }
    few = ("--capabilities", write(tmp_path / "able.json", able))
    code, short = said(capsys, "request", GRID, states, "--plan", path, *margin, *few)
    assert code == 1 and {v["frame"] for v in short["unserved"]} <= set(FRAMES)
    frames = asked["least"]["frames"]
    nodes = asked["least"]["delta_w"]
    document = json.loads(Path(states).read_text())
    document["pods"] = {name: int(name.removeprefix("node:")) for name in nodes}
    states = write(tmp_path / "more.json", document)
    rows = [
        {"offer": name, "delta_w": {name: [dict(zip(frames, watts, strict=True)).get(f, 0) for f in FRAMES]}}
        for name, watts in nodes.items()
    ]  # fmt: skip
    rows.append({"offer": "tso", "buyer": "TSO", "delta_w": {next(iter(nodes)): [300_000] * 3}})
    listed = write(tmp_path / "awards.json", {"format": "lightnode-awards/1", "awards": rows})
    code, judged = said(capsys, "validate", GRID, states, "--plan", path, "--awards", listed, *margin)
    assert code == 0 and judged["after"] == []
    by_offer = {v["offer"]: v for v in judged["verdicts"]}
    assert {by_offer[name]["decision"] for name in nodes} == {"accepted"} and by_offer["tso"]["decision"] == "cut"
    assert "W would have passed" in by_offer["tso"]["text"] and by_offer["tso"]["stops"][0]["limit_ppt"]
    code, profile = said(capsys, "substation", GRID, states, "--plan", path, "--awards", listed)
    assert code == 0 and profile["before"]["frames"] == FRAMES
    assert profile["after"]["power_w"] != profile["before"]["power_w"] and profile["after"]["voltage_ppt"]["1"]


def test_the_best_known_configuration_is_found_by_the_command_of_the_help(capsys):
    code, plan = said(capsys, "plan", GRID, DEMO / "baran_wu_states.json", "--losses", "--all")
    assert code == 0 and plan["opened"] == ["line:7", "line:9", "line:14", "line:32", "line:37"]
    assert (plan["loss_before_wh"], plan["loss_after_wh"]) == (50_669, 34_887)
    assert [row["number"] for row in plan["switching"]] == list(range(1, 9))


def test_the_same_input_gives_the_same_bytes_whatever_the_order_of_the_document(states, tmp_path, capsys):
    document = json.loads(Path(states).read_text())
    document["levels"] = document["levels"][::-1]
    for level in document["levels"]:
        level["load_w"] = dict(reversed(level["load_w"].items()))
    other = write(tmp_path / "other.json", document)
    for command in ("localise", "plan", "request", "substation"):
        texts = []
        for path in (states, other):
            main(["grid", command, GRID, path, "--json", "--voltage-margin-ppm", "30000"])
            texts.append(capsys.readouterr().out)
        assert texts[0] == texts[1] and len(texts[0]) > 100, command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("localise", GRID, "none.json"), "none.json: No such file"),
        (("localise", GRID, GRID), "states: format"),
        (("localise", GRID, "S", "--outage", "line:99"), "outage 'line:99'"),
        (("localise", GRID, "S", "--gate", "80"), "known_before_frame = 90, expected 80 or earlier"),
        (("localise", GRID, "S", "--voltage-margin-ppm", "-1"), "voltage_margin_ppm = -1"),
        (("plan", GRID, "S", "--switchable", "line:99"), "switchable 'line:99'"),
        (("plan", GRID, "S", "--device-operations", "-1"), "--device-operations = -1"),
        (("request", GRID, "S", "--plan", GRID), "plan: format"),
        (("validate", GRID, "S", "--awards", GRID), "awards: format"),
    ],
)
def test_a_refusal_is_one_line_with_exit_code_1(arguments, words, states, capsys):
    arguments = [states if a == "S" else a for a in arguments]
    assert main(["grid", *arguments]) == 1
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert main(["grid", *arguments, "--json"]) == 1
    assert words in json.loads(capsys.readouterr().out)["reason"]


def test_a_plan_that_leaves_an_island_is_refused(states, tmp_path, capsys):
    _, plan = said(capsys, "plan", GRID, states, "--all", "--losses")
    plan["opened"] = [*plan["opened"], "line:3"]
    assert main(["grid", "localise", GRID, states, "--plan", write(tmp_path / "p.json", plan)]) == 1
    assert "leaves a node without feed" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["localise", "plan", "request", "validate", "substation"])
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as done:
        main(["grid", command, "--help"])
    assert done.value.code == 0 and f"example: lightnode grid {command}" in capsys.readouterr().out


def test_one_load_in_kw_is_named_on_stderr_and_the_work_goes_on(states, capsys):
    document = json.loads(Path(states).read_text())
    for level in document["levels"]:
        level["load_w"]["17"] = [90, 99, 36]
    other = write(Path(states).with_name("in_kw.json"), document)
    assert main(["grid", "substation", GRID, other]) == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and 'states load_w of 17 "' in error and "is it kW, or a site at rest?" in error


def test_a_frame_without_a_solution_is_named_by_every_command_and_stops_none(states, tmp_path, capsys):
    document = json.loads(Path(states).read_text())
    for level in document["levels"]:
        level["load_w"] = {key: [row[0], row[1] * 9, row[2]] for key, row in level["load_w"].items()}
    dark = write(tmp_path / "dark.json", document)
    awards = {"format": "lightnode-awards/1", "awards": [{"offer": "A", "delta_w": {"P18": [-1000] * 3}}]}
    code, found = said(capsys, "constraints", GRID, dark, "--near-ppm", 90_000)
    assert (code, found["unsolved"], found["frames"]) == (1, [101], FRAMES)
    assert {c["frame"] for c in found["constraints"] if c["element"] != "network"} == {100, 102}
    _, found = said(capsys, "substation", GRID, dark)
    assert (found["after"]["unsolved"], found["after"]["frames"]) == ([101], [100, 102])
    assert main(["grid", "substation", GRID, dark]) == 0 and "101: no solution no solution" in capsys.readouterr().out
    _, found = said(capsys, "validate", GRID, dark, "--awards", write(tmp_path / "awards.json", awards))
    assert found["verdicts"][0]["delta_w"]["P18"] == [-1000, 0, -1000]
    _, found = said(capsys, "localise", GRID, dark)
    assert {c["frame"] for c in found["congestions"] if c["element"] == "network"} == {101}
    _, found = said(capsys, "request", GRID, dark)
    assert [(v["element"], v["frame"]) for v in found["unserved"]] == [("network", 101)]


def test_a_frame_at_the_edge_of_its_solutions_is_named_and_the_others_have_their_limits(tmp_path, capsys):
    """Each frame stands alone; 12.49 MW of the 12.5 MW that three nodes can carry have no solution with a step more."""
    document = small.document()
    watts = [1_400_000, 12_490_000, 500_000_000, 300_000]
    states = {
        "format": "lightnode-states/1",
        "frames": [100, 101, 102, 103],
        "levels": [{"level_ppm": 500_000, "load_w": {"1": [0] * 4, "2": watts}}],
        "pods": {"POD3": 3},
    }
    files = write(tmp_path / "grid.json", document), write(tmp_path / "states.json", states)
    code, found = said(capsys, "constraints", *files)
    assert (code, found["unsolved"]) == (1, [101, 102])
    assert {c["frame"] for c in found["constraints"] if c["element"] != "network"} == {100, 103}
    assert main(["grid", "constraints", *files]) == 1
    printed = capsys.readouterr()
    assert "frame 101: no solution, nothing may be traded in it" in printed.out and printed.err == ""
    code, found = said(capsys, "request", *files)
    assert code == 1 and {v["frame"] for v in found["unserved"] if v["element"] == "network"} == {101, 102}
    assert {v["frame"] for v in found["unserved"] if v["element"] == "line:1"} == {101}


def test_what_is_on_single_phases_is_said_to_count_as_balanced(states, tmp_path, capsys):
    made = json.loads(Path(GRID).read_text())
    made["loads"][3]["phases"], made["loads"][4]["phases"] = "a", "bc"
    made["format"] = "lightnode-network/2"
    assert main(["grid", "substation", write(tmp_path / "single.json", made), states]) == 0
    error = capsys.readouterr().err
    assert (
        error.startswith("lightnode: 2 loads, generators, storages or PODs are on one or two phases")
        and error.count("\n") == 1
    )
    assert main(["grid", "substation", GRID, states]) == 0 and capsys.readouterr().err == ""


def test_a_plan_names_every_transformer_that_moves_and_is_followed_as_it_says(tmp_path, capsys):
    """Two that stand at -1 and 1 and move together: both are named, and what the plan leaves is what localise finds with it."""
    made = small.document()
    made["nodes"].append({"id": 9, "name": "HV", "u_rated_v": 110_000, "u_min_ppm": 900_000, "u_max_ppm": 1_100_000})
    made["sources"][0]["node"] = 9
    unit = {
        "from": 9, "to": 1, "closed": True, "u_from_v": 110_000, "u_to_v": 20_000, "sn_va": 25_000_000, "uk_ppm": 120_000,
        "pk_w": 100_000, "i0_ppm": 1_000, "p0_w": 15_000, "clock": 5, "tap_side": "from", "tap_min": -9, "tap_max": 9,
        "tap_nominal": 0, "tap_size_mv": 1_650_000, "on_load": True,
    }  # fmt: skip
    made["transformers"] = [{"id": k, "name": f"T{k}", "tap_position": at, **unit} for k, at in ((1, -1), (2, 1))]
    load_w = {"1": [0, 0], "2": [100_000, 1_550_000]}
    states = {
        "format": "lightnode-states/1", "frames": [100, 101], "levels": [{"level_ppm": 500_000, "load_w": load_w}],
    }  # fmt: skip
    files = write(tmp_path / "grid.json", made), write(tmp_path / "states.json", states)
    code, plan = said(capsys, "plan", *files)
    (move,) = plan["operations"]
    by = move["to"] - move["from"]
    assert code == 0 and plan["before"] and plan["after"] == [] and plan["devices"][0]["apart"] == [0, 2]
    assert move["text"] == f"taps of transformers 1 from -1 to {by - 1}, 2 from 1 to {by + 1}"
    path = write(tmp_path / "plan.json", plan)
    assert said(capsys, "localise", *files)[0] == 1 and said(capsys, "localise", *files, "--plan", path)[0] == 0
    plan["devices"][0]["positions"][1] = 8
    beyond = write(tmp_path / "beyond.json", plan)
    assert main(["grid", "localise", *files, "--plan", beyond]) == 1
    assert "plan tap 1: not a device that may be moved, or not to these positions" in capsys.readouterr().err


def test_the_same_input_in_any_order_gives_the_same_bytes(states, tmp_path, capsys):
    """Elements, levels and fields turned round: the answer is the same to the byte."""
    network, day = json.loads(Path(GRID).read_text()), json.loads(Path(states).read_text())
    turned = {k: v[::-1] if isinstance(v, list) else v for k, v in reversed(network.items())}
    day["levels"] = [
        {k: dict(reversed(v.items())) if isinstance(v, dict) else v for k, v in reversed(level.items())}
        for level in day["levels"][::-1]
    ]
    other = write(tmp_path / "turned.json", turned), write(tmp_path / "other.json", dict(reversed(day.items())))
    for command in (
        ["localise", "--outage", "line:17"],
        ["plan", "--switchable", "line:33", "--switchable", "line:14"],
        ["request"],
        ["constraints", "--near-ppm", "90000"],
        ["substation"],
    ):
        found = []
        for files in ((GRID, states), other):
            main(["grid", command[0], *files, *command[1:], "--voltage-margin-ppm", "9000", "--json"])
            found.append(capsys.readouterr().out)
        assert found[0] == found[1] and found[0].startswith("{"), command[0]


@pytest.fixture
def evening(tmp_path):
    """A grid with a bank at the end of its line, and a way to write states of it: W at the end by quarter-hour."""
    grid = write(tmp_path / "grid.json", json.loads(written(GRID_WITH_BANK)))

    def states(name, frames, *watts):
        calm, end = (str(load.id) for load in GRID_WITH_BANK.loads)
        level = {
            "level_ppm": 500_000,
            "load_w": {calm: [0] * len(watts), end: list(watts)},
            "load_var": {calm: [0] * len(watts), end: [w // 2 for w in watts]},
        }
        return write(tmp_path / name, {"format": "lightnode-states/1", "frames": frames, "levels": [level], "pods": {}})

    return grid, states


def test_a_plan_is_renewed_for_a_part_of_its_quarter_hours_and_goes_on_as_a_plan(evening, tmp_path, capsys):
    grid, states = evening
    day = states("day.json", [100, 101, 102, 103], *[CALM_W] * 4)
    _, plan = said(capsys, "plan", grid, day)
    assert plan["operations"] == [] and plan["after"] == []
    path, near = write(tmp_path / "plan.json", plan), states("near.json", [102, 103], CALM_W, FULL_W)
    code, alert = said(capsys, "localise", grid, near, "--plan", path)
    assert code == 1 and {c["frame"] for c in alert["congestions"]} == {103}, (
        "the plan of a day, states of a part of it"
    )
    code, renewed = said(capsys, "plan", grid, near, "--renew", path)
    assert code == 0 and renewed["frames"] == plan["frames"] and renewed["before"] and not renewed["after"]
    assert renewed["devices"][0]["positions"] == [0, 0, 0, NEEDED]
    assert [(o["frame"], o["from"], o["to"]) for o in renewed["operations"]] == [(103, 0, NEEDED)]
    again = write(tmp_path / "renewed.json", renewed)
    assert said(capsys, "localise", grid, near, "--plan", again)[0] == 0
    assert said(capsys, "plan", grid, near, "--renew", again)[1]["devices"] == renewed["devices"]
    assert main(["grid", "plan", grid, near, "--renew", path]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"capacitor bank 1 from 0 to {NEEDED}, frame 103"


def test_what_cannot_be_renewed_is_said_in_one_line(evening, tmp_path, capsys):
    grid, states = evening
    day = states("day.json", [100, 101, 102, 103], *[CALM_W] * 4)
    path = write(tmp_path / "plan.json", said(capsys, "plan", grid, day)[1])
    for frames, more, says in (
        ([103, 104], (), "plan: of other frames than the states, expected them all, one after the other"),
        ([100, 102], (), "plan: of other frames than the states"),
        ([102, 103], ("--losses",), "--renew moves taps and banks only"),
        ([102, 103], ("--renew", grid), "plan: format, expected 'lightnode-plan/1'"),
    ):
        near = states("near.json", frames, CALM_W, FULL_W)
        assert main(["grid", "plan", grid, near, "--renew", path, *more]) == 1
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith(f"lightnode: {says}") and told.err.count("\n") == 1


def test_a_plan_that_lacks_a_position_is_told_which(evening, tmp_path, capsys):
    grid, states = evening
    day = states("day.json", [100, 101, 102, 103], *[CALM_W] * 4)
    plan = said(capsys, "plan", grid, day)[1]
    plan["devices"][0]["positions"].pop()
    assert main(["grid", "localise", grid, day, "--plan", write(tmp_path / "plan.json", plan)]) == 1
    told = capsys.readouterr().err
    assert told == "lightnode: plan bank 1: 3 positions, expected 4, one for each frame\n"
