"""A device in service and every command on it: the whole application on a simulated board, its broker and its back end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lightflash.outbox import Outbox
from lightwire import envelope, records

from backend.adapters.kits import KitStore
from backend.errors import Rejected
from backend.flows.kits import KitTerms, make_kit
from tests.lightflash.serviced import (
    CONFIG,
    POD,
    STATE,
    Serviced,
    built,
    in_service,
    made,
    now_ms,
    reports,
)

pytestmark = [pytest.mark.usefixtures("micropython", "mosquitto"), pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]


def flash(folder: Path, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """The flasher on the command line; its log in the folder."""
    command = [sys.executable, "-m", "lightflash", *words, "--log", str(folder / "log")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "firmware")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
    return done


def states(folder: Path) -> dict[str, str]:
    """State by device, as the log lists it."""
    listed = json.loads((folder / "log" / "status.json").read_text())["devices"]
    return {entry["device"]: entry["state"] for entry in listed}


def over_the_air(of: Serviced) -> list[str]:
    """The options that reach its broker."""
    access = of.site.access
    return [
        "--broker", f"{access.host}:{access.port}", "--ca", str(access.ca), "--cert", str(access.cert), "--key", str(access.key),
        "--deployment", of.site.identity.deployment.hex(), "--device-key", of.public_key.hex(),
    ]  # fmt: skip


@pytest.mark.long
def test_a_release_over_the_cable_then_one_over_the_air_then_back(tmp_path: Path) -> None:
    with in_service(tmp_path) as serviced:
        deployment = serviced.site.identity.deployment
        build = built(tmp_path / "build11", made(11, deployment))
        done = flash(tmp_path, "update", "--build", str(build), "--port", serviced.port)
        assert done.stdout == f"{serviced.id} ({serviced.port}): sequence 11, version 1.0.0: committed\n"
        assert serviced.asks("releases", lambda _: True)["running"] == 11
        again = flash(tmp_path, "update", "--build", str(build), "--port", serviced.port, "--json")
        assert json.loads(again.stdout) == {"device": serviced.id, "sequence": 11, "outcome": "committed"}

        build = built(tmp_path / "build12", made(12, deployment))
        done = flash(tmp_path, "update", "--build", str(build), *over_the_air(serviced))
        assert done.stdout.endswith(": sequence 12, version 1.0.0: committed\n")
        assert serviced.asks("releases", lambda said: said["running"] == 12 and not said["on_trial"])["other"] == 11
        again = flash(tmp_path, "update", "--build", str(build), *over_the_air(serviced))
        assert again.stdout.endswith("committed before\n")

        done = flash(tmp_path, "rollback", "--port", serviced.port)
        assert done.stdout == f"{serviced.id} ({serviced.port}): sequence 11 runs, it came from 12\n"
        serviced.is_well()
        found = serviced.asks("releases", lambda said: "rolled back" in said["last"])
        assert (found["running"], found["committed"], found["failed"]) == (11, 12, 12)
        done = flash(tmp_path, "update", "--build", str(build), *over_the_air(serviced), code=None)
        assert done.returncode in (0, 1) and ("replayed" in done.stderr or "committed before" in done.stdout)
        assert states(tmp_path) in ({serviced.id: "done"}, {serviced.id: "refused"})
        assert [r.outcome for r in reports(serviced)][:2] == [records.UPDATE_COMMITTED, records.UPDATE_COMMITTED]


@pytest.mark.long
def test_the_next_key_is_made_once_registered_and_used(tmp_path: Path) -> None:
    with in_service(tmp_path) as serviced:
        nonce, out = "0f" * 16, tmp_path / "rotation.json"
        words = ["rotate-key", "--port", serviced.port, "--nonce", nonce, "--out", str(out)]
        done = flash(tmp_path, *words)
        assert "generation 2 signs after --restart" in done.stdout
        first = json.loads(out.read_text())
        out.unlink()
        flash(tmp_path, *words)
        second = json.loads(out.read_text())
        assert (first["generation"], first["public_key"]) == (second["generation"], second["public_key"])
        register = serviced.site.backend.register
        party = register.approve(bytes.fromhex(second["enrolment"]), bytes.fromhex(nonce), "node", POD, now_ms())
        assert envelope.peek(party.entry).action == records.ROTATE
        with pytest.raises(Rejected):
            register.approve(bytes.fromhex(first["enrolment"]), bytes.fromhex(nonce), "node", POD, now_ms())
        done = flash(tmp_path, *words, "--restart", "--json")
        assert json.loads(done.stdout)["running"] == 2
        assert flash(tmp_path, *words, "--restart").stdout.count("generation 2 signs,") == 1
        serviced.is_well()
        assert serviced.site.backend.collect.refused == 0
        assert serviced.asks("key", lambda said: said["generation"] == 2)["device"] == serviced.id
        check_rotation_by_kit(tmp_path, serviced)


def check_rotation_by_kit(folder: Path, serviced: Serviced) -> None:
    """Where there is no network: the third key, under a nonce of a kit, through the outbox."""
    backend, kit = serviced.site.backend, folder / "kit.json"
    settings = {
        "deployment": backend.identity.deployment.hex(), "operator": backend.identity.operator.hex(),
        "log_key": backend.identity.log_key.public.hex(), "issuers": [], "update_key": None,
    }  # fmt: skip
    broker = {"host": "127.0.0.1", "port": 1, "ca": ""}
    terms = KitTerms(settings, broker, [POD], now_ms() - 60_000, now_ms() + 86_400_000)
    kit.touch(0o600)
    kit.write_bytes(make_kit(KitStore(backend.store), terms, backend.identity.log_key)[0])
    words = ["rotate-key", "--port", serviced.port, "--kit", str(kit), "--outbox", str(folder / "outbox"), "--pod", POD]
    assert "generation 3 signs after --restart" in flash(folder, *words).stdout
    again = json.loads(flash(folder, *words, "--json").stdout)
    (statement,) = Outbox(folder / "outbox").statements()
    assert (statement.public_key, statement.generation, again["nonce"]) == (again["public_key"], 3, statement.nonce)
    fields = {key: getattr(statement, key) for key in ("pod", "nonce", "enrolment", "request")}
    _, answer = backend.enrolments.answer(f"ln/1/kit/{statement.kit}/enrol", json.dumps(fields).encode(), now_ms())
    assert json.loads(answer)["outcome"] == "registered", answer
    assert json.loads(flash(folder, *words, "--restart", "--json").stdout)["running"] == 3
    serviced.is_well()
    assert backend.collect.refused == 0


def test_a_device_is_emptied_of_its_site_and_keeps_its_identity(tmp_path: Path) -> None:
    with in_service(tmp_path) as serviced:
        before = serviced.asks("status", lambda said: said["produced"] > 1)
        done = flash(tmp_path, "factory-reset", "--port", serviced.port, "--device", "00" * 8, code=1)
        assert f"this is device {serviced.id}" in done.stderr
        assert CONFIG in serviced.on_flash()
        words = ["factory-reset", "--port", serviced.port, "--device", serviced.id, "--json"]
        done = flash(tmp_path, *words)
        found = json.loads(done.stdout)
        assert found["lost"] == 0 and CONFIG in found["removed"]
        serviced.board.unplug()
        files = serviced.on_flash()
        assert not {CONFIG, f"{STATE}/wlan", f"{STATE}/ca.der"} & set(files)
        assert files[f"{STATE}/device.key"] == serviced.files[f"{STATE}/device.key"]
        assert b"a password of the site" not in b"".join(files.values())
        journal = files["/journal"]
        assert sum(journal[at : at + 4096] != b"\xff" * 4096 for at in range(0, len(journal), 4096)) == 1
        from lightnode.journal import Journal
        from lightnode.keys import open_key

        from hil.flash import NorFlash

        (tmp_path / "key").mkdir()
        (tmp_path / "key" / "device.key").write_bytes(files[f"{STATE}/device.key"])
        assert open_key(str(tmp_path / "key"), os.urandom).device.hex() == serviced.id
        flash_of = NorFlash(len(journal) // 4096)
        flash_of.cells[:] = journal
        kept = Journal(flash_of, bytes.fromhex(serviced.id), 1)
        assert kept.boot > before["boot"] and kept.seq >= before["seq"] and kept.acked == kept.seq
        assert list(kept.after(0)) == []
        assert states(tmp_path) == {serviced.id: "done"}
