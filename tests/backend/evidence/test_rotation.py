"""A bundle over a rotation of the light node's key: it verifies, and only with both keys and what introduces the second."""

from pathlib import Path
from typing import Any

import pytest
from lightwire import envelope, records

from backend.evidence.verifier.bundle import verify
from backend.evidence.verifier.finding import NotValid
from tests.backend.evidence.made import DEPLOYMENT, FRAME, POD, Made, key_of


class Rotated(Made):
    """The node of POD rotates its key in the middle of the period, with a batch open."""

    def _order(self, pod: str, frame: int, time_ms: int) -> None:
        super()._order(pod, frame, time_ms)
        if (pod, frame) == (POD, FRAME + 1):
            self.rotate()

    def rotate(self) -> None:
        device = self.devices[POD]
        new = key_of("second key")
        enrolment = records.Enrolment(device.id, 2, records.ES256K, new.public, bytes(32), bytes(16), self.now_ms, 1)
        sealed = envelope.seal(enrolment, DEPLOYMENT, device.key.sign)
        self.register.approve(sealed, bytes(16), "node", POD, self.now_ms)
        device.close()
        device.key, device.generation = new, 2
        device.boot += 1


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Rotated:
    return Rotated(tmp_path_factory.mktemp("rotated"), every=25)


def row_of_rotation(document: dict[str, Any]) -> int:
    return next(
        k for k, row in enumerate(document["keys"]) if envelope.peek(bytes.fromhex(row["entry"])).generation == 2
    )


def test_a_bundle_over_a_rotation_verifies(rotated: Rotated) -> None:
    document = rotated.bundle()
    statements = [envelope.peek(bytes.fromhex(row["statement"])) for row in document["batches"]]
    assert {one.generation for one in statements} == {1, 2}
    verify(rotated.sealed(document), rotated.anchors())


def test_without_the_entry_of_the_second_key_it_does_not(rotated: Rotated) -> None:
    document = rotated.bundle()
    del document["keys"][row_of_rotation(document)]
    with pytest.raises(NotValid, match="its key is not registered in this bundle"):
        verify(rotated.sealed(document), rotated.anchors())


def test_a_second_key_that_a_stranger_introduces_does_not(rotated: Rotated, tmp_path: Path) -> None:
    document = rotated.bundle()
    row = document["keys"][row_of_rotation(document)]
    enrolment = envelope.peek(bytes.fromhex(row["enrolment"]))
    row["enrolment"] = envelope.seal(enrolment, DEPLOYMENT, key_of("a stranger").sign).hex()
    with pytest.raises(NotValid):
        verify(rotated.sealed(document), rotated.anchors())
