"""A device on a cable is verified before it goes into service: every check on the real parts, passing and failing by a fault."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightflash.back_end_broker import OperatorBroker
from lightflash.back_end_database import Database
from lightflash.key import Key
from lightflash.limits import GROUPS, limits
from lightflash.link import Link
from lightflash.metering import expected
from lightflash.operator_file import operator
from lightflash.record import FAILED, NOT_DONE, Check
from lightflash.verify import Site, checks
from lightwire import topics

from hil.bench import Bench, plain_customer
from hil.cable import Cable
from hil.commissioning import BenchBackEnd
from hil.pki import Pki

POD, TURNED = "IT001E00000051", "IT001E00000052"
START_MS = 1_796_040_000_000
LIMIT_W = 2_000_000  # of a bench's nodes
TEST_TICKS = 31  # the window of a test set-point, and one more
FAST = 20  # the limits are waited for in a twentieth of the time


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, mosquitto: list[str], micropython: object) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("commissioning")
    with Bench(folder / "bench", pods=[POD], start_ms=START_MS, with_agents=True) as made:
        made.warm_up()
        yield made


def site(bench: Bench, link: Link, load: str = "45000..55000", fast: int = 1) -> Site:
    return Site(
        link, BenchBackEnd(bench, LIMIT_W), expected(load), now_ms=lambda: bench.conductor.now_ms,
        clock_s=lambda: time.monotonic() * fast,
    )  # fmt: skip


def by_name(made: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in made}


def operators_file(bench: Bench, folder: Path) -> Path:
    """The operator's credential and issuer, as a technician has it."""
    folder.mkdir()
    mine = bench.pki.client("backend")
    agent = next(party.public for party in bench.backend.store.parties() if party.role == "agent")
    path = folder / "operator.toml"
    path.write_text(
        f'deployment = "{bench.identity.deployment.hex()}"\n[broker]\nhost = "{bench.broker.host}"\nport = {bench.broker.port}\n'
        f"ca = {json.dumps(str(bench.pki.ca_pem))}\ncert = {json.dumps(str(mine.cert_pem))}\n"
        f"key = {json.dumps(str(mine.key_pem))}\n"
        f"[issuer]\nkey = {json.dumps(str(bench.folder / 'keys/setpoint.key'))}\nrole = 1\n"
        f'[[agents]]\nkey = "{agent.hex()}"\n'
    )
    return path


def test_a_device_in_order_passes_every_check(bench: Bench) -> None:
    with Cable(bench, POD) as cable, Link(cable.port) as link:
        until_trusted(link)
        made = checks(site(bench, link))
        first = by_name(checks(site(bench, link), ["set-point"]))["set-point accepted by the device"]
    assert [check.name for check in made] == list(limits())
    assert [(c.name, c.value, c.detail) for c in made if not c.passed] == []
    assert first.result == NOT_DONE and "in force" in first.detail  # the test's own is: no order would be disturbed


def test_the_operators_credential_and_the_database_are_enough(bench: Bench, tmp_path: Path) -> None:
    """And the back end numbers on from a set-point that it has not sent."""
    device = bench.nodes[POD].device
    database = Database(bench.folder / "scd.sqlite", bench.identity.deployment, bench.identity.log_key.public)
    who = operator(operators_file(bench, tmp_path / "operator"))
    known = database.registered(device)
    for _ in range(TEST_TICKS):
        bench.tick()
    with Cable(bench, POD) as cable, Link(cable.port) as link:
        with OperatorBroker(who, device, LIMIT_W, known, lambda: bench.conductor.now_ms) as broker:
            until_trusted(link)
            made = checks(replace(site(bench, link), back_end=broker, registered=known), ["signature", "set-point"])
        assert [(c.name, c.value, c.detail) for c in made if c.value is not None and not c.passed] == []
        assert sum(check.passed for check in made) == 6
        last = link.ask("setpoint")["command"]
        sent = bench.backend.activate.send_test(device, POD, LIMIT_W, bench.conductor.now_ms)
        end = time.monotonic() + 30
        while link.ask("setpoint")["command"] == last and time.monotonic() < end:
            time.sleep(0.1)
        assert link.ask("setpoint")["command"] == last + 1
    assert database.readings(device, 0) and database.answers(device, sent).decision


@pytest.mark.long
def test_offline_what_cannot_be_reached_is_not_done(bench: Bench) -> None:
    with Cable(bench, POD) as cable, Link(cable.port) as link:
        made = by_name(checks(Site(link, now_ms=lambda: bench.conductor.now_ms), GROUPS))
    for name in (
        "active power",
        "key is the registered one",
        "signature of a new nonce",
        "set-point accepted by the device",
    ):
        assert made[name].result == NOT_DONE and made[name].detail and made[name].cure
    assert made["meter answers"].passed and made["reading acknowledged"].passed


def altered(bench: Bench, table: str, **changes: Any) -> dict[str, Any]:
    """The settings of the node are other ones from its next start on; gives back those before."""
    settings = bench.nodes[POD].settings
    before = dict(settings)
    settings[table] = {**settings[table], **changes} if isinstance(settings[table], dict) else changes["value"]
    return before


@pytest.mark.long
@pytest.mark.parametrize(
    ("table", "changes", "load", "name", "words"),
    [
        ("meter", {"unit": 9}, "45000..55000", "meter answers", ""),
        ("meter", {"ct_ratio": 2}, "45000..55000", "active power", "10 times too small"),
        ("meter", {"ct_ratio": 200}, "45000..55000", "active power", "10 times too large"),
        ("meter", {"map": "sdm120"}, "45000..55000", "active power", ""),
    ],
)
def test_a_meter_with_a_fault_fails_with_its_cause(
    bench: Bench, table: str, changes: dict[str, Any], load: str, name: str, words: str
) -> None:
    before = altered(bench, table, **changes)
    try:
        with Cable(bench, POD) as cable, Link(cable.port) as link:
            made = by_name(checks(site(bench, link, load), ["meter"]))
    finally:
        bench.nodes[POD].settings = before
    assert made[name].result == FAILED and words in made[name].detail


@pytest.mark.long
def test_a_certificate_that_the_broker_refuses_is_no_session_and_no_time(bench: Bench, tmp_path: Path) -> None:
    stranger = Pki(tmp_path / "pki").client(topics.station(bench.nodes[POD].device))
    before = altered(bench, "broker", cert=str(stranger.cert_der), key=str(stranger.key_der))
    try:
        with Cable(bench, POD) as cable, Link(cable.port) as link:
            made = by_name(checks(site(bench, link, fast=FAST), ["clock", "broker", "signature", "acknowledgement"]))
    finally:
        bench.nodes[POD].settings = before
    failed = {name for name, check in made.items() if check.result == FAILED}
    assert failed == {
        "clock is trusted", "session with the broker", "TLS identity is the registered one",
        "readings at the back end verify", "reading acknowledged",
    }  # fmt: skip


@pytest.mark.long
def test_a_clock_that_is_an_hour_off_fails(bench: Bench) -> None:
    with Cable(bench, POD) as cable, Link(cable.port) as link:
        until_trusted(link)
        late = replace(site(bench, link), now_ms=lambda: bench.conductor.now_ms + 3_600_000)
        made = by_name(checks(late, ["clock"]))["clock against this computer's"]
    assert (
        made.result == FAILED and made.detail == "the device is behind" and -3_610_000 < (made.value or 0) < -3_590_000
    )


@pytest.mark.long
def test_a_device_with_another_key_than_the_register_fails(bench: Bench) -> None:
    with Cable(bench, POD) as cable, Link(cable.port) as link:
        here = site(bench, link, fast=FAST)
        known = here.back_end.registered(bench.nodes[POD].device)  # type: ignore[union-attr]
        other = Key(hashlib.sha256(b"another").digest()).public
        made = by_name(checks(replace(here, registered=replace(known, key=other)), ["signature"]))  # type: ignore[type-var]
    for name in ("key is the registered one", "signature of a new nonce", "readings at the back end verify"):
        assert made[name].result == FAILED, name
    assert made["TLS identity is the registered one"].passed


@pytest.mark.long
def test_a_back_end_that_does_not_acknowledge_fails(bench: Bench) -> None:
    step, bench.step_backend = bench.step_backend, lambda _utc_ms: {}
    try:
        with Cable(bench, POD) as cable, Link(cable.port) as link:
            made = by_name(checks(site(bench, link, fast=FAST), ["acknowledgement"]))["reading acknowledged"]
    finally:
        bench.step_backend = step
    assert made.result == FAILED and "records wait" in made.detail


@pytest.mark.long
def test_an_agent_that_is_away_fails_the_set_point_and_nothing_else(bench: Bench) -> None:
    for _ in range(TEST_TICKS):
        bench.tick()
    bench.stop_agent(POD)
    with Cable(bench, POD) as cable, Link(cable.port) as link:
        until_trusted(link)
        made = by_name(checks(site(bench, link, fast=2), ["set-point"]))
    assert made["set-point accepted by the device"].passed
    assert made["set-point taken by the energy manager"].detail == "the energy manager is silent"


@pytest.mark.long
def test_reversed_transformers_are_seen(tmp_path: Path, mosquitto: list[str], micropython: object) -> None:
    customer = plain_customer(TURNED, START_MS // 900_000) | {"faults": {"sign_swap": []}}
    with Bench(tmp_path / "bench", customers=[customer], start_ms=START_MS) as turned:
        turned.warm_up()
        with Cable(turned, TURNED) as cable, Link(cable.port) as link:
            for load in ("45000..55000", "import"):
                made = by_name(checks(site(turned, link, load), ["meter"]))["active power"]
                assert made.result == FAILED and "current transformers reversed" in made.detail


def until_trusted(link: Link) -> None:
    end = time.monotonic() + 60
    while not link.ask("network")["clock_trusted"] and time.monotonic() < end:
        time.sleep(0.2)
