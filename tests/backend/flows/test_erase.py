"""A customer goes: nothing of it is left, nothing of what is published opens to a guess, and every other proof holds."""

import hashlib
import json
import re
import sqlite3
from pathlib import Path

import pytest
from lightwire import envelope, records, topics

from backend.adapters.copied import copied
from backend.adapters.keys import verifier
from backend.adapters.mqtt import Incoming
from backend.cli import main
from backend.errors import Rejected
from backend.evidence.audit.alarm import Alarm
from backend.evidence.audit.commitment import Chain
from backend.evidence.audit.whole import Audit, Outside
from backend.evidence.verifier.bundle import verify
from backend.evidence.verifier.file import verify as verify_file
from backend.flows.erase import Erase
from tests.backend.evidence.made import CHAIN, CONTRACT, DEPLOYMENT, OTHER, PERIOD, POD, Made, read, written
from tests.backend.evidence.test_single import files_of

CANDIDATES = 1_000_000
SHARED = json.dumps({"parts_w": {POD: 1000, OTHER: 2000}}, sort_keys=True, separators=(",", ":"))


class Traded(Made):
    """With an outcome that names both customers."""

    def _file_orders(self) -> None:
        super()._file_orders()
        self.trees.add_document(records.TREE_MARKET, "outcome", "session 1", 1, SHARED, self.now_ms)


def erase(made: Made) -> None:
    erased = Erase(made.store, made.trees, made.log, (DEPLOYMENT, made.operator)).customer(POD, PERIOD[1])
    made.collect.forget(erased.devices)
    assert len(erased.devices) == 2 and erased.tombstones > 20 and erased.filed_again == 1


def audited(path: Path, made: Made) -> list[Alarm]:
    with copied(path) as copy:
        return list(
            Audit(copy, Outside(made.operator, Chain(made.anchors().words, {}), (CHAIN, CONTRACT)), verifier).run()
        )


@pytest.fixture
def gone(tmp_path: Path) -> tuple[Made, dict[str, bytes], bytes]:
    """(after the erasure, what the two customers hold from before it, the sealed messages that were erased)."""
    made = Traded(tmp_path, every=75)
    made.store.add_finding(1, f"{made.devices[POD].id.hex()} is offline, says the broker")
    before = {pod: made.sealed(made.bundle(pod)) for pod in (POD, OTHER)}
    secret = b"".join(row.sealed for row in made.store.messages(made.devices[POD].id, 0, 10**6))
    erase(made)
    return made, before, secret


def test_nothing_of_the_customer_is_left_in_the_file(
    gone: tuple[Made, dict[str, bytes], bytes], tmp_path: Path
) -> None:
    made, before, secret = gone
    made.store._db.execute("pragma wal_checkpoint(truncate)")
    bytes_left = b"".join(path.read_bytes() for path in tmp_path.glob("scd.sqlite*"))
    agent = hashlib.sha256(made.agents[POD].public).digest()[:8]
    for trace in (
        POD.encode(),
        made.devices[POD].id,
        made.devices[POD].id.hex().encode(),
        agent,
        made.agents[POD].public,
    ):
        assert trace not in bytes_left
    assert secret[:162] not in bytes_left
    salts = [
        envelope.peek(bytes.fromhex(row["entry"])).salt for row in read(before[POD])["keys"] if row["role"] != "issuer"
    ]
    assert salts and not any(salt in bytes_left for salt in salts)
    assert OTHER.encode() in bytes_left


def test_every_other_proof_holds_and_the_audit_takes_the_tombstones(
    gone: tuple[Made, dict[str, bytes], bytes], tmp_path: Path
) -> None:
    made, before, _ = gone
    assert audited(tmp_path / "scd.sqlite", made) == []
    made.epoch += 1
    made.close(made.epoch)
    assert audited(tmp_path / "scd.sqlite", made) == []
    for data in before.values():
        assert verify(data, made.anchors()).anchored
    assert verify(made.sealed(made.bundle(OTHER)), made.anchors()).anchored
    outcome = files_of(made).document("outcome", "session 1")
    assert verify_file(outcome.encode(), made.anchors()).anchored
    body = json.loads(json.loads(outcome)["body"])
    assert sorted(body["parts_w"].values()) == [1000, 2000] and POD not in body["parts_w"]
    stones = [envelope.peek(leaf) for leaf in made.store.leaves(records.TREE_READINGS)][-1]
    assert isinstance(stones, records.Tombstone) and stones.leaf == made.store.hashes(1)[stones.index]


def test_a_leaf_that_goes_without_a_tombstone_is_an_alarm(
    gone: tuple[Made, dict[str, bytes], bytes], tmp_path: Path
) -> None:
    made, _, _ = gone
    position = made.store.placed_leaves(records.TREE_READINGS)[0][0]
    made.store.erase_leaf(records.TREE_READINGS, position)
    assert [(one.table, one.key) for one in audited(tmp_path / "scd.sqlite", made)] == [("leaf", f"1/{position}")]


def test_a_million_guesses_open_no_hash_that_is_published(gone: tuple[Made, dict[str, bytes], bytes]) -> None:
    """Published: the chain's words, what another customer holds, the hashes that stay. The true values are among the guesses."""
    made, before, _ = gone
    published = set(made.anchors().words.values()) | {leaf for tree in range(1, 6) for leaf in made.store.hashes(tree)}
    held = bytes.fromhex("".join(re.findall(r'"((?:[0-9a-f]{2}){16,})"', before[OTHER].decode())))
    published |= {held[k : k + 32] for k in range(len(held) - 31)}
    subjects = {one[:16] for one in published}
    reading = envelope.peek(json_first_reading(before[POD]))
    payload = records.encode(reading)
    pods = [f"IT001E{k:08d}" for k in range(CANDIDATES // 4)]
    assert POD in pods
    for k, pod in enumerate(pods):
        guess = pod.encode()
        at = 40 + k % 4
        power = payload[:at] + k.to_bytes(4, "big") + payload[at + 4 :]
        for data in (guess, b"\x00" + guess, b"\x00" + power):
            assert hashlib.sha256(data).digest() not in published, data
        assert hashlib.sha256(b"orders/" + guess).digest()[:16] not in subjects, pod
    assert hashlib.sha256(b"\x00" + payload).digest() not in published
    entry = next(row["entry"] for row in read(before[POD])["keys"] if row["role"] == "node")
    assert hashlib.sha256(b"\x00" + bytes.fromhex(entry)).digest() in published, "with salt and signature it opens"


def json_first_reading(data: bytes) -> bytes:
    return bytes.fromhex(read(data)["batches"][-1]["records"][0])


def test_an_erased_device_is_a_stranger(gone: tuple[Made, dict[str, bytes], bytes]) -> None:
    made, _, _ = gone
    device = made.devices[POD]
    device.reading(PERIOD[1] + 8000, 1)
    made.collect.process([Incoming(topics.topic(device.id, "record"), device.out[-1], 0, 1)])
    assert made.collect.refused == 1
    with pytest.raises(Rejected, match="no device stands at"):
        Erase(made.store, made.trees, made.log, (DEPLOYMENT, made.operator)).customer(POD, PERIOD[1])


def test_the_command_erases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Traded(tmp_path, every=75)
    key = tmp_path / "log.key"
    key.write_bytes(made.log._key.secret)
    key.chmod(0o600)
    made.store.close()
    words = ["--db", str(tmp_path / "scd.sqlite"), "--log-key", str(key)]
    assert main(["evidence", "erase", "nobody", *words]) == 1
    assert "no device stands at 'nobody'" in capsys.readouterr().err
    assert main(["evidence", "erase", POD, *words]) == 0
    assert "1 documents of many were filed again" in capsys.readouterr().out
    database = sqlite3.connect(tmp_path / "scd.sqlite")
    assert database.execute("select count(*) from party where pod = ?", (POD,)).fetchone() == (0,)
    database.close()


def test_a_back_end_goes_on_beside_the_command_and_forgets_the_customer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rule 4: both have the file open, and both append to the same trees."""
    made = Traded(tmp_path, every=75)
    key = tmp_path / "log.key"
    key.write_bytes(made.log._key.secret)
    key.chmod(0o600)
    assert main(["evidence", "erase", POD, "--db", str(tmp_path / "scd.sqlite"), "--log-key", str(key)]) == 0
    capsys.readouterr()
    assert POD.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("scd.sqlite*"))
    for pod, refused in ((OTHER, 0), (POD, 2)):
        device = made.devices[pod]
        device.reading(PERIOD[1] + 8000, 1)
        device.close()
        made.collect.process([Incoming(topics.topic(device.id, "record"), one, 0, 1) for one in device.out[-2:]])
        assert made.collect.refused == refused
    made.register.revoke(made.devices[OTHER].id, 1, PERIOD[1] + 900_000)
    made.close(made.epoch + 1)
    assert audited(tmp_path / "scd.sqlite", made) == []
    assert verify(made.sealed(made.bundle(OTHER)), made.anchors()).anchored


def test_a_key_that_the_command_revokes_is_taken_no_more_by_the_back_end_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Traded(tmp_path, every=75)
    key, device = tmp_path / "log.key", made.devices[POD]
    key.write_bytes(made.log._key.secret)
    key.chmod(0o600)
    words = ["evidence", "revoke", device.id.hex(), "1", "--db", str(tmp_path / "scd.sqlite"), "--log-key", str(key)]
    assert main([*words, "--json"]) == 0 and json.loads(capsys.readouterr().out)["generation"] == 1
    assert main(words) == 1 and "revoked already" in capsys.readouterr().err
    device.reading(PERIOD[1] + 8000, 1)
    made.collect.process([Incoming(topics.topic(device.id, "record"), device.out[-1], 0, 1)])
    assert made.collect.refused == 1
    made.close(made.epoch + 1)
    found = audited(tmp_path / "scd.sqlite", made)
    assert found and all("its key is valid from" in one.what for one in found), (
        "the period lies behind this machine's now"
    )


def test_the_written_form_of_the_shared_document_is_canonical() -> None:
    assert written(json.loads(SHARED)) == SHARED
