"""lightnode grid import, check, show."""

import gzip
import json
from pathlib import Path

import pytest

from backend.cli import main
from backend.grid.document import parse_network
from tests.backend.grid import three_nodes as small

ROOT = Path(__file__).resolve().parents[3]
NETS = ROOT / "tests" / "vectors" / "grid"


@pytest.fixture
def ring(tmp_path):
    path = tmp_path / "ring.json"
    path.write_bytes(gzip.decompress((NETS / "simple_mv_open_ring_net.json.gz").read_bytes()))
    return path


@pytest.fixture
def three(tmp_path):
    path = tmp_path / "three.json"
    path.write_text(json.dumps(small.document()))
    return path


def test_an_imported_grid_is_a_document_that_check_takes(ring, tmp_path, capsys):
    out = tmp_path / "network.json"
    assert main(["grid", "import", str(ring), "--out", str(out), "--name", "ring", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["name"] == "ring" and said["solved"] and said["elements"]["nodes"] == 7
    assert parse_network(out.read_text()).name == "ring"
    assert main(["grid", "check", str(out), "--phases", "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["lowest_voltage"] == said["lowest_voltage"] and checked["phases_solved"]


def test_every_finding_is_printed_on_a_line_of_its_own(three, capsys):
    document = json.loads(three.read_text())
    document["loads"][0]["p_nominal_w"] = 850
    document["lines"][1]["rated_ma"] = 220
    document["nodes"][2]["id"] = 2
    three.write_text(json.dumps(document))
    assert main(["grid", "check", str(three)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert 'lightnode: load:1 "l2" p_nominal_w = 850, expected W at a node above 1 kV (is it kW?)' in lines
    assert any('line:2 "b" rated_ma = 220' in line for line in lines) and any(
        'node:2 "n3" id = 2' in line for line in lines
    )
    assert main(["grid", "check", str(three), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {
        "element": 'line:2 "b"',
        "field": "rated_ma",
        "value": 220,
        "expected": "mA, at least 1000 (is it A?)",
    } in findings


def test_a_file_whose_own_state_cannot_be_found_again_is_refused_and_not_written(ring, tmp_path, capsys):
    whole = json.loads(ring.read_text())
    load = json.loads(whole["_object"]["load"]["_object"])
    for values in load["data"]:
        values[load["columns"].index("p_mw")] *= 100
    line = json.loads(whole["_object"]["line"]["_object"])
    for values in line["data"]:
        values[line["columns"].index("max_i_ka")] = 99.0
    for name, table in (("load", load), ("line", line)):
        whole["_object"][name]["_object"] = json.dumps(table)
    ring.write_text(json.dumps(whole))
    out = tmp_path / "network.json"
    assert main(["grid", "import", str(ring), "--out", str(out)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "power flow = no solution, expected the state that the file's own power flow has" in line and not out.exists()
    )


def test_a_pod_without_a_name_is_named(three, capsys):
    document = json.loads(three.read_text()) | {"connections": [{"pod": "", "node": 2}]}
    three.write_text(json.dumps(document))
    assert main(["grid", "check", str(three)]) == 1
    assert "pod pod = '', expected the id of a POD" in capsys.readouterr().err


def test_a_pod_at_an_unknown_node_is_named(three, tmp_path, capsys):
    pods = tmp_path / "pods.json"
    pods.write_text('{"POD2": 2, "POD9": 9}')
    assert main(["grid", "check", str(three), "--pods", str(pods)]) == 1
    assert "pod:POD9 node = 9, expected the id of a node" in capsys.readouterr().err
    pods.write_text('{"POD2": 2, "POD3": [3, "b"]}')
    assert main(["grid", "check", str(three), "--pods", str(pods), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["elements"]["connections"] == 2
    pods.write_text('{"POD2": [2, "abcd"]}')
    assert main(["grid", "check", str(three), "--pods", str(pods)]) == 1
    assert "pod:POD2 phases = 'abcd', expected one of" in capsys.readouterr().err


def test_the_picture_says_which_limits_are_broken_and_is_the_same_twice(three, tmp_path, capsys):
    document = json.loads(three.read_text())
    document["loads"][1]["p_nominal_w"] = 1_800_000
    three.write_text(json.dumps(document))
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    assert main(["grid", "show", str(three), "--out", str(first), "--json"]) == 0
    broken = json.loads(capsys.readouterr().out)["limits_broken"]
    assert "line:1" in broken and "node:3:low" in broken and "node:1:low" not in broken
    main(["grid", "show", str(three), "--out", str(second)])
    text = first.read_text()
    assert text == second.read_text()
    assert "line a: loaded" in text and "upper limit" in text and "source" in text


def test_a_picture_of_another_kind_and_a_file_that_is_not_there_are_refused(three, tmp_path, capsys):
    assert main(["grid", "show", str(three), "--out", str(tmp_path / "x.pdf")]) == 1
    assert "a picture is .svg or .png" in capsys.readouterr().err
    assert main(["grid", "check", str(tmp_path / "no.json")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_a_png_is_written(three, tmp_path):
    out = tmp_path / "x.png"
    assert main(["grid", "show", str(three), "--out", str(out)]) == 0
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
