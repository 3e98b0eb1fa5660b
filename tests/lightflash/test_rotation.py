"""Where the statement of a rotation waits: the outbox under a kit, once for each key, and the register takes it from there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightflash.errors import FlashError
from lightflash.kit import Kit, open_kit
from lightflash.outbox import Outbox
from lightflash.rotation import InFile, InOutbox

from tests.backend.flows.test_kits import Node
from tests.lightflash.enrolments import DAY_MS, POD, Registry, now_ms


class Service:
    """A registered device with its enrolment in the outbox."""

    def __init__(self, folder: Path) -> None:
        self.registry, self.node = Registry(folder / "back-end"), Node(folder / "node")
        self.kit_file = self.registry.kit(nonces=1)
        self.kit: Kit = open_kit(self.kit_file)
        self.outbox = Outbox(folder / "outbox")
        statement = self.node.statement(self.kit_file)
        self.outbox.settle(statement, self.registry.take(statement))
        self.device = statement.device

    def place(self, generation: int = 1, is_over: bool = False, pod: str = "") -> InOutbox:
        present = {"device": self.device, "generation": generation}
        return InOutbox(self.outbox, self.kit, pod, present, is_over)

    def stated(self, place: InOutbox) -> dict[str, Any]:
        return self.node.answer(bytes.fromhex(place.nonce), to_rotate=True)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_1_a_rotation_waits_beside_the_enrolment_under_the_devices_own_nonce_and_the_register_takes_it(
    service: Service,
) -> None:
    place = service.place()
    place.check(now_ms())
    assert place.kept() is None
    place.keep(service.stated(place))
    (enrolled, rotated) = service.outbox.statements()
    assert (enrolled.state, rotated.state, rotated.generation, rotated.pod) == ("registered", "waiting", 2, POD)
    assert enrolled.nonce == rotated.nonce and "key 2" in rotated.line and service.device in rotated.line
    settled = service.outbox.settle(rotated, service.registry.take(rotated))
    assert settled.state == "registered" and service.outbox.statements() == [enrolled, settled]
    assert [party.generation for party in service.registry.store.parties()] == [1, 2]


def test_2_the_same_command_again_gives_the_same_statement_and_the_next_rotation_another(service: Service) -> None:
    place = service.place()
    place.check(now_ms())
    place.keep(service.stated(place))
    again = service.place()
    again.check(now_ms() + 400 * DAY_MS)  # what is there does not need the kit any more
    first = again.kept()
    assert first is not None and first["generation"] == 2 and again.nonce == place.nonce
    assert service.place(generation=2, is_over=True).kept() == first
    following = service.place(generation=2)
    following.check(now_ms())
    assert following.kept() is None
    following.keep(service.stated(following))
    assert [one.generation for one in service.outbox.rotations(service.device)] == [2, 3]


def test_1_a_device_that_the_outbox_does_not_know_needs_its_pod_and_an_expired_kit_is_refused(service: Service) -> None:
    stranger = {"device": "00" * 8, "generation": 1}
    with pytest.raises(FlashError, match="name its POD with --pod"):
        InOutbox(service.outbox, service.kit, "", stranger, False)
    with pytest.raises(FlashError, match=f"POD {POD} has device {service.device}"):
        InOutbox(service.outbox, service.kit, POD, stranger, False).check(now_ms())
    with pytest.raises(FlashError, match="has expired"):
        service.place().check(now_ms() + 8 * DAY_MS)
    with pytest.raises(FlashError, match="is not for POD 'IT9'"):
        InOutbox(Outbox(service.outbox.folder / "new"), service.kit, "IT9", stranger, False).check(now_ms())


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"format": "lightnode-rotation/1", "nonce": "11"})])
def test_1_a_file_of_another_rotation_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(FlashError, match=r"r\.json"):
        InFile(tmp_path / "r.json", "00" * 16, "00" * 8).kept()


def test_a_rotation_whose_answer_names_another_key_is_not_believed(service: Service) -> None:
    from lightflash.syncing import check_entry

    place = service.place()
    place.check(now_ms())
    place.keep(service.stated(place))
    (rotated,) = service.outbox.rotations(service.device)
    entry = service.registry.take(rotated)["entry"]
    check_entry(rotated, entry, service.kit)
    with pytest.raises(FlashError, match="of another key"):
        check_entry(replace(rotated, public_key="02" * 33), entry, service.kit)
