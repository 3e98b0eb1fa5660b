"""`lightnode evidence verify`: what it answers, with which exit code, always in one line."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.evidence.verifier.anchors import from_file, from_rpc
from backend.evidence.verifier.finding import AnchorsUnavailable
from tests.backend.evidence.made import CHAIN, CONTRACT, Made

VERIFY = ["evidence", "verify"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("cli"), every=75)


def anchors_document(made: Made) -> dict[str, Any]:
    held = made.anchors()
    return {
        "format": "lightnode-anchors/1",
        "chain_id": CHAIN,
        "contract": CONTRACT.hex(),
        "operator": held.log.hex(),
        "block": 7,
        "commitments": {str(epoch): word.hex() for epoch, word in held.words.items()},
    }


@pytest.fixture
def files(made: Made, tmp_path: Path) -> tuple[str, str]:
    """(bundle, anchors)."""
    (tmp_path / "bundle.json").write_bytes(made.sealed(made.bundle()))
    (tmp_path / "anchors.json").write_text(json.dumps(anchors_document(made)))
    return str(tmp_path / "bundle.json"), str(tmp_path / "anchors.json")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was printed."""
    out, err = capsys.readouterr()
    assert (out + err).count("\n") == 1 and "Traceback" not in out + err
    return out + err


def test_valid_names_the_operator(made: Made, files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    bundle, anchors = files
    assert main([*VERIFY, bundle, "--anchors", anchors]) == 0
    assert f"of operator {made.operator.hex()}, named by the file; anchored" in said(capsys)
    assert main([*VERIFY, bundle, "--anchors", anchors, "--operator", made.operator.hex()]) == 0
    assert f"of operator {made.operator.hex()}; anchored" in said(capsys)
    assert main([*VERIFY, bundle, "--json"]) == 4
    assert json.loads(said(capsys))["operator"] == made.operator.hex()


def test_another_operator_or_contract_than_the_one_named_is_refused(
    made: Made, files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, anchors = files
    assert main([*VERIFY, bundle, "--anchors", anchors, "--operator", "00" * 8]) == 1
    assert "not valid: operator: is" in said(capsys)
    assert main([*VERIFY, bundle, "--anchors", anchors, "--contract", "0x" + CONTRACT.hex()]) == 0
    said(capsys)
    for source in (["--anchors", anchors], []):
        assert main([*VERIFY, bundle, *source, "--contract", "0x" + "11" * 20]) == 1
        assert "not valid: anchor: the contract is 0x" in said(capsys)


@pytest.mark.parametrize("words", [["--operator", "00"], ["--operator", "zz" * 8], ["--contract", "0x" + "1 " * 20]])
def test_an_id_of_another_form_is_wrong_usage(words: list[str], files: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*VERIFY, files[0], *words])
    assert ended.value.code == 2


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").touch()
    for name in ("missing", "empty", "."):
        assert main([*VERIFY, str(tmp_path / name)]) == 1
        said(capsys)
    assert main([*VERIFY, "a\0b"]) == 1, "what nobody foresaw is one line, too"
    assert "not valid:" in (line := said(capsys)) and "(internal: ValueError)" in line
    assert main([*VERIFY, "/dev/zero"]) == 1
    assert "a bundle has at most" in said(capsys)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "lightnode-anchors/2"},
        {"format": None},
        {"chain_id": "31337"},
        {"chain_id": 31337.0},
        {"chain_id": True},
        {"commitments": []},
        {"commitments": {" 1": "00" * 32}},
        {"commitments": {"1": "00" * 32, "01": "00" * 32}},
        {"commitments": {"1": "00" * 31}},
        {"commitments": {"1": 1}},
        {"contract": "11"},
        {"operator": None},
    ],
)
def test_an_anchors_file_of_another_form_is_refused(change: dict[str, Any], made: Made, tmp_path: Path) -> None:
    path = tmp_path / "anchors.json"
    path.write_text(json.dumps({**anchors_document(made), **change}))
    with pytest.raises(AnchorsUnavailable, match="is not an anchors file"):
        from_file(path)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "1" * 5000, '"\\ud800"', "\x00"])
def test_an_anchors_file_of_any_text_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "anchors.json").write_text(text)
    with pytest.raises(AnchorsUnavailable, match="is not an anchors file"):
        from_file(tmp_path / "anchors.json")


@pytest.fixture
def answering() -> Iterator[Any]:
    """Makes a server that answers every connection with these bytes; its address."""
    servers: list[socket.socket] = []

    def serve(answer: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def run() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    connection.recv(65_536)
                    connection.sendall(answer)
                    connection.close()
                except OSError:
                    return

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield serve
    for server in servers:
        server.close()


def http(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n" % (status, more, len(body)) + body


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        http(b"[" * 1_000_000),
        http(b"[]"),
        http(b'{"result":null}'),
        http(b'{"result":"0x"}'),
        http(b'{"result":["a\\nb"]}'),
        http(b"\xff\xfe"),
        http(b"no", b"500 a\tb"),
        http(b"", b"302 Found", b"Location: file:///etc/hostname\r\n"),
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n",
    ],
)
def test_an_endpoint_that_answers_anything_is_unavailable(answer: bytes, answering: Any) -> None:
    with pytest.raises(AnchorsUnavailable) as refused:
        from_rpc(answering(answer), CONTRACT, bytes(32), [1])
    assert str(refused.value).isprintable() and len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:abc",
        "http://local host:1",
        "http://[::1",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "",
        "x\ny",
    ],
)
def test_an_address_that_is_none_is_unavailable(
    url: str, files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*VERIFY, files[0], "--rpc", url]) == 3
    assert "anchors: " in said(capsys)


def test_a_reader_that_stops_reading_is_no_failure_of_ours() -> None:
    program = "import sys; from backend.cli import main; sys.exit(main(['grid', 'check', *sys.argv[1:]]))"
    path = os.pathsep.join((str(ROOT), str(ROOT / "firmware")))
    command = [sys.executable, "-c", program, str(ROOT / "backend/demo/baran_wu_33.json"), "--json"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")
