"""Errors of the flasher: one line each, with everything that is known."""

import pytest
from lightflash.errors import FlashError, PartMissing, Pending


def test_an_error_names_port_device_step_cause_and_cure() -> None:
    error = FlashError("write", "the cable was pulled", "the same command goes on", port="/dev/ttyACM0", device="00ff")
    assert str(error) == "/dev/ttyACM0, 00ff, write: the cable was pulled; the same command goes on"


def test_what_is_learned_later_is_added() -> None:
    error = PartMissing("port", "no board answers").at(port="/dev/ttyACM1")
    assert (type(error), str(error)) == (PartMissing, "/dev/ttyACM1, port: no board answers")


def test_an_error_is_one_line_whatever_its_cause_says() -> None:
    assert str(FlashError("build", "one\n\ntwo\t three")) == "build: one two three"


@pytest.mark.parametrize(("kind", "code"), [(FlashError, 1), (PartMissing, 3), (Pending, 4)])
def test_each_kind_has_its_exit_code(kind: type[FlashError], code: int) -> None:
    assert kind("step", "cause").exit_code == code
