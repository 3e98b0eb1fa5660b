"""`verify`, `record` and `label` as commands, against a device's console on a pseudo terminal."""

import hashlib
import json
import shlex
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightflash import cli, label
from lightflash.back_end import Registered
from lightflash.back_end_database import Database
from lightflash.commands.verify import exit_code
from lightflash.enrolment_file import registered
from lightflash.errors import FlashError, PartMissing
from lightflash.key import Key, open_key
from lightflash.limits import limits
from lightflash.operator_file import operator
from lightflash.record import parse
from lightwire import envelope, records

from tests.lightflash.commissioned import DEVICE_KEY
from tests.lightflash.consoles import console
from tests.lightflash.test_readme import COMMANDS
from tests.lightflash.verifying import CERTIFICATE, DEPLOYMENT, NOW_MS, Clock, Device

ROOT = Path(__file__).parents[2]
LOG_KEY = Key(hashlib.sha256(b"a log of the tests").digest())
OTHER = Key(hashlib.sha256(b"another").digest())


def commands(device: Device) -> dict[str, Any]:
    """Of the application's console, answered by the device."""

    def entry(name: str) -> Any:
        async def give(*words: str) -> Any:
            return device.ask(name, *words)

        return ("", give, "BASE64") if name == "sign" else ("", give)

    return {name: entry(name) for name in ("key", "meter", "network", "status", "setpoint", "version", "sign")}


@pytest.fixture
def device() -> Device:
    made = Device(DEVICE_KEY, Clock())
    made.acks_after_s = 0.0
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "esp32-s3"
    assert cli.main(["build", "--board", "esp32-s3", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def port(tmp_path: Path, device: Device, built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The device's port; the working folder has settings and a build of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/esp32-s3").symlink_to(built)
    settings = json.loads((ROOT / "firmware/device/config.example.json").read_text())
    settings["meter"] |= {"map": "sdm630", "unit": 1}
    settings["deployment"], settings["log_key"] = DEPLOYMENT.hex(), LOG_KEY.public.hex()
    (tmp_path / "n01.json").write_text(json.dumps(settings))
    with console(tmp_path, commands(device)) as found:
        yield found


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def verified(capsys: pytest.CaptureFixture[str], port: str, *words: str) -> tuple[int, str, str]:
    return ran(capsys, "verify", port, "--expect-w", "5400..6600", *words)


def test_a_wanted_check_that_passed_is_exit_code_0_and_the_others_are_not_done(
    port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = verified(capsys, port, "--only", "meter,acknowledgement")
    assert code == 0, out
    assert out.count("\npassed ") == 7 and out.count("\nnot done ") == 11
    assert out.splitlines()[-1] == "7 of 18 checks passed"


def test_offline_is_exit_code_4_and_says_what_is_not_done(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = verified(capsys, port, "--only", "meter,set-point")
    assert code == 4
    assert "no back end was given; give --operator" in out


def test_a_failed_check_is_exit_code_1_with_cause_and_cure(
    device: Device, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    device.said["meter"] = {"power_w": -6_000}
    code, out, _ = verified(capsys, port, "--only", "meter")
    assert code == 1
    assert "failed   active power" in out and "current transformers reversed; turn all of them" in out


def test_exit_codes() -> None:
    limit = limits()["frequency"]
    good, bad, open_ = limit.measured(50_000), limit.measured(0), limit.not_done("")
    assert [exit_code([good]), exit_code([good, open_]), exit_code([good, open_, bad])] == [0, 4, 1]


def test_json_has_every_check(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = verified(capsys, port, "--only", "meter", "--json")
    document = json.loads(out)
    assert code == 0
    assert [check["name"] for check in document["checks"]] == list(limits())
    assert document["device"] == DEVICE_KEY.id.hex()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "meters"], "unknown group"),
        (["--only", ""], "unknown group"),
        (["--expect-w", "2 kW"], "no power to be expected"),
        (["--enrolment", "e.json"], "give --config"),
        (["--config", "n01.json", "--database", "none.sqlite"], "name the back end's database file"),
        (["--config", "n01.json", "--operator", "none.toml"], "name the operator's file"),
    ],
)
def test_a_wrong_word_is_one_line(port: str, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    code, out, err = ran(capsys, "verify", port, *words)
    assert code in (1, 3) and said in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_port_that_is_not_there_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ran(capsys, "verify", "/dev/none")
    assert code == 3 and "/dev/none" in err


def test_limits_are_printed_without_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(capsys, "verify", "--limits")
    assert code == 0 and len(out.splitlines()) == len(limits())
    assert set(json.loads(ran(capsys, "verify", "--limits", "--json")[1])) == set(limits())


def test_the_commands_of_the_readme_make_a_record_and_a_label(
    tmp_path: Path, device: Device, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(capsys, port, "--only", "meter,clock,broker", "--out", "n01.verify.json")[0] in (1, 4)
    lines = [words for words in map(shlex.split, COMMANDS) if words[0] in ("record", "label") or "kit.key" in words]
    assert [words[0] for words in lines] == ["key", "record", "record", "label"]
    codes = [ran(capsys, *(port if word == "/dev/ttyACM0" else word for word in words))[0] for words in lines]
    assert codes == [0, 4, 4, 0]  # no back end: not commissioned, and the record says so
    made = parse((tmp_path / "n01/record.json").read_bytes(), open_key(tmp_path / "kit.key").public)
    assert made.device_signature and not made.facts.is_commissioned
    assert made.facts.settings_sha256 == hashlib.sha256((tmp_path / "n01.json").read_bytes()).digest()
    assert (tmp_path / "n01/record.pdf").read_bytes().startswith(b"%PDF")
    assert b"not commissioned" in (tmp_path / "n01/record.html").read_bytes()
    assert sorted(p.name for p in (tmp_path / "n01").iterdir()) == [
        "label.pdf", "label.png", "label.svg", "record.html", "record.json", "record.pdf",
    ]  # fmt: skip
    secret = (tmp_path / "kit.key").read_bytes()
    for path in (tmp_path / "n01").iterdir():
        assert secret not in path.read_bytes() and secret.hex().encode() not in path.read_bytes()


def test_the_verifications_of_the_readme_run(device: Device, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    device.now_ms = lambda: time.time_ns() // 1_000_000
    lines = [words for words in map(shlex.split, COMMANDS) if words[0] == "verify"]
    assert len(lines) == 3  # the one with a back end runs in test_commissioning.py
    for words in (words for words in lines if "--operator" not in words):
        code, out, err = ran(capsys, *(port if word == "/dev/ttyACM0" else word for word in words))
        assert code == 0, (out, err)


def made_record(capsys: pytest.CaptureFixture[str], port: str) -> tuple[int, str, str]:
    verified(capsys, port, "--only", "meter", "--out", "v.json")
    return made_record_of("v.json", capsys)


def test_a_record_that_was_changed_is_refused_and_another_kit_is_named(
    port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made_record(capsys, port)[0] == 4
    code, out, _ = ran(capsys, "record", "check", "o/record.json")
    assert code == 4 and "named by the record, not by the device" in out
    kit = open_key(Path("kit.key")).public.hex()
    assert "the kit that you named" in ran(capsys, "record", "check", "o/record.json", "--kit", kit)[1]
    code, _, err = ran(capsys, "record", "check", "o/record.json", "--kit", OTHER.public.hex())
    assert code == 1 and f"it is of the kit {kit}" in err
    code, _, err = ran(capsys, "record", "check", "o/record.json", "--kit", "zz")
    assert code == 1 and "no public key" in err
    text = Path("o/record.json").read_text()
    Path("o/record.json").write_text(text.replace('"power factor"', '"power factors"'))
    code, _, err = ran(capsys, "record", "check", "o/record.json")
    assert code == 1 and "signature does not hold" in err


def test_another_device_on_the_cable_does_not_sign(
    device: Device, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verified(capsys, port, "--only", "meter", "--out", "v.json")
    device.key = OTHER
    code, _, err = made_record_of("v.json", capsys, "--port", port)
    assert code == 1 and "does not sign with the record's key" in err
    assert not Path("o").exists()


def made_record_of(result: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    ran(capsys, "key", "--make", "kit.key")
    words = ["--config", "n01.json", "--build", "build/esp32-s3", "--kit", "kit.key", "--pod", "P", "--place", "x"]
    return ran(
        capsys, "record", "make", result, *words, "--meter-serial", "1", "--technician", "t", "--out", "o", *more
    )


def test_settings_of_another_device_are_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = json.loads(Path("n01.json").read_text())
    settings["meter"]["unit"] = 9
    Path("n01.json").write_text(json.dumps(settings))
    code, _, err = made_record(capsys, port)
    assert code == 1 and "names meter sdm630 unit 9, the device sdm630 unit 1" in err


def test_a_label_from_a_verification_names_its_board(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    verified(capsys, port, "--only", "meter", "--out", "v.json")
    code, _, err = ran(capsys, "label", "v.json", "--out", "l")
    assert code == 1 and "give --board" in err
    code, out, _ = ran(capsys, "label", "v.json", "--board", "esp32-c3", "--out", "l", "--form", "svg", "--json")
    assert code == 0 and [p.name for p in Path("l").iterdir()] == ["label.svg"]
    found = label.parse(json.loads(out)["code"])
    assert (found.device, found.model) == (DEVICE_KEY.id, "esp32-c3")
    assert found.fingerprint == hashlib.sha256(DEVICE_KEY.public).digest()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": "lightnode-verify/1"}', "x" * 70_000, "[" * 5000])
def test_what_is_no_result_makes_no_record_and_no_label(
    port: str, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    Path("v.json").write_text(content)
    for code, _, err in (made_record_of("v.json", capsys), ran(capsys, "label", "v.json", "--out", "l")):
        assert code == 1 and err.count("\n") == 1 and len(err) < 400


def entry_of(key: bytes, signer: Key = LOG_KEY) -> bytes:
    made = records.RegistryEntry(
        bytes(8), bytes(16), records.APPROVE, DEVICE_KEY.id, 1, records.ES256K, key, CERTIFICATE, 0, 1 << 40, bytes(32), 0
    )  # fmt: skip
    return bytes(envelope.seal(made, DEPLOYMENT, signer.sign))


def database(path: Path, entry: bytes) -> Path:
    kept = sqlite3.connect(path)
    kept.executescript((ROOT / "backend/adapters/schema.sql").read_text())
    row = (DEVICE_KEY.id, 1, "node", "P", 1, DEVICE_KEY.public, 0, 1 << 40, entry, b"")
    kept.execute("insert into party values (?,?,?,?,?,?,?,?,?,?)", row)
    kept.commit()
    kept.close()
    return path


def test_a_database_is_only_read_and_its_register_counts_with_the_log_keys_signature(tmp_path: Path) -> None:
    path = database(tmp_path / "a.sqlite", entry_of(DEVICE_KEY.public))
    before = hashlib.sha256(path.read_bytes()).digest()
    found = Database(path, DEPLOYMENT, LOG_KEY.public)
    assert found.registered(DEVICE_KEY.id) == Registered(DEVICE_KEY.public, 1, CERTIFICATE)
    assert (found.registered(bytes(8)), found.send_test(DEVICE_KEY.id, 1), found.readings(DEVICE_KEY.id, 0)) == (
        None,
        None,
        [],
    )
    assert hashlib.sha256(path.read_bytes()).digest() == before
    forged = Database(database(tmp_path / "b.sqlite", entry_of(OTHER.public, OTHER)), DEPLOYMENT, LOG_KEY.public)
    with pytest.raises(FlashError, match="not signed by the log key"):
        forged.registered(DEVICE_KEY.id)
    with pytest.raises(PartMissing):
        Database(tmp_path / "none.sqlite", DEPLOYMENT, LOG_KEY.public)
    assert not (tmp_path / "none.sqlite").exists()


def test_an_enrolment_counts_with_its_own_signature_and_an_entry_with_the_log_keys(tmp_path: Path) -> None:
    fields = (records.ES256K, DEVICE_KEY.public, CERTIFICATE, bytes(16), NOW_MS, 1)
    good = envelope.seal(records.Enrolment(DEVICE_KEY.id, 1, *fields), DEPLOYMENT, DEVICE_KEY.sign).hex()
    stolen = envelope.seal(records.Enrolment(OTHER.id, 1, *fields), DEPLOYMENT, DEVICE_KEY.sign).hex()
    path = tmp_path / "e.json"
    path.write_text(json.dumps({"enrolment": good, "entry": ""}))
    assert registered(path, DEPLOYMENT, LOG_KEY.public).by == "its enrolment, not registered yet"
    path.write_text(json.dumps({"enrolment": good, "entry": entry_of(DEVICE_KEY.public).hex()}))
    assert registered(path, DEPLOYMENT, LOG_KEY.public) == Registered(DEVICE_KEY.public, 1, CERTIFICATE)
    for deployment, log_key in ((bytes(16), LOG_KEY.public), (DEPLOYMENT, OTHER.public)):
        with pytest.raises(FlashError):
            registered(path, deployment, log_key)
    for document in (
        {"enrolment": stolen},
        {"enrolment": good[:-2] + "00"},
        {"enrolment": 7},
        {"entry": good},
        {},
        [],
        "x",
    ):
        path.write_text(json.dumps(document))
        with pytest.raises(FlashError, match="no enrolment of a first key"):
            registered(path, DEPLOYMENT, LOG_KEY.public)


OPERATOR = """deployment = "{deployment}"
[broker]
host = "127.0.0.1"
port = 8883
ca = "ca.pem"
cert = "cert.pem"
key = "key.pem"
"""


def test_the_operators_file(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch(mode=0o600)
    path = tmp_path / "operator.toml"
    text = OPERATOR.format(deployment=DEPLOYMENT.hex())
    path.write_text(text)
    assert (operator(path).issuer, operator(path).agents, operator(path).port) == (None, (), 8883)
    for wrong, said in (
        (text + 'password = "x"\n', "broker.password"),
        (text.replace("8883", "true"), "broker.port"),
        (text.replace('"ca.pem"', '"none.pem"'), "broker.ca"),
        (text + '[[agents]]\nkey = "00"\n', "agents.key"),
        (text + '[issuer]\nkey = "none.key"\n', "issuer.key"),
        (text.replace(DEPLOYMENT.hex(), "00"), "deployment"),
        ("broker = 7", "broker"),
        ("[", "cannot be read"),
    ):
        path.write_text(wrong)
        with pytest.raises(FlashError, match=said) as refused:
            operator(path)
        assert "\n" not in str(refused.value)
    path.write_text(text)
    (tmp_path / "key.pem").chmod(0o644)
    with pytest.raises(FlashError, match="can be read by others"):
        operator(path)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o644


def test_the_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["verify"], ["record"], ["record", "make"], ["record", "check"], ["label"]):
        with pytest.raises(SystemExit):
            cli.main([*words, "--help"])
        assert "./run flash " + words[0] in capsys.readouterr().out
