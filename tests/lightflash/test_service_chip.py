"""The emulated chip at its prompt: it takes a release into its idle directory, and is given up for another site."""

import json
import os
from pathlib import Path

import pytest
from lightflash.cli import main
from lightflash.micropython import MicroPython
from lightnode import keys

from hil.targets.chip import Chip
from hil.updates import Terms, release
from tests.lightflash.serviced import UPDATE_KEY, built, now_ms
from tests.lightflash.test_write_command import Captured, chip_on_a_terminal
from tests.targets.test_application import CONFIG

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
OLD, NEW = {"data/old.txt": b"old\n" * 30}, {"data/new.txt": b"new\n" * 600}
DEPLOYMENT = bytes.fromhex(str(CONFIG["deployment"]))


def a_release(files: dict[str, bytes], sequence: int):  # type: ignore[no-untyped-def]
    terms = Terms(sequence, created_ms=now_ms() - 86_400_000, deployment=DEPLOYMENT)
    return release(files, terms, UPDATE_KEY)


def test_the_chip_takes_a_release_and_is_given_up_for_another_site(tmp_path: Path, capsys: Captured) -> None:
    if reason := Chip().missing():
        pytest.skip(reason)
    from lightflash import release as releases

    key = keys.open_key(str(tmp_path), os.urandom)
    config = {**CONFIG, "hardware": "unix", "update": {"root": "/app", "key": UPDATE_KEY.public.hex()}}
    files = {f"/app/{path}": data for path, data in releases.on_device(a_release(OLD, 10)).items()}
    files |= {"/config.json": json.dumps(config).encode(), "/device.key": (tmp_path / "device.key").read_bytes()}
    build, log = str(built(tmp_path / "build", a_release(NEW, 11))), ["--log", str(tmp_path / "log")]
    with chip_on_a_terminal(tmp_path / "flash") as port:
        board = MicroPython(lambda: port)
        for path, content in files.items():
            board.write_file(path, content, lambda _at, _of: None)
        board.close()
        assert main(["update", "--build", build, "--port", port, "--wait", "1", *log]) == 4  # it has no console to ask
        assert "its outcome is not known yet" in capsys.readouterr().err
    with chip_on_a_terminal(tmp_path / "flash") as port:
        board = MicroPython(lambda: port)
        said = board.run("from lightboot import state\ns = state.read('/app')[0]\nprint(s.active, s.trial)", 10)
        assert said.split() == ["1", "2"]
        assert board.run("print(open('/app/b/data/new.txt').read() == 'new\\n' * 600)", 10).split() == ["True"]
        board.close()
        words = ["factory-reset", "--port", port, "--device", key.device.hex(), *log]
        assert main(words) == 0, capsys.readouterr().err
    with chip_on_a_terminal(tmp_path / "flash") as port:
        board = MicroPython(lambda: port)
        assert board.hashes(["/config.json"]) == {} and board.hashes(["/device.key"])
        board.close()
        assert main([*words[:2], port, *words[3:]]) == 0  # again: it is done
