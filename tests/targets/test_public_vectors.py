"""Published ECDSA vectors: what is valid is accepted with its low s only, what is not is refused, wherever the firmware runs.

`public.json` is committed. The vectors of Project Wycheproof are not: `--wycheproof FOLDER` names its `testvectors_v1`. The
emulated chip takes each so-many-th row, and every one with `--every-vector`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from lightwire.ecdsa import P256, SECP256K1

from hil.targets.target import Job, Target

pytestmark = pytest.mark.timeout(3600)
PUBLIC = Path(__file__).parents[1] / "vectors" / "public.json"
WYCHEPROOF = {
    "secp256k1": ("ecdsa_secp256k1_sha256_p1363_test.json", 252),
    "p256": ("ecdsa_secp256r1_sha256_p1363_test.json", 262),
}
CHIP_ROWS = 40
Row = list[Any]

SCRIPT = """
import json
from lightwire import ecdsa
curves = {"secp256k1": ecdsa.SECP256K1, "p256": ecdsa.P256}
valid_ones = refused = 0
for line in open("rows"):
    name, curve, public, digest, signature, valid, secret = json.loads(line)
    curve, public, digest, signature = curves[curve], bytes.fromhex(public), bytes.fromhex(digest), bytes.fromhex(signature)
    tried = [signature]
    s = int.from_bytes(signature[32:], "big")
    if len(signature) == 64 and 0 < s < curve.n:
        low, high = sorted((s, curve.n - s))
        low, high = [signature[:32] + one.to_bytes(32, "big") for one in (low, high)]
        assert ecdsa.verify(curve, public, digest, low) is valid, name
        tried = [high]
    else:
        assert not valid, name
    for one in tried:
        assert ecdsa.verify(curve, public, digest, one) is False, name
    if secret:
        assert ecdsa.public_key(curve, int(secret, 16)) == public, name
    valid_ones += valid
    refused += not valid
print(valid_ones, refused)
"""


def public_rows() -> list[Row]:
    rows: list[Row] = json.loads(PUBLIC.read_text())["rows"]
    return rows


def wycheproof_rows(folder: Path, curve: str) -> list[Row]:
    """Every test of the file, as a row of `public.json`."""
    name, _ = WYCHEPROOF[curve]
    rows: list[Row] = []
    for group in json.loads((folder / name).read_text())["testGroups"]:
        x, y = (int(group["publicKey"][axis], 16) for axis in ("wx", "wy"))
        public = bytes((2 + y % 2,)) + x.to_bytes(32, "big")
        for test in group["tests"]:
            digest = hashlib.sha256(bytes.fromhex(test["msg"])).hexdigest()
            label = f"{name} {test['tcId']}: {test['comment']}"
            rows.append([label, curve, public.hex(), digest, test["sig"], test["result"] == "valid", ""])
    return rows


def check(target: Target, rows: list[Row], every: bool) -> None:
    """Runs them; the chip takes CHIP_ROWS of them, spread over all."""
    if target.name == "chip" and not every:
        rows = rows[:: max(1, len(rows) // CHIP_ROWS)]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    valid, refused = target.run(Job(SCRIPT, {"rows": text}, timeout_s=3000)).split()
    assert [int(valid), int(refused)] == [sum(row[5] for row in rows), sum(not row[5] for row in rows)]


def test_published_vectors_hold(target: Target, request: pytest.FixtureRequest) -> None:
    check(target, public_rows(), request.config.getoption("--every-vector"))


@pytest.mark.parametrize("curve", WYCHEPROOF)
def test_wycheproof_holds(target: Target, request: pytest.FixtureRequest, curve: str) -> None:
    folder = request.config.getoption("--wycheproof")
    if not folder:
        pytest.skip("Project Wycheproof's files are not part of this project: --wycheproof FOLDER")
    rows = wycheproof_rows(Path(folder), curve)
    assert len(rows) >= WYCHEPROOF[curve][1]
    check(target, rows, request.config.getoption("--every-vector"))


def test_the_committed_rows_hold_both_curves_both_answers_and_both_halves_of_s() -> None:
    rows = public_rows()
    assert {row[1] for row in rows} == {"secp256k1", "p256"} and {row[5] for row in rows} == {True, False}
    orders = {curve.name: curve.n for curve in (SECP256K1, P256)}
    high = [int(row[4][64:], 16) > orders[row[1]] // 2 for row in rows if row[5]]
    assert 50 < sum(high) < len(high) - 50
