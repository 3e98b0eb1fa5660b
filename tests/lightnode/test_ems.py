"""What the node offers follows the rules at each instant; what the EMS says is kept, bounded, and its silence too."""

import asyncio
import socket
from typing import Any

import pytest
from lightnode import ems, ems_map
from lightnode.ems import Ems
from lightnode.meter_line import open_ems_line
from lightnode.setpoint import SetPoints
from lightwire import decision, records

from tests.lightnode.parts import DEPLOYMENT, DEVICE, T0, Node, Settings, sealed
from tests.lightnode.test_ems_map import SAID
from tests.lightnode.test_setpoint import ISSUER, SETTINGS, Issuer, point

OPTIONS = Settings(
    deployment=DEPLOYMENT, issuers=[Issuer], limits__max_withdrawal_w=50_000, limits__max_injection_w=40_000,
    ems__listen=None, ems__serial=None, ems__broker=None, ems__unit=1, ems__silent_s=120,
)  # fmt: skip


class Rig:
    """A node with an EMS that a test plays; `restart` is a loss of power."""

    def __init__(self) -> None:
        self.node = Node()
        self.beat = 0
        self.boot()

    def boot(self, trusted: bool = True) -> None:
        if trusted:
            self.node.trust(T0)
        self.points = SetPoints(self.node.recorder, self.node.journal, self.node.clock, SETTINGS, DEVICE)
        self.ems = Ems(None, OPTIONS, self.node.recorder, self.node.journal, self.node.clock, self.points, DEVICE)

    def order(self, command: int = 1, **changed: Any) -> None:
        asyncio.run(self.points.receive(sealed(point(command, **changed), ISSUER)))

    def say(self, **changed: Any) -> None:
        self.beat += 1
        assert self.ems.block.take(SAID | {"command": 1, "heartbeat": self.beat} | changed)
        self.look()

    def look(self, after_ms: int = 0) -> None:
        self.node.source.now += after_ms
        asyncio.run(self.ems.look())

    def offer(self) -> dict[str, Any]:
        """As an EMS reads it."""
        return ems_map.decode(ems_map.NODE_FIELDS, self.ems.node_block())

    @property
    def reports(self) -> list[Any]:
        return self.node.kept(records.EMS_REPORT)


def test_an_order_is_offered_answered_and_kept_as_a_signed_report() -> None:
    rig = Rig()
    assert rig.offer()["state"] == ems_map.NONE
    rig.order()
    now = rig.offer()
    assert (now["magic"], now["device"], now["clock"], now["utc_ms"]) == (ems_map.MAGIC, DEVICE, 1, T0)
    assert (now["state"], now["id"], now["command"], now["target_w"]) == (ems_map.IN_FORCE, point().id, 1, 10_000)
    rig.say(commanded_w=10_000, measured_w=9_950)
    (said,) = rig.reports
    assert (said.setpoint, said.state, said.reason, said.time_ms, said.flags) == (point().id, 1, 0, T0, 0)
    assert (said.commanded_w, said.measured_w, said.measured_var, said.charge_permille) == (10_000, 9_950, 7, 500)


def test_a_window_ends_within_the_second_on_the_monotonic_timer() -> None:
    """Rule 1; nothing but time passes: no link, no tick."""
    rig = Rig()
    rig.order(fallback=records.FALLBACK_VALUE, fallback_value=-2_000)
    rig.node.source.now = 899_999
    assert (rig.offer()["state"], rig.offer()["target_w"]) == (ems_map.IN_FORCE, 10_000)
    rig.node.source.now = 900_000
    assert (rig.offer()["state"], rig.offer()["target_w"]) == (ems_map.FALLBACK, -2_000)


def test_after_a_restart_only_what_is_still_valid_is_offered_and_only_with_known_time() -> None:
    rig = Rig()
    rig.order(1, not_after_ms=T0 + 60_000, fallback=records.FALLBACK_VALUE, fallback_value=5)
    rig.order(2, not_before_ms=T0 + 600_000)
    rig.node.restart()
    rig.boot(trusted=False)
    now = rig.offer()
    assert (now["state"], now["clock"], now["utc_ms"]) == (ems_map.STALE, 0, None)
    assert [now[name] for name in ("target_w", "max_withdrawal_w", "max_injection_w", "ends_in_s")] == [None] * 4
    rig.node.trust(T0 + 61_000)
    assert (rig.offer()["state"], rig.offer()["command"], rig.offer()["target_w"]) == (ems_map.FALLBACK, 1, 5)


def test_the_sequence_changes_with_what_is_said_and_not_with_time() -> None:
    rig = Rig()
    first = rig.offer()["sequence"]
    rig.node.source.now += 60_000
    assert rig.offer()["sequence"] == rig.offer()["sequence_again"] == first
    rig.order()
    second = rig.offer()
    assert second["sequence"] != first and second["sequence"] == second["sequence_again"]
    rig.node.source.now += 900_000
    assert rig.offer()["sequence"] not in (first, second["sequence"])


def test_the_heartbeat_counts_seconds_and_stands_when_no_slot_begins() -> None:
    """Rule 2."""
    rig = Rig()
    beats = []
    for _ in range(3):
        rig.node.source.now += 4000
        rig.ems.tick()
        beats.append(rig.offer()["heartbeat"])
    assert beats == [4, 8, 12]
    rig.node.source.now += 60_000
    stuck = rig.offer()["heartbeat"]
    assert stuck == 12 + ems.STUCK_MS // 1000
    rig.node.source.now += 60_000
    assert rig.offer()["heartbeat"] == stuck
    rig.node.source.now = 65_536_000
    rig.ems.tick()
    assert rig.offer()["heartbeat"] == 0


def test_a_silent_ems_is_an_alarm_and_a_report_and_its_return_is_reported() -> None:
    """Rule 3."""
    rig = Rig()
    rig.order()
    rig.say()
    rig.look(120_000)
    assert not rig.ems.silent and rig.ems.alarms == 0
    rig.look(1)
    assert rig.ems.silent and rig.ems.alarms == 1 and rig.offer()["silent"] == 1
    said = rig.reports[-1]
    assert (said.setpoint, said.state, said.reason) == (point().id, records.FAILED, decision.EMS_UNREACHABLE)
    assert (said.commanded_w, said.measured_w, said.measured_var) == (records.POWER_UNKNOWN,) * 3
    assert said.charge_permille == records.CHARGE_UNKNOWN
    rig.look(600_000)
    assert len(rig.reports) == 3 and rig.ems.alarms == 1, "still silent is no news"
    rig.say()
    assert not rig.ems.silent and rig.reports[-1].state == records.APPLIED and len(rig.reports) == 4


def test_a_set_point_that_begins_in_the_silence_is_reported_too_and_its_end_is_not() -> None:
    rig = Rig()
    rig.look(121_000)
    assert [r.setpoint for r in rig.reports] == [bytes(16)]
    rig.order(1, not_before_ms=T0 + 180_000, not_after_ms=T0 + 240_000)
    rig.look(60_000)
    assert [r.setpoint for r in rig.reports] == [bytes(16), point(1).id]
    rig.look(60_000)
    assert len(rig.reports) == 2 and rig.ems.alarms == 1


def test_a_write_without_another_heartbeat_is_no_sign_of_life() -> None:
    rig = Rig()
    rig.say()
    for _ in range(25):
        assert rig.ems.block.take(SAID | {"command": 1, "heartbeat": rig.beat, "measured_w": 1})
        rig.look(5_000)
    assert rig.ems.silent


def test_changes_are_reported_at_once_and_measures_once_a_minute_while_a_window_is_open() -> None:
    """Rule 4."""
    rig = Rig()
    rig.order(not_after_ms=T0 + 300_000)
    for k in range(300):
        rig.node.source.now += 1000
        rig.say(measured_w=k)
    assert [r.measured_w for r in rig.reports] == [0, 60, 120, 180, 240]
    rig.say(state=records.EXPIRED)
    for _ in range(300):
        rig.node.source.now += 1000
        rig.say(state=records.EXPIRED)
    assert [r.state for r in rig.reports] == [1] * 5 + [records.EXPIRED]
    rig.say(state=records.FAILED, reason=decision.EMS_REFUSED)
    assert (rig.reports[-1].state, rig.reports[-1].reason) == (records.FAILED, decision.EMS_REFUSED)


def test_an_ems_that_has_nothing_to_say_makes_no_report() -> None:
    rig = Rig()
    rig.say(state=0)
    assert rig.reports == []


def test_a_number_that_was_never_offered_is_no_set_points() -> None:
    rig = Rig()
    rig.order()
    rig.say(command=77)
    rig.say(command=None)
    assert [r.setpoint for r in rig.reports] == [bytes(16)]


def test_an_ems_that_flaps_cannot_fill_the_journal() -> None:
    """Rule 5; the last state is kept when there is room again."""
    rig = Rig()
    rig.order()
    rig.node.journal.acknowledge(rig.node.journal.seq, b"i" * 8)
    for k in range(200):
        rig.say(state=1 + k % 4)
    assert len(rig.reports) == ems.REPORTS_MAX and rig.ems.withheld >= 100
    rig.node.source.now = 900_000
    rig.say(state=records.EXPIRED)
    assert len(rig.reports) == ems.REPORTS_MAX + 1 and rig.reports[-1].state == records.EXPIRED


def test_an_outage_is_for_readings() -> None:
    rig = Rig()
    rig.order()
    while rig.node.journal.seq <= ems.HELD_MANY + 1:
        asyncio.run(rig.node.recorder.keep(lambda *whose: records.ClockLink(*whose, 1, 2, 3)))
    for k in range(200):
        rig.node.source.now += 1000
        rig.say(state=1 + k % 2)
    assert len(rig.reports) == ems.REPORTS_HELD


def test_stop_and_switch_outrank_what_is_offered_and_refuse_what_comes() -> None:
    """Rule 6."""
    rig = Rig()
    rig.order()
    rig.say(local_switch=1)
    assert rig.offer()["state"] == ems_map.LOCAL and rig.offer()["target_w"] is None
    rig.order(2)
    assert rig.node.kept(records.DECISION)[-1].reason == decision.LOCAL_SWITCH
    rig.say(local_switch=1, emergency_stop=1)
    rig.look(300_000)
    assert rig.ems.silent and rig.offer()["state"] == ems_map.STOP
    rig.order(3)
    assert rig.node.kept(records.DECISION)[-1].reason == decision.EMERGENCY_STOP
    rig.say()
    assert (rig.offer()["state"], rig.offer()["command"]) == (ems_map.IN_FORCE, 1)
    rig.order(4)
    assert rig.node.kept(records.DECISION)[-1].outcome == records.ACCEPTED


def test_before_trust_a_report_carries_this_boots_time_and_says_so() -> None:
    rig = Rig()
    rig.node.restart()
    rig.boot(trusted=False)
    rig.look(121_000)
    (said,) = rig.reports
    assert (said.time_ms, said.flags) == (121_000, records.UNTRUSTED_CLOCK)


@pytest.mark.parametrize("state", range(5))
def test_every_state_of_the_ems_ends_in_a_record_or_in_none(state: int) -> None:
    rig = Rig()
    rig.say(state=state)
    assert len(rig.reports) == (state > 0)


def test_an_address_that_cannot_be_had_is_tried_again_and_given_back_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ems, "_AGAIN_MS", 20)
    monkeypatch.setattr(ems, "_LOOK_MS", 20)
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    alive: list[int] = []
    rig = Rig()
    rig.ems._listen = f"127.0.0.1:{port}"

    async def main() -> None:
        running = asyncio.create_task(rig.ems.run(lambda: alive.append(1)))
        while len(alive) < 5:
            await asyncio.sleep(0)
        assert not running.done()
        taken.close()
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0)
        writer.close()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.sleep(0.05)
        socket.create_server(("127.0.0.1", port)).close()

    asyncio.run(main())


def test_its_serial_line_is_opened_as_the_settings_say() -> None:
    opened: list[tuple[Any, ...]] = []

    class Board:
        @staticmethod
        def open_serial(path: str, *line: object, **pins: object) -> tuple[str, str]:
            opened.append((path, *line, pins))
            return "reader", "writer"

    line = Settings(
        ems__serial="2",
        ems__baud=38_400,
        ems__parity="E",
        ems__stop_bits=2,
        ems__tx_pin=4,
        ems__rx_pin=None,
        ems__de_pin=6,
    )
    assert open_ems_line(Board, line.value) == ("reader", "writer")
    assert opened == [("2", 38_400, "E", 2, {"tx_pin": 4, "de_pin": 6})]
