"""What the verifier takes for measured: readings, else registers that only rose, else nothing; and the meter of the settlement
finds the same."""

from pathlib import Path

import pytest
from lightwire import envelope, records

from backend.adapters.keys import SigningKey
from backend.adapters.rows import Party
from backend.adapters.settled_meter import SettledMeter
from backend.adapters.sqlite import SqliteStore
from backend.evidence.verifier.message import PublicKey, read_message
from backend.evidence.verifier.metered import Metered
from backend.market.settled_evidence import chosen
from backend.market.settled_terms import SettlementTerms

F = 1_993_108
START, END = F * 900_000, (F + 1) * 900_000
KEY, DEVICE = SigningKey(b"\x07" * 32), b"\x01" * 8


def both(
    path: Path, rows: list[tuple[int, int, int, int]], completeness_ppm: int
) -> tuple[tuple[str, int], tuple[str, int]]:
    """(source, Ws) by the verifier and by the settlement; rows: (UTC ms, W, import Wh, export Wh)."""
    metered, store = Metered(), SqliteStore(path)
    store.register(Party(DEVICE, 1, "node", "a", 1, b"", 0, 1 << 62, b"", b""))
    with store.writing():
        for seq, (at, power, imported, exported) in enumerate(rows, 1):
            made = records.Reading(DEVICE, 1, 1, seq, at, 0, power, 0, imported, exported, (230_000,) * 3, 50_000)
            sealed = envelope.seal(made, bytes(16), KEY.sign)
            store.keep_message(made, sealed, at)
            metered.add(read_message(sealed, PublicKey(1, KEY.public), bytes(16), "reading", records.READING))
    terms = SettlementTerms((), {}, completeness_ppm)
    seen = chosen(SettledMeter(store).measured("a", F), terms)
    store.close()
    return metered.measured(F, completeness_ppm), (seen.source.value, seen.energy_ws)


@pytest.mark.parametrize(
    ("rows", "completeness_ppm", "said"),
    [
        ([(START + 4_000 * k, 100 + k % 2, k, 0) for k in range(203)], 900_000, ("4 s readings", 90_448)),
        ([(START + 4_000 * k, 100, k, 0) for k in range(202)], 900_000, ("missing", 0)),
        ([(START + 4_000 * k, 100, k, 0) for k in range(202)], 897_777, ("4 s readings", 90_000)),
        ([(START, 0, 1_000, 50), (END, 0, 1_040, 60)], 900_000, ("registers of the quarter-hour", 108_000)),
        ([(START, 0, 1_000, 50), (END, 0, 999, 60)], 900_000, ("missing", 0)),
        ([(START, 0, 1_000, 50), (END, 0, 1_040, 49)], 900_000, ("missing", 0)),
    ],
)
def test_verifier_and_settlement_take_the_same_energy(
    tmp_path: Path, rows: list[tuple[int, int, int, int]], completeness_ppm: int, said: tuple[str, int]
) -> None:
    assert both(tmp_path / "scd.sqlite", rows, completeness_ppm) == (said, said)
