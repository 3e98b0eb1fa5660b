"""A device on a cable is verified before it goes into service: every check on the real parts, passing and failing by a fault."""

from collections.abc import Iterator

import pytest
from lightflash.limits import GROUPS, limits
from lightflash.link import Link
from lightflash.metering import expected
from lightflash.record import NOT_DONE, Check
from lightflash.verify import Site, checks

from hil.bench import Bench
from hil.cable import Cable
from hil.commissioning import BenchBackEnd

POD = "IT001E00000051"
START_MS = 1_796_040_000_000
LIMIT_W = 2_000_000  # of a bench's nodes


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, mosquitto: list[str], micropython: object) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("commissioning")
    with Bench(folder / "bench", pods=[POD], start_ms=START_MS, with_agents=True) as made:
        made.warm_up()
        yield made


def site(bench: Bench, link: Link, load: str = "45000..55000") -> Site:
    return Site(link, BenchBackEnd(bench, LIMIT_W), expected(load), now_ms=lambda: bench.conductor.now_ms)


def by_name(made: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in made}


def test_a_device_in_order_passes_every_check(bench: Bench) -> None:
    with Cable(bench, POD) as cable, Link(cable.port) as link:
        made = checks(site(bench, link))
    assert [check.name for check in made] == list(limits())
    assert [(c.name, c.value, c.detail) for c in made if not c.passed] == []


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
