"""A receipt in one file: it holds alone, says what it is, and no bit of it can be another."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightwire import envelope, records

from backend.adapters.state import state_file, with_state
from backend.cli import main
from backend.errors import Rejected
from backend.evidence.anchoring import Fees
from backend.evidence.verifier.anchors import from_file
from backend.evidence.verifier.file import verify
from backend.evidence.verifier.finding import AnchorsUnavailable, NotValid
from backend.evidence.verifier.single import FIELDS
from backend.flows.receipts import Issuer, ReceiptFiles
from tests.backend.evidence.made import CHAIN, CONTRACT, DEPLOYMENT, FRAME, FRAME_MS, OTHER, PERIOD, POD, Made, written
from tests.backend.evidence.proving import ProvingChain
from tests.backend.test_cli import anchors_document

SAMPLE, WHOLE = 400, 10_000


def files_of(made: Made, place: tuple[int, bytes] = (CHAIN, CONTRACT)) -> ReceiptFiles:
    issuer = Issuer(DEPLOYMENT, made.operator, made.log.public, made.log.sign, place, PERIOD[1])
    return ReceiptFiles(made.store, made.trees, issuer)


def every_kind(made: Made, files: ReceiptFiles) -> dict[str, str]:
    device, point = made.devices[POD].id, next(row.id for row in made.store.setpoints() if row.pod == POD)
    return {
        "reading": files.record(device, 6),
        "batch": files.record(device, 5),
        "setpoint": files.answer(point, "setpoint"),
        "decision": files.answer(point, "decision"),
        "execution": files.answer(point, "execution"),
        "orders": files.document("orders", POD),
        "outcome": files.document("outcome", "session 1"),
        "statement": files.document("statement", POD),
        "key": files.key(device, 1),
        "consistency": files.consistency(records.TREE_READINGS, FRAME + 3, made.epoch),
    }


class Traded(Made):
    """With an outcome of a session in the tree of the market."""

    def _file_orders(self) -> None:
        super()._file_orders()
        self.trees.add_document(records.TREE_MARKET, "outcome", "session 1", 1, '{"awards":[]}', self.now_ms)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Traded(tmp_path_factory.mktemp("single"), every=75)


@pytest.fixture(scope="module")
def files(made: Made) -> dict[str, str]:
    return every_kind(made, files_of(made))


@pytest.fixture(scope="module")
def chain(made: Made) -> Iterator[ProvingChain]:
    """A chain that holds every commitment."""
    chain = ProvingChain(made.operator.rjust(32, b"\0"))
    rows = [(epoch, root, count) for epoch, root, count, _, _ in made.store.epochs()]
    chain.ledger.send(chain.ledger.prepare(chain.ledger.nonce(chain.ledger.head()), rows, Fees(10**10, 10**9)))
    chain.advance(2)
    yield chain
    chain.close()


@pytest.fixture(scope="module")
def proven(made: Made, chain: ProvingChain) -> tuple[dict[str, str], bytes]:
    """Every kind with a state proof, and the hash of the block."""
    url, ledger = chain.serve_proofs(), chain.ledger
    plain = every_kind(made, files_of(made, (ledger.chain_id, ledger.contract)))
    return {kind: with_state(text, url, None) for kind, text in plain.items()}, bytes(
        chain.header(ledger.head().number).hash
    )


def test_every_kind_holds_alone_against_the_anchors(made: Made, files: dict[str, str]) -> None:
    device = made.devices[POD].id.hex()
    for kind, text in files.items():
        report = verify(text.encode(), made.anchors())
        assert report.anchored and report.operator == made.operator, kind
        assert not verify(text.encode(), None).anchored
    assert verify(files["reading"].encode(), None).what == f"reading 6 of {device}"
    assert verify(files["statement"].encode(), None).what == f"statement/{POD}, version 1"
    assert "begins with that of" in verify(files["consistency"].encode(), None).what


def test_a_bit_that_is_another_is_refused(
    made: Made, files: dict[str, str], proven: tuple[dict[str, str], bytes], request: pytest.FixtureRequest
) -> None:
    """Of receipts with and without state proof, and of a bundle: 10,000 with --long."""
    source, block = random.Random(1), proven[1]
    texts = [("plain", text.encode()) for text in files.values()] + [("proven", t.encode()) for t in proven[0].values()]
    texts.append(("bundle", made.sealed(made.bundle())))
    for k in range(WHOLE if request.config.getoption("--long") else SAMPLE):
        kind, data = texts[k % len(texts)]
        at, bit = source.randrange(len(data)), source.randrange(8)
        changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        with pytest.raises(NotValid):
            verify(changed, made.anchors() if kind != "proven" else None, block if kind == "proven" else None)
            pytest.fail(f"{kind}: bit {bit} of byte {at} of file {k % len(texts)} can be another")


def test_a_promise_becomes_a_receipt(made: Made) -> None:
    made.trees.add_document(records.TREE_MARKET, "outcome", "later", 1, "{}", PERIOD[1])
    files = files_of(made)
    promise = files.document("outcome", "later")
    report = verify(promise.encode(), made.anchors())
    assert report.is_promise and not report.anchored
    made.epoch += 1
    made.close(made.epoch)
    final = files.document("outcome", "later")
    assert verify(final.encode(), made.anchors()).anchored
    assert json.loads(final)["record"] == json.loads(promise)["record"]
    with pytest.raises(Rejected, match="this is a promise"):
        with_state(promise, "http://127.0.0.1:9", None)


def test_a_state_proof_holds_from_the_hash_of_a_block_alone(proven: tuple[dict[str, str], bytes]) -> None:
    files, block = proven
    for kind, text in files.items():
        assert verify(text.encode(), None, block).anchored, kind
        assert not verify(text.encode(), None).anchored
        with pytest.raises(NotValid, match="not of the block that you named"):
            verify(text.encode(), None, bytes(32))


def test_without_a_state_proof_a_block_hash_shows_nothing(files: dict[str, str]) -> None:
    for text in files.values():
        with pytest.raises(NotValid, match="there is no state proof"):
            verify(text.encode(), None, bytes(32))


def test_a_file_and_the_hash_of_a_block_are_enough(
    made: Made, chain: ProvingChain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, url = chain.ledger, chain.serve_proofs()
    block = bytes(chain.header(ledger.head().number).hash)
    plain, proven = tmp_path / "plain.json", tmp_path / "proven.json"
    plain.write_text(files_of(made, (ledger.chain_id, ledger.contract)).document("orders", POD))
    assert main(["evidence", "prove", str(plain), "--rpc", url, "--out", str(proven)]) == 0
    assert main(["evidence", "verify", str(proven), "--block-hash", block.hex()]) == 0
    assert main(["evidence", "verify", str(proven), "--block-hash", "00" * 32]) == 1
    assert "not of the block that you named" in capsys.readouterr().err


def test_a_bundle_holds_from_the_hash_of_a_block_with_a_file_of_state(
    made: Made, chain: ProvingChain, tmp_path: Path
) -> None:
    ledger, path = chain.ledger, tmp_path / "state.json"
    path.write_text(
        state_file(chain.serve_proofs(), ledger.contract, ledger.log, [FRAME - 1, FRAME + 3, FRAME + 4], None)
    )
    block = bytes(chain.header(ledger.head().number).hash)
    anchors = from_file(path, block)
    assert (
        anchors.words == {e: w for e, w in made.anchors().words.items() if e in anchors.words}
        and len(anchors.words) == 3
    )
    with pytest.raises(AnchorsUnavailable, match="not of the block"):
        from_file(path, bytes(32))


def sealed_again(made: Made, text: str, **changed: Any) -> bytes:
    """As the holder of the log key can make it."""
    document = {**json.loads(text), **changed}
    body = {k: v for k, v in document.items() if k not in ("seal", "state")}
    return written({**document, "seal": files_of(made)._issuer.seal(_digest(body)).hex()}).encode()


def _digest(body: dict[str, Any]) -> bytes:
    import hashlib

    return hashlib.sha256(written(body).encode()).digest()


def test_not_even_the_operator_can_put_one_record_for_another(made: Made, files: dict[str, str]) -> None:
    reading = json.loads(files["reading"])
    other = json.loads(files_of(made).record(made.devices[POD].id, 7))
    stranger = json.loads(files_of(made).record(made.devices[OTHER].id, 6))
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("reading", "index", {"record": other["record"]}),
        ("reading", "path", {"record": other["record"], "index": other["index"], "path": reading["path"][::-1]}),
        ("reading", "about", {"about": stranger["about"]}),
        ("reading", "record", {"kind": "gap"}),
        ("reading", "kind", {"kind": "meter"}),
        ("reading", "record", {"keys": stranger["keys"]}),
        ("reading", "body", {"body": "x"}),
        ("batch", "receipt", {"record": reading["about"], "receipt": json.loads(files["orders"])["receipt"]}),
        ("batch", "about", {"about": reading["about"]}),
        ("decision", "about", {"about": json.loads(files["setpoint"])["seal"]}),
        ("orders", "body", {"body": "{}"}),
        ("orders", "name", {"name": f"orders/{OTHER}"}),
        ("orders", "about", {"about": "00"}),
        ("key", "record", {"keys": []}),
    ]
    for kind, where, changed in wrong:
        with pytest.raises(NotValid) as refused:
            verify(sealed_again(made, files[kind], **changed), made.anchors())
        assert refused.value.where.startswith(where), (kind, changed.keys(), str(refused.value))


def test_what_was_anchored_after_its_key_was_revoked_does_not_count(tmp_path: Path) -> None:
    made = Traded(tmp_path, every=75)
    device = made.devices[POD].id
    made.register.revoke(device, 1, PERIOD[0] + 5 * FRAME_MS)
    made.close(FRAME + 5)
    made.epoch = FRAME + 5
    verify(files_of(made).record(device, 6).encode(), made.anchors())
    document = made.bundle()
    assert [envelope.peek(bytes.fromhex(row["entry"])).action for row in document["keys"]].count(records.REVOKE) == 1
    verify(made.sealed(document), made.anchors())
    late = json.loads(files_of(made).record(device, 6))
    position = made.store.position(records.TREE_READINGS, bytes.fromhex(late["about"]))
    made.close(FRAME + 9)
    receipt = made.trees.prove(FRAME + 9, records.TREE_READINGS, position, made.anchor)
    with pytest.raises(NotValid, match="in which its key was revoked"):
        verify(sealed_again(made, json.dumps(late), receipt=receipt.hex()), made.anchors())


def test_what_is_not_there_is_said(made: Made) -> None:
    files, device = files_of(made), made.devices[POD].id
    for make, reason in (
        (lambda: files.record(device, 10**6), "no record"),
        (lambda: files.answer(bytes(16), "decision"), "no decision of set-point"),
        (lambda: files.document("orders", "nobody"), "no document orders/nobody is kept"),
        (lambda: files.document("orders", POD, 9), "in version 9"),
        (lambda: files.key(device, 2), "no key 2"),
        (lambda: files.consistency(1, FRAME + 4, FRAME + 3), "is not later"),
        (lambda: files.consistency(1, 1, FRAME + 3), "no checkpoint"),
    ):
        with pytest.raises(Rejected, match=reason):
            make()


def test_the_command_makes_and_checks_a_file(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], chain: ProvingChain
) -> None:
    made.store.note_fact("chain_id", CHAIN.to_bytes(8, "big"))
    made.store.note_fact("contract", CONTRACT)
    database = str(made.store._rows("pragma database_list")[0][2])
    key, out, anchors = tmp_path / "log.key", tmp_path / "reading.json", tmp_path / "anchors.json"
    key.write_bytes(made.log._key.secret)
    key.chmod(0o600)
    anchors.write_text(json.dumps(anchors_document(made)))
    words = ["--db", database, "--log-key", str(key)]
    device = made.devices[POD].id.hex()
    assert main(["evidence", "receipt", "reading", device, "6", *words, "--out", str(out)]) == 0
    assert main(["evidence", "verify", str(out)]) == 4
    assert main(["evidence", "verify", str(out), "--anchors", str(anchors), "--operator", made.operator.hex()]) == 0
    assert f"valid: reading 6 of {device}, of operator" in capsys.readouterr().out
    assert main(["evidence", "verify", str(out), "--block-hash", "00" * 32]) == 1
    assert "there is no state proof" in capsys.readouterr().err
    for wrong in (["reading", "xyz", "6"], ["reading", device], ["key", device, "x"], ["document", "orders"]):
        assert main(["evidence", "receipt", *wrong, *words]) == 1
        assert "see --help" in capsys.readouterr().err
    assert main(["evidence", "receipt", "key", device, "1", "--db", str(tmp_path / "none"), "--log-key", str(key)]) == 3
    key.write_bytes(bytes([1] * 32))
    assert main(["evidence", "receipt", "key", device, "1", *words]) == 1
    assert "is not the log key of" in capsys.readouterr().err


def test_of_several_nodes_a_quorum_must_say_the_same(
    made: Made, chain: ProvingChain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = chain.ledger
    out = tmp_path / "receipt.json"
    out.write_text(files_of(made, (ledger.chain_id, ledger.contract)).document("orders", POD))
    empty = ProvingChain(made.operator.rjust(32, b"\0"))  # the same contract at the same address, and nothing in it
    good, bad, dead = chain.serve(), empty.serve(), "http://127.0.0.1:9"
    contract = ["--contract", ledger.contract.hex()]
    verify_ = ["evidence", "verify", str(out)]
    assert main([*verify_, "--rpc", good, *contract]) == 0
    assert main([*verify_, "--rpc", good, "--rpc", good, "--rpc", dead, "--quorum", "2", *contract]) == 0
    assert main([*verify_, "--rpc", good, good, dead, *contract]) == 0
    assert main(["evidence", "verify", "--rpc", good, str(out)]) == 0
    capsys.readouterr()
    assert main([*verify_, "--rpc", good, dead, *contract]) == 3
    assert "1 of 2 endpoints answer, 2 must" in capsys.readouterr().err
    if empty.ledger.contract == ledger.contract:
        assert main([*verify_, "--rpc", good, bad, *contract]) == 3
        assert "disagree about epoch" in capsys.readouterr().err
        assert main([*verify_, "--rpc", good, bad, "--quorum", "1", *contract]) == 3
    for words in (["--rpc", good, "--quorum", "2"], ["--rpc", good, "--quorum", "0"], ["--quorum", "1"]):
        with pytest.raises(SystemExit) as ended:
            main([*verify_, *words])
        assert ended.value.code == 2
    empty.close()


def test_the_fields_are_those_of_the_table(files: dict[str, str]) -> None:
    assert sorted(json.loads(files["reading"])) == sorted(FIELDS)
