"""Any file of evidence: which format it is, and what its verifier says."""

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Protocol

from backend.evidence.verifier import bundle, consistency, single
from backend.evidence.verifier.anchors import Anchors
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.sheet import head, parse


class Report(Protocol):
    """What every verifier says of a file that holds: what it is, whose, where it must be anchored, and whether it is."""

    @property
    def what(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, object]: ...
    @property
    def operator(self) -> bytes: ...
    @property
    def epochs(self) -> set[int]: ...
    @property
    def contract(self) -> bytes: ...
    @property
    def log(self) -> bytes: ...
    @property
    def anchored(self) -> bool: ...
    @property
    def is_promise(self) -> bool: ...


def verify(
    data: bytes, anchors: Anchors | None, block_hash: bytes | None = None, executor: Executor | None = None
) -> Report:
    """The report of a file that holds; NotValid with the part and the rule for one that does not.

    block_hash: that of a block known to be final; the state proof in the file must be of it. executor: who checks the
    signatures of a bundle while it is read; the answer is the same with any, and without.
    """
    document = parse(head(data), "file")
    format = document.get("format") if isinstance(document, dict) else None
    if format != bundle.FORMAT and b"\n" in data:
        raise NotValid("file", "has more than one line, which only a bundle has")
    if format == single.FORMAT:
        return single.verify_single(document, anchors, block_hash)
    if format == consistency.FORMAT:
        return consistency.verify_consistency(document, anchors, block_hash)
    if format == bundle.FORMAT:
        if block_hash is not None:
            raise NotValid("file", "a bundle has no state proof of its own: give one with --anchors")
        return bundle.verify_document(document, data, anchors, executor)
    raise NotValid("file", f"is of none of the formats {bundle.FORMAT}, {single.FORMAT}, {consistency.FORMAT}")
