"""Each command: what it prints, and its exit code."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lightwire import envelope, records

from edge_agent import cli
from edge_agent.keys import verifier
from edge_agent.state import open_state
from hil.der import Der
from hil.pki import Pki
from tests.edge_agent.parts import DEPLOYMENT, FRAME_MS, NODE_KEY, T0, MemoryEms, accepted, set_point, trust
from tests.edge_agent.test_agent import Bench
from tests.edge_agent.test_ems_modbus import BATTERY, served
from tests.edge_agent.test_settings import GOOD

NONCE = "000102030405060708090a0b0c0d0e0f"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    identity = Pki(tmp_path).client("agent/1/0011223344556677")
    text = GOOD.replace('"agent.pem"', f'"{identity.cert_pem}"').replace("/etc/agent.key.pem", str(identity.key_pem))
    path = tmp_path / "agent.toml"
    path.write_text(text.replace('host = "192.0.2.7"', 'host = "127.0.0.1"'))
    return path


def test_enrol_makes_the_key_once_and_prints_one_json_line(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert cli.main(["enrol", "--config", str(settings), NONCE]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["public_key"] == second["public_key"]
    public = bytes.fromhex(first["public_key"])
    enrolment = envelope.open_sealed(bytes.fromhex(first["enrolment"]), DEPLOYMENT, verifier(public))
    assert isinstance(enrolment, records.Enrolment)
    assert enrolment.device.hex() == first["device"] == hashlib.sha256(public).digest()[:8].hex()
    assert (enrolment.public_key, enrolment.nonce, enrolment.generation) == (public, bytes.fromhex(NONCE), 1)
    certificate = x509.load_pem_x509_certificate(cli.load(settings).broker.cert.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert enrolment.tls_fingerprint == hashlib.sha256(key).digest()


def test_enrol_before_there_is_a_certificate_says_zeros(settings: Path) -> None:
    cli.load(settings).broker.cert.unlink()
    printed = cli.enrol(cli.load(settings), bytes(16))
    enrolment = envelope.peek(bytes.fromhex(str(printed["enrolment"])))
    assert enrolment.tls_fingerprint == bytes(32)


def test_check_needs_a_key_then_an_energy_manager_then_is_content(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", "--config", str(settings), "--json"]
    assert cli.main(words) == 1
    assert "enrol the agent first" in capsys.readouterr().err
    cli.main(["enrol", "--config", str(settings), NONCE])
    settings.write_text(settings.read_text().replace("port = 502", "port = 1"))
    assert cli.main(words) == 3
    assert "energy manager: no connection to 127.0.0.1:1" in capsys.readouterr().err
    with served(Der(BATTERY)) as ems:
        settings.write_text(settings.read_text().replace("port = 1\n", f"port = {ems._settings.port}\n"))
        assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["resource_injection_w"], found["resource_withdrawal_w"], found["held"]) == (40_000, 30_000, 0)


def test_check_names_a_certificate_that_is_not_there(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["enrol", "--config", str(settings), NONCE])
    (settings.parent / "ca.pem").unlink()
    assert cli.main(["check", "--config", str(settings)]) == 1
    assert f"{settings.parent / 'ca.pem'}: no such file" in capsys.readouterr().err


def test_show_says_what_is_held_and_what_rules(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(settings.parent / "keys", MemoryEms())
    bench.agent.receive(accepted(set_point(1)))
    bench.agent.tick(T0)
    shown = []
    for at_ms in (T0 - 1, T0, T0 + FRAME_MS):
        assert cli.main(["show", "--config", str(settings), "--at", str(at_ms), "--json"]) == 0
        shown.append(json.loads(capsys.readouterr().out))
    assert [(s["rules"], s["value_w"]) for s in shown] == [("nothing", None), ("set-point", 10_000), ("fallback", None)]
    assert shown[0]["held"][0]["reported"] == ["applied"] and shown[0]["unsent"] == 1
    assert cli.main(["show", "--config", str(settings), "--at", str(T0)]) == 0
    assert "rules: set-point" in capsys.readouterr().out
    assert open_state(settings.parent / "keys", trust()).boot == 1, "showing changes nothing"


def test_a_wrong_setting_is_one_line_and_exit_code_1(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings.write_text(settings.read_text().replace(NODE_KEY.public.hex(), "00"))
    assert cli.main(["run", "--config", str(settings)]) == 1
    error = capsys.readouterr().err
    assert (
        error.startswith(f"lightnode-agent: {settings}: node_key is '00', 66 hexadecimal digits")
        and error.count("\n") == 1
    )


@pytest.mark.parametrize("words", [[], ["run"], ["fly"], ["enrol", "--config", "x", "12"]])
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["enrol", "--help"], ["run", "--help"], ["check", "--help"], ["show", "--help"]):
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        assert left.value.code == 0 and "example:" in capsys.readouterr().out


def ended(words: list[str]) -> tuple[int, str]:
    """Exit code and standard error of the agent as a process."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", *words],
        env=os.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_run_without_its_conductor_is_exit_code_3_and_names_it(settings: Path) -> None:
    cli.main(["enrol", "--config", str(settings), NONCE])
    settings.write_text(settings.read_text().replace("127.0.0.1:7000", "127.0.0.1:1"))
    code, error = ended(["run", "--config", str(settings)])
    *events, last = error.splitlines()
    assert code == 3 and last.startswith("lightnode-agent: conductor: no connection to 127.0.0.1:1"), error
    assert all(json.loads(line)["event"] for line in events)


def test_check_without_an_energy_manager_is_one_line_and_nothing_of_the_library(settings: Path) -> None:
    cli.main(["enrol", "--config", str(settings), NONCE])
    settings.write_text(settings.read_text().replace("port = 502", "port = 1"))
    code, error = ended(["check", "--config", str(settings)])
    assert (code, error.count("\n")) == (3, 1) and "127.0.0.1:1: is it on" in error, error


@pytest.mark.parametrize("nonce", ["zz", "00" * 15, "00" * 17, "00 " * 16])
def test_a_wrong_nonce_says_what_belongs_there(nonce: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["enrol", "--config", "x", nonce])
    error = capsys.readouterr().err
    assert left.value.code == 2
    assert f"{nonce!r} is no nonce, 32 hexadecimal digits from the back end belong here" in error


def test_the_file_at_fault_is_the_file_that_is_named(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["enrol", "--config", str(settings), NONCE])
    broker = cli.load(settings).broker
    stranger = Pki(settings.parent / "other").client("agent/1/0011223344556677")
    faults = [
        (broker.ca, b"", "no certificate in it"),
        (broker.ca, b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n", "no certificate in it"),
        (broker.cert, b"", "no certificate in it"),
        (broker.key, b"", "no private key"),
        (broker.key, stranger.key_pem.read_bytes(), f"not the key of {broker.cert}"),
    ]
    for path, data, says in faults:
        kept = path.read_bytes()
        path.write_bytes(data)
        capsys.readouterr()
        assert cli.main(["check", "--config", str(settings)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"lightnode-agent: {path}: {says}") and error.count("\n") == 1, error
        path.write_bytes(kept)


def test_a_key_that_cannot_be_kept_is_exit_code_1(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (settings.parent / "keys").write_text("a file where the folder belongs")
    assert cli.main(["enrol", "--config", str(settings), NONCE]) == 1
    assert f"{settings.parent / 'keys' / 'agent.key'}: " in capsys.readouterr().err
