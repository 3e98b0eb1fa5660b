"""Signatures checked by others in the meantime: the same answer, in bounded memory, and none of them stays behind."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.adapters.workers import workers
from backend.evidence.verifier import signatures
from backend.evidence.verifier.file import verify
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import PublicKey
from backend.evidence.verifier.signatures import LOT, MOST_WAITING, Signatures
from tests.backend.evidence.made import Made

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SECRET = ec.derive_private_key(7, ec.SECP256K1())
KEY = PublicKey(1, SECRET.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


def _signature(low: bool) -> bytes:
    r, s = decode_dss_signature(SECRET.sign(b"text", ec.ECDSA(hashes.SHA256())))
    s = min(s, ORDER - s) if low else max(s, ORDER - s)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


GOOD, HIGH = _signature(low=True), _signature(low=False)
KINDS = {"holds": (b"text", GOOD), "another text": (b"Text", GOOD), "high s": (b"text", HIGH)}
SAYS = {"another text": "signature does not hold", "high s": "has a high s: not the one valid signature"}


def said(executor: Executor | None, kinds: list[str], fails_behind: int | None) -> str:
    """What is said of these signatures, one behind the other; fails_behind: where something else does not hold."""
    try:
        with Signatures(executor) as checks:
            for k, kind in enumerate(kinds):
                checks.check(KEY, *KINDS[kind], f"place {k}")
                if k == fails_behind:
                    raise NotValid(f"behind {k}", "something else")
    except NotValid as finding:
        return str(finding)
    return "valid"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["holds", "holds", "holds", "another text", "high s"]), max_size=20),
    st.none() | st.integers(0, 19),
)
def test_the_first_that_does_not_hold_is_said_by_whoever_checks(kinds: list[str], fails_behind: int | None) -> None:
    """Rules 1 and 3."""
    met = kinds if fails_behind is None else kinds[: fails_behind + 1]
    wrong = [f"place {k}: {SAYS[kind]}" for k, kind in enumerate(met) if kind != "holds"]
    if fails_behind is not None and fails_behind < len(kinds):
        wrong.append(f"behind {fails_behind}: something else")
    expected = wrong[0] if wrong else "valid"
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(signatures, "LOT", 3)
        patch.setattr(signatures, "MOST_WAITING", 2)
        assert [said(who, kinds, fails_behind) for who in (None, pool)] == [expected] * 2


def flipped(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def break_signature(document: Any, k: int) -> None:
    document["batches"][k].update(statement=flipped(document["batches"][k]["statement"]))


def lose_record(document: Any, k: int) -> None:
    document["batches"][k]["records"].pop()


BROKEN: dict[str, tuple[tuple[Callable[[Any, int], None], ...], str]] = {
    "nothing": ((), "valid"),
    "a signature": ((break_signature,), "batches[1], statement: signature does not hold"),
    "a signature, then a record": ((break_signature, lose_record), "batches[1], statement: signature does not hold"),
    "a record, then a signature": ((lose_record, break_signature), "batches[1]: the statement counts"),
    "a record": ((lose_record,), "batches[1]: the statement counts"),
}


def test_a_bundle_has_one_answer_whatever_the_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 3, of whole files; with processes as the command has them."""
    made = Made(tmp_path, every=75)
    monkeypatch.setattr(signatures, "LOT", 2)
    for count in (1, 3):
        with workers(count) as executor:
            for name, (changes, says) in BROKEN.items():
                document = made.bundle()
                for k, change in enumerate(changes, 1):
                    change(document, k)
                assert _answer(made.sealed(document), executor).startswith(says), f"{name}, {count} workers"


def _answer(data: bytes, executor: Executor | None) -> str:
    try:
        verify(data, None, None, executor)
    except NotValid as finding:
        return str(finding)
    return "valid"


class Unasked(Executor):
    """Does a lot when it is handed over; counts those whose answer nobody has taken."""

    def __init__(self) -> None:
        self.given = self.most = self.taken = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        executor = self

        class Answer(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                executor.taken += 1
                return super().result(timeout)

        self.given += 1
        self.most = max(self.most, self.given - self.taken)
        answer = Answer()
        answer.set_result((0, ""))
        return answer


def test_lots_under_way_are_bounded_and_less_than_a_lot_needs_no_worker() -> None:
    """Rule 2."""
    few, many = Unasked(), Unasked()
    assert said(few, ["holds"] * (LOT - 1), None) == "valid" and few.given == 0
    assert said(many, ["holds"] * LOT * 3 * MOST_WAITING, None) == "valid"
    assert (many.given, many.most) == (3 * MOST_WAITING, MOST_WAITING + 1) and many.taken == many.given


def test_an_interrupt_waits_for_nobody() -> None:
    pending = Unasked()
    with pytest.raises(KeyboardInterrupt), Signatures(pending) as checks:
        for k in range(LOT):
            checks.check(KEY, *KINDS["another text"], f"place {k}")
        raise KeyboardInterrupt
    assert (pending.given, pending.taken) == (1, 0)
