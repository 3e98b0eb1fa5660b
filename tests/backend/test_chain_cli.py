"""`lightnode chain` on a real node: each command, its exit code, what it says."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightwire import envelope, records

from backend.adapters.keys import SigningKey
from backend.adapters.sqlite import SqliteStore
from backend.cli import _parser, main
from backend.settings import load
from hil.anvil import DEVELOPER_KEY, Anvil

OPERATOR = "0123456789abcdef"
OTHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"

Say = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def node(anvil: Callable[..., Anvil]) -> Anvil:
    return anvil()


@pytest.fixture
def say(node: Anvil, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """say(command, *words) -> (exit code, the JSON object it printed); the settings grow with the deployment."""
    key = tmp_path / "chain.key"
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, DEVELOPER_KEY)
    os.close(descriptor)
    settings = tmp_path / "backend.toml"
    lines = ["[chain]", f'endpoints = ["{node.url}"]', "chain_id = 31337", f'operator = "{OPERATOR}"']
    settings.write_text("\n".join([*lines, 'key_file = "chain.key"', "confirmations = 2", 'database = "scd.sqlite"\n']))

    def call(command: str, *words: str) -> tuple[int, dict[str, Any]]:
        code = main(["chain", command, "--settings", str(settings), "--json", *words])
        facts: dict[str, Any] = json.loads(capsys.readouterr().out)
        if command == "deploy" and code == 0:
            with settings.open("a") as file:
                file.write(f'contract = "{facts["contract"]}"\nfirst_block = {facts["first_block"]}\n')
        return code, facts

    return call


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "scd.sqlite")


def test_deploy_status_and_catch_up_until_all_is_final(say: Say, node: Anvil, store: SqliteStore) -> None:
    assert say("deploy", "--grant-self")[0] == 0
    for epoch in range(2_000_000, 2_000_005):
        store.save_epoch(epoch, bytes([epoch % 256]) * 32, 5, [])
    code, facts = say("status")
    assert (code, facts["commitments"], facts["oldest_unanchored"]) == (0, {"pending": 5}, 2_000_000)
    assert facts["refusal"] is None and facts["balance_wei"] > 0 and facts["lag_s"] < 60 and facts["last_step"] is None
    code, facts = say("catch-up", "--wait", "0.6")
    assert code == 4 and facts["commitments"] == {"anchored": 5} and not facts["settled"]
    node.mine(3)
    assert say("catch-up")[0] == 0
    code, facts = say("status")
    assert (code, facts["commitments"], facts["oldest_unanchored"]) == (0, {"final": 5}, None)
    assert facts["last_step"]["block"] == facts["head"]


def test_a_role_is_given_and_taken(say: Say, store: SqliteStore) -> None:
    say("deploy")
    assert say("status")[1]["refusal"] == "role"
    own = say("status")[1]["account"]
    assert say("grant", own)[0] == 0 and say("status")[1]["refusal"] is None
    assert say("revoke", own)[0] == 0 and say("status")[1]["refusal"] == "role"
    store.save_epoch(2_000_000, b"r" * 32, 5, [])
    code, facts = say("catch-up", "--wait", "0.1")
    assert code == 4 and facts["reason"] == "the contract refuses: role"


def test_the_contract_is_handed_over_in_two_steps(say: Say, tmp_path: Path, node: Anvil, store: SqliteStore) -> None:
    say("deploy")
    own = say("status")[1]["account"]
    heir = str(tmp_path / "heir.key")
    next_admin = say("status", "--key", heir)[1]["account"]
    node.do("anvil_setBalance", next_admin, hex(10**18))
    code, facts = say("accept-admin", "--key", heir)
    assert code == 1 and "admin" in facts["reason"], "nothing was offered"
    assert say("offer-admin", next_admin)[0] == 0
    assert (facts := say("status")[1])["admin"] == own and facts["pending_admin"] == next_admin
    assert say("offer-admin", "--withdraw")[0] == 0 and say("accept-admin", "--key", heir)[0] == 1
    assert (facts := say("status")[1])["admin"] == own and facts["pending_admin"] is None
    assert say("offer-admin", next_admin)[0] == 0 and say("grant", own)[0] == 0, "until it is accepted nothing changes"
    code, facts = say("accept-admin", "--key", heir)
    assert (code, facts["admin"]) == (0, next_admin)
    assert (facts := say("status")[1])["admin"] == next_admin and facts["pending_admin"] is None
    assert say("grant", own)[0] == 1 and say("revoke", own, "--key", heir)[0] == 0
    with pytest.raises(SystemExit) as ended:
        say("offer-admin")
    assert ended.value.code == 2


def test_pause_stops_and_lets_go_on(say: Say, store: SqliteStore) -> None:
    say("deploy", "--grant-self")
    assert say("pause")[0] == 0 and say("status")[1]["refusal"] == "paused"
    assert say("pause", "--off")[0] == 0 and say("status")[1]["refusal"] is None


def test_who_is_not_the_admin_is_refused_with_the_contracts_reason(
    say: Say, node: Anvil, tmp_path: Path, store: SqliteStore
) -> None:
    say("deploy")
    stranger = str(tmp_path / "stranger.key")
    code, facts = say("grant", OTHER, "--key", stranger)
    assert code == 1 and "admin" in facts["reason"]
    code, facts = say("deploy", "--key", stranger)
    assert code == 1 and "funds" in facts["reason"], "a key without funds on a chain with fees"


def test_a_transaction_that_is_not_mined_is_not_yet(say: Say, node: Anvil) -> None:
    node.do("evm_setAutomine", False)
    code, facts = say("deploy", "--wait", "0.1")
    assert code == 4 and facts["transaction"].startswith("0x")


def test_a_conflict_is_refused_by_catch_up_and_named(say: Say, node: Anvil, store: SqliteStore, tmp_path: Path) -> None:
    say("deploy", "--grant-self")
    other = SqliteStore(tmp_path / "other.sqlite")
    other.save_epoch(2_000_000, b"o" * 32, 5, [])
    store.save_epoch(2_000_000, b"r" * 32, 5, [])
    assert say("catch-up", "--db", str(tmp_path / "other.sqlite"), "--wait", "0.6")[0] == 4
    code, facts = say("catch-up", "--wait", "0.1")
    assert code == 1 and facts["commitments"] == {"conflict": 1} and "another root" in facts["alarms"][0]


def test_a_chain_that_is_away_is_an_outage_and_what_was_seen_last_is_said_as_such(
    say: Say, node: Anvil, store: SqliteStore
) -> None:
    say("deploy", "--grant-self")
    store.save_epoch(2_000_000, b"r" * 32, 5, [])
    assert say("catch-up", "--wait", "0.6")[0] == 4
    node.kill()
    for command in ("status", "catch-up"):
        code, facts = say(command, "--wait", "0.1")
        assert code == 3 and node.url in facts["reason"]
    seen = say("status")[1]["as_last_seen"]
    assert seen["commitments"] == {"anchored": 1} and seen["last_step"]["block"] > 0


def test_the_status_can_be_read(say: Say, store: SqliteStore, tmp_path: Path, capsys: Any) -> None:
    say("deploy")
    store.save_epoch(2_000_000, b"r" * 32, 5, [])
    assert main(["chain", "status", "--settings", str(tmp_path / "backend.toml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["chain", "admin", "head", "account", "writing", "commitments", "unanchored"]
    assert [line.split()[0] for line in lines] == names
    assert "oldest is epoch 2000000, due since 2027-01-15T08:15:00Z" in lines[6] and "refuses: role" in lines[4]
    own = lines[3].split()[1].rstrip(",")
    assert lines[1].split() == ["admin", own]
    assert say("offer-admin", own)[0] == 0
    assert main(["chain", "status", "--settings", str(tmp_path / "backend.toml")]) == 0
    assert f"{own}, offered to {own}, who has not accepted" in capsys.readouterr().out


@pytest.mark.parametrize("wait", ["nan", "-1", "inf", "x"])
def test_a_wait_ends(wait: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chain", "catch-up", "--wait", wait])
    assert ended.value.code == 2 and "seconds from 0 to 86400" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--contract", "0x12"], "chain.contract is '0x12': 40 hexadecimal digits belong here"),
        (["--contract", "0x" + "11" * 20], "has no contract at 0x1111"),
        (["--operator", "xyz"], "chain.operator is 'xyz': 16 or 64 hexadecimal digits belong here"),
        (["--confirmations", "-1"], "chain.confirmations is '-1': a whole number"),
        (["--max-fee-gwei", "nan"], "chain.max_fee_gwei is 'nan'"),
        (["--chain-id", "1"], "is a node of chain 31337, not 1"),
        (["--rpc", "ftp://host/secret"], "is no http or https URL"),
        (["--db", "/nowhere/scd.sqlite"], "there is no such file"),
    ],
)
def test_what_is_wrong_is_one_line(say: Say, store: SqliteStore, words: list[str], reason: str) -> None:
    say("deploy")
    code, facts = say("status", *words)
    assert code in (1, 3) and reason in facts["reason"] and "\n" not in facts["reason"]
    assert "secret" not in facts["reason"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[other]\n", "the table [chain] is missing"),
        ("[chain]\nchain_id = true\n", "chain.chain_id is 'True'"),
        ("[chain]\nendpoints = []\n", "chain.endpoints is '[]': a list of URLs belongs here"),
        ("[chain]\ngas = 1\n", "chain.gas is no setting: known are chain_id"),
        ("[chain\n", "is not TOML"),
        ("a = " + "[" * 50_000, "is not TOML"),
    ],
)
def test_a_settings_file_that_is_wrong_is_one_line(tmp_path: Path, text: str, reason: str, capsys: Any) -> None:
    path = tmp_path / "backend.toml"
    path.write_text(text)
    assert main(["chain", "status", "--settings", str(path)]) == 1
    said = capsys.readouterr().err
    assert reason in said and str(path) in said and said.count("\n") == 1


def statement(tmp_path: Path) -> tuple[str, str]:
    """A file with a device's sealed statement, and its public key."""
    key = SigningKey(b"\x05" * 32)
    device = hashlib.sha256(key.public).digest()[:8]
    made = records.BatchStatement(
        device, 1, 3, 226, bytes(32), 1, 225, 225, 0, 0, 1_796_040_000_000, 1_796_040_900_000, 0, 9, 0, 0, b"R" * 32
    )
    (tmp_path / "statement.cose").write_bytes(envelope.seal(made, bytes(16), key.sign))
    return str(tmp_path / "statement.cose"), key.public.hex()


def test_a_statement_is_anchored_by_hand_and_only_where_somebody_says_it_may(say: Say, tmp_path: Path) -> None:
    file, public = statement(tmp_path)
    code, facts = say("deploy-device-anchor", "00" * 16)
    assert code == 1 and "--permissioned" in facts["reason"]
    code, facts = say("deploy-device-anchor", "00" * 16, "--permissioned")
    assert code == 0
    where = ["--permissioned", "--contract", facts["contract"]]
    assert say("anchor-statement", file, public, *where)[0] == 0
    code, facts = say("anchor-statement", file, public, *where)
    assert (code, facts["reason"]) == (1, "the contract refuses: taken")
    other = SigningKey(b"\x06" * 32).public.hex()
    assert "signature" in say("anchor-statement", file, other, *where)[1]["reason"]
    assert "no sealed record" in say("anchor-statement", str(tmp_path / "backend.toml"), public, *where)[1]["reason"]


def test_a_public_chain_is_refused_whatever_is_said(anvil: Callable[..., Anvil], tmp_path: Path, capsys: Any) -> None:
    node = anvil("--chain-id", "1")
    words = ["--rpc", node.url, "--key", str(tmp_path / "key"), "--permissioned", "--json"]
    assert main(["chain", "deploy-device-anchor", "00" * 16, *words]) == 1
    assert "chain 1 is public" in json.loads(capsys.readouterr().out)["reason"]


def test_every_command_of_the_readme_is_one_and_its_settings_can_be_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "backend" / "README.md").read_text()
    commands = re.findall(r"^    lightnode (chain .*)$", text, re.MULTILINE)
    assert len(commands) >= 9
    for command in commands:
        assert _parser().parse_args(command.split()).group == "chain"
    example = "\n".join(line[4:] for line in text[text.index("    [chain]") :].splitlines()[:11])
    (tmp_path / "backend.toml").write_text(example)
    found = load(tmp_path / "backend.toml", {})
    assert found.chain_id == 31337 and len(found.endpoints) == 2 and found.key_file == tmp_path / "chain.key"


def test_an_option_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "backend.toml").write_text("[chain]\nconfirmations = 7\nmax_fee_gwei = 1.5\n")
    assert load(tmp_path / "backend.toml", {"confirmations": None}).confirmations == 7
    assert load(tmp_path / "backend.toml", {"confirmations": 0}).confirmations == 0
    assert load(tmp_path / "backend.toml", {}).max_fee_wei == 1_500_000_000


def test_a_key_without_funds_deploys_on_a_chain_without_fees(anvil: Callable[..., Anvil], tmp_path: Path) -> None:
    node = anvil("--gas-price", "0", "--block-base-fee-per-gas", "0", "--disable-min-priority-fee")
    words = ["--rpc", node.url, "--key", str(tmp_path / "new.key"), "--operator", OPERATOR]
    assert main(["chain", "deploy", "--grant-self", *words]) == 0
    assert (tmp_path / "new.key").stat().st_mode & 0o077 == 0
