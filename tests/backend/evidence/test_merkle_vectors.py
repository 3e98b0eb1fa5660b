"""Public vectors through the customer's verifier: Certificate Transparency's trees and proofs, and RFC 9942 receipts.

tests/vectors/README.md names the sources: github.com/transparency-dev/merkle, scitt-cose.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.merkle import is_consistent, leaf_hash, root, root_of_path
from backend.evidence.verifier.message import PublicKey
from backend.evidence.verifier.receipt import Receipts

VECTORS = Path(__file__).parents[2] / "vectors"
TREES: dict[str, Any] = json.loads((VECTORS / "merkle.json").read_text())
RECEIPTS: dict[str, Any] = json.loads((VECTORS / "receipt.json").read_text())


def octets(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def test_the_roots_are_those_of_certificate_transparency() -> None:
    for case in TREES["certificate_transparency"]:
        assert root([leaf_hash(leaf) for leaf in octets(case["leaves"])]).hex() == case["root"]
    for case in TREES["numbered"]:
        assert root([leaf_hash(b"leaf %d" % k) for k in range(case["size"])]).hex() == case["root"]


@pytest.mark.parametrize("holds", [True, False])
def test_inclusion_proofs_hold_or_do_not(holds: bool) -> None:
    cases = [case for case in TREES["inclusion"] if case["holds"] is holds]
    assert len(cases) > 20
    for case in cases:
        leaf, expected = bytes.fromhex(case["leaf"]), bytes.fromhex(case["root"])
        found = root_of_path(leaf, case["index"], case["size"], octets(case["path"]))
        assert (found == expected and found is not None) is holds, case["name"]


@pytest.mark.parametrize("holds", [True, False])
def test_consistency_proofs_hold_or_do_not(holds: bool) -> None:
    cases = [case for case in TREES["consistency"] if case["holds"] is holds]
    assert len(cases) > 20
    for case in cases:
        roots = bytes.fromhex(case["first_root"]), bytes.fromhex(case["second_root"])
        found = is_consistent(case["first"], case["second"], *roots, octets(case["path"]))
        assert found is holds, case["name"]


@pytest.mark.parametrize("algorithm", ["ES256K", "ES256"])
def test_rfc_9942_receipts_hold_up_to_the_log_that_they_name(algorithm: str) -> None:
    """The vectors' anchor names a log that is no operator's, which is looked at last."""
    key = PublicKey(("ES256K", "ES256").index(algorithm) + 1, bytes.fromhex(RECEIPTS["log_keys"][algorithm]))
    receipts = Receipts(bytes.fromhex(RECEIPTS["operator"]), key)
    for case in (case for case in RECEIPTS["good"] if case["algorithm"] == algorithm):
        raw, statement = octets([case["receipt"], case["statement"]])
        with pytest.raises(NotValid, match="names a log that is not this operator's"):
            receipts.check(raw, statement, 1, case["name"])
    for case in RECEIPTS["bad"]:
        raw, statement = octets([case["receipt"], case["statement"]])
        with pytest.raises(NotValid) as refused:
            receipts.check(raw, statement, 1, case["name"])
        assert "is not this operator's" not in refused.value.rule, case["name"]
