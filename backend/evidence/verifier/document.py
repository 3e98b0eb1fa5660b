"""A document beside its evidence: the text is the one whose digest was signed, about what it should be, in its tree.

1. The evidence is the operator's, signed with the log key; its digest is that of the text.
2. Its subject is the salted hash of kind and id, its tree the one that such documents stand in.
3. The receipt leads from the evidence to the word on chain.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Message, read_message
from backend.evidence.verifier.receipt import Anchored, Receipts
from backend.evidence.verifier.sheet import octets, parse

TREE_MARKET, TREE_SETTLEMENT, TREE_KEYS = 3, 4, 5
_EVIDENCE = 13


@dataclass(slots=True)
class Documents:
    """Reads documents of one deployment and operator; `anchored`: what their receipts prove."""

    deployment: bytes
    receipts: Receipts
    anchored: list[Anchored] = field(default_factory=list)

    def evidence(self, raw: bytes, where: str) -> Message:
        """Evidence that is this operator's (rule 1)."""
        found = read_message(raw, self.receipts.log_key, self.deployment, where, _EVIDENCE)
        if found.octets("operator") != self.receipts.operator:
            raise NotValid(where, "is another operator's")
        return found

    def read(self, row: Mapping[str, Any], name: str, tree: int, where: str) -> object:
        """The value of the text in a row with `body`, `evidence` and `receipt`; name: kind and id, joined with a slash."""
        raw = octets(row["evidence"], f"{where}, evidence")
        evidence = self.evidence(raw, f"{where}, evidence")
        body = row["body"]
        if not isinstance(body, str) or not body.isascii():
            raise NotValid(f"{where}, body", "is not a text in ASCII")
        if hashlib.sha256(body.encode()).digest() != evidence.octets("digest"):
            raise NotValid(where, "the document is not the one whose digest was signed")
        subject = hashlib.sha256(evidence.octets("salt") + name.encode()).digest()[:16]
        if evidence.octets("subject") != subject or evidence.number("tree") != tree:
            raise NotValid(where, "is about another subject, or of another tree")
        receipt = octets(row["receipt"], f"{where}, receipt")
        self.anchored.append(self.receipts.check(receipt, raw, tree, f"{where}, receipt"))
        return parse(body.encode(), f"{where}, body")
