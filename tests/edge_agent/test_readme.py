"""What the README says is what the program takes."""

import re
from pathlib import Path

import pytest

import edge_agent
from edge_agent import cli, ems_modbus
from edge_agent.settings import load
from tests.edge_agent.parts import ISSUER, ISSUER_KEY, NODE_KEY

README = (Path(edge_agent.__file__).parent / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


def test_the_settings_of_the_readme_are_settings(tmp_path: Path) -> None:
    text = block("toml").replace('id = "..."', f'id = "{ISSUER.hex()}"')
    text = text.replace('node_key = "02..."', f'node_key = "{NODE_KEY.public.hex()}"')
    path = tmp_path / "agent.toml"
    path.write_text(text.replace('key = "02..."', f'key = "{ISSUER_KEY.public.hex()}"'))
    settings = load(path)
    assert (settings.max_withdrawal_w, settings.ems.nameplate_w, settings.conductor) == (60_000, 40_000, None)


def test_the_commands_of_the_readme_are_commands() -> None:
    lines = [line.split()[1:] for line in block("").splitlines() if line.startswith("lightnode-agent")]
    assert {cli._parser().parse_args(words).command for words in lines} == {"enrol", "check", "run", "show"}


@pytest.mark.parametrize(
    ("point", "offset"), [("PodW", ems_modbus._POD_W), ("LocalSwitch", 4), ("EmergencyStop", 5), ("ID", 0)]
)
def test_the_register_table_is_the_one_in_use(point: str, offset: int) -> None:
    assert re.search(rf"^\| {offset} \| {point} \|", README, re.MULTILINE)
    assert f"| {ems_modbus.POD_MODEL} |" in README
