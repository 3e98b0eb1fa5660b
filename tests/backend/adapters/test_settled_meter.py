"""What the database knows of a quarter-hour, slot by slot and by its registers."""

from pathlib import Path

import numpy as np
import pytest
from lightwire import envelope, records

from backend.adapters.keys import SigningKey
from backend.adapters.rows import Party
from backend.adapters.settled_meter import SettledMeter
from backend.adapters.sqlite import SqliteStore
from backend.grid.candidate import History
from backend.market.settled_input import MeasuredRow, SetPointRow, Told

ISSUER = SigningKey(b"\x07" * 32)
F = 1_993_108
START, END = F * 900_000, (F + 1) * 900_000


class Pod:
    """A POD with light nodes that measured something."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path)
        self.seq = 0

    def keep(
        self, device: int, at_ms: int, power_w: int, imported_wh: int = 0, exported_wh: int = 0, reactive_var: int = 0
    ) -> None:
        self.seq += 1
        id = bytes([device]) * 8
        if id not in {party.id for party in self.store.parties()}:
            self.store.register(Party(id, 1, "node", "a", 1, b"", 0, 1 << 62, b"", b""))
        made = records.Reading(
            id, 1, 1, self.seq, at_ms, 0, power_w, reactive_var, imported_wh, exported_wh, (230_000,) * 3, 50_000
        )
        self.store.keep_message(made, envelope.seal(made, bytes(16), ISSUER.sign), at_ms)

    def measured(self, pod: str = "a", quarters: History | None = None) -> MeasuredRow:
        return SettledMeter(self.store, quarters).measured(pod, F)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path / "scd.sqlite")


def test_rule_1_the_mean_of_the_slots_of_the_quarter_hour_and_of_no_other(pod: Pod) -> None:
    """Two slots of 225 at 100 and 201 W: 150.5 W over 900 s are 135,450 Ws; 8,888 ppm of the slots."""
    for at, power in ((START - 4_000, 9_999), (START, 100), (END - 4_000, 201), (END, 9_999)):
        pod.keep(1, at, power)
    assert pod.measured() == MeasuredRow("a", F, 135_450, 8_888, 0)


def test_rule_2_registers_need_both_ends_of_one_light_node(pod: Pod) -> None:
    pod.keep(1, START, 0, 1_000, 50)
    pod.keep(2, END, 0, 7_000, 50)
    assert pod.measured().registers_ws is None
    pod.keep(2, START, 0, 6_000, 10)
    assert pod.measured().registers_ws == (1_000 - 40) * 3_600


@pytest.mark.parametrize(("imported", "exported"), [(999, 60), (1_010, 49), (0, 0)])
def test_rule_2_registers_that_fell_are_of_another_meter_and_no_energy(pod: Pod, imported: int, exported: int) -> None:
    pod.keep(1, START, 0, 1_000, 50)
    pod.keep(1, END, 0, imported, exported)
    assert pod.measured() == MeasuredRow("a", F, 0, 4_444, None)


def test_a_light_node_that_was_exchanged_within_the_quarter_hour_measures_with_its_successor(pod: Pod) -> None:
    for slot in range(0, 225, 5):
        pod.keep(1 if slot < 100 else 2, START + 4_000 * slot, 1_000)
    found = pod.measured()
    assert (found.readings_ws, found.completeness_ppm, found.registers_ws) == (900_000, 200_000, None)


def test_rule_3_a_table_of_quarter_hours_takes_the_place_of_the_registers(pod: Pod) -> None:
    pod.keep(1, START, 0, 1_000)
    pod.keep(1, END, 0, 2_000)
    table = History(F - 1, ("a", "z"), np.array([[1, 2], [3_500, 4]]))
    assert pod.measured(quarters=table).registers_ws == 3_500 * 900
    assert SettledMeter(pod.store, table).measured("a", F + 1).registers_ws is None
    assert pod.measured(quarters=History(F - 9, ("a",), np.array([[1]]))).registers_ws == 3_600_000


def test_of_a_pod_that_nobody_measures_nothing_is_known(pod: Pod) -> None:
    pod.keep(1, START, 7)
    for name in ("z/var", "z"):
        assert pod.measured(name) == MeasuredRow(name, F, None, 0, None)


def test_rule_4_reactive_energy_is_that_of_the_readings_and_of_a_table_never_of_the_registers(pod: Pod) -> None:
    """Slots of 300 and -101 var: 99.5 var over 900 s are 89,550 var s."""
    for at, var in ((START, 300), (END - 4_000, -101), (END, 9_999)):
        pod.keep(1, at, 50, 1_000 if at == END else 0, reactive_var=var)
    assert pod.measured("a/var") == MeasuredRow("a/var", F, 89_550, 8_888, None)
    table = History(F, ("a", "a/var"), np.array([[1, -70]]))
    assert pod.measured("a/var", table).registers_ws == -70 * 900


def test_rule_5_the_last_command_of_the_whole_quarter_hour_and_what_was_decided_on_it(pod: Pod) -> None:
    def command(number: int, start_ms: int, outcome: int | None, value: int, control: int = records.TARGET) -> None:
        point = records.SetPoint(
            bytes([number]) * 16, b"\x01" * 8, b"\x02" * 8, records.ROLE_DSO, number, start_ms, start_ms + 900_000,
            records.POD_NET, control, value, 0, records.FALLBACK_RELEASE, 0, 0, bytes(16), bytes(16), bytes(16),
        )  # fmt: skip
        pod.store.add_setpoint(point.id, point.device, "a", envelope.seal(point, bytes(16), ISSUER.sign))
        if outcome is not None:
            said = records.Decision(b"\x01" * 8, 1, 1, number, point.id, bytes(32), number, outcome, 0, start_ms)
            pod.store.answer_setpoint(point.id, point.device, "decision", envelope.seal(said, bytes(16), ISSUER.sign))

    def told() -> SetPointRow:
        return SettledMeter(pod.store).told("a", F)

    assert told() == SetPointRow("a", F, None, Told.NOT_SENT)
    command(1, START + 900_000, records.ACCEPTED, 9)
    command(2, START - 4_000, records.ACCEPTED, 9)
    assert told().told is Told.NOT_SENT, "one is of the next quarter-hour, one ends 4 s early"
    command(3, START, None, 5_000)
    assert told() == SetPointRow("a", F, 5_000, Told.UNANSWERED)
    command(4, START, records.REFUSED, 4_000)
    assert told() == SetPointRow("a", F, 4_000, Told.REFUSED)
    command(5, START, records.ACCEPTED, -3_000)
    assert told() == SetPointRow("a", F, -3_000, Told.ACCEPTED)
    command(6, START, records.REFUSED, 700, records.REACTIVE_TARGET)
    assert told().target_w == -3_000, "of active power"
    assert SettledMeter(pod.store).told("a/var", F) == SetPointRow("a/var", F, 700, Told.REFUSED)
    assert SettledMeter(pod.store).told("z", F).told is Told.NOT_SENT
