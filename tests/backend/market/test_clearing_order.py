"""Neither the order of input nor Python's hash seed changes an outcome; a long list is sorted as a short one."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.market.book import book_of
from backend.market.canonical import outcome_hash
from backend.market.clearing import clear
from backend.market.literal import clear_literally
from backend.market.merit import FIRST_LUMP, Candidates
from backend.market.optimal import clear_optimally
from backend.market.rules import Rules
from tests.backend.market.books import large_book
from tests.backend.market.plain import clear as plain

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
from tests.backend.market.test_clearing_order import hashes_of
print(*sorted(hashes_of(int(sys.argv[1]), int(sys.argv[2]))))
"""


def shuffled_hashes(count: int, offers: int) -> set[str]:
    asked, found, table = large_book(11, offers)
    hashes = set()
    for seed in range(count):
        draw = random.Random(seed)
        lists = [list(asked), list(found)]
        for one in lists:
            draw.shuffle(one)
        hashes.add(outcome_hash([clear("s", *lists, table, None, Rules(reserve_ppm=100_000))]))
    return hashes


def hashes_of(first: int, last: int) -> set[str]:
    """Of each engine, over permutations of a book and its limits; the optimal engine in one of ten."""
    hashes = set()
    made = large_book(11, 12)
    for seed in range(first, last):
        draw = random.Random(seed)
        lists = [list(part) for part in made]
        for one in lists:
            draw.shuffle(one)
        hashes.add("guarded " + outcome_hash([clear("s", *lists, None, Rules(reserve_ppm=100_000))]))
        hashes.add("literal " + outcome_hash([clear_literally("s", *lists)]))
        if not seed % 10:
            hashes.add("optimal " + outcome_hash([clear_optimally("s", *lists)[0]]))
    return hashes


@pytest.mark.long
def test_200_permutations_of_a_larger_book_have_one_outcome_hash() -> None:
    assert len(shuffled_hashes(200, 300)) == 1


def hashes_under(hash_seed: str, first: int, last: int) -> str:
    path = os.pathsep.join((str(ROOT), str(ROOT / "firmware")))
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    command = [sys.executable, "-c", SCRIPT, str(first), str(last)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def test_200_permutations_over_hash_seeds_have_one_outcome_hash_and_the_solver_prints_nothing() -> None:
    mine = " ".join(sorted(hashes_of(0, 100)))
    assert mine.count("guarded") == mine.count("literal") == mine.count("optimal") == 1
    assert {hashes_under("0", 100, 150), hashes_under("4711", 150, 200)} == {mine + "\n"}


@pytest.mark.long
def test_200_permutations_under_each_of_many_hash_seeds_have_one_outcome_hash() -> None:
    assert len({hashes_under(str(seed), 0, 200) for seed in range(12)}) == 1


def candidates(count: int) -> Candidates:
    asked, offers, _ = large_book(3, count)
    book = book_of(offers)
    here = book.entries(book.frames[0])
    entry = np.arange(here.start, here.stop)
    draw = random.Random(5)
    effect = np.array([draw.choice((1, 2, 3, 6, 10**12 + 1, 10**12)) for _ in entry], dtype=np.int64)
    return Candidates(book, entry, effect, np.array([draw.choice((1, 2, 3)) for _ in entry], dtype=np.int64))


def test_lumps_one_after_the_other_are_the_exact_order() -> None:
    found, lumps = candidates(8_000), []
    while len(lump := found.lump()):
        lumps.append(lump.tolist())
    places = [k for lump in lumps for k in lump]
    assert len(lumps) > 1 and FIRST_LUMP <= len(lumps[0]) < len(places)
    assert places == sorted(range(len(found.entry)), key=found.merit)


@pytest.mark.parametrize(("seed", "effect"), [(1, 3_000_000), (2, 5), (4, 10**13)])
def test_a_larger_book_clears_as_one_offer_after_the_other(seed: int, effect: int) -> None:
    asked, offers, table = large_book(seed, 100, effect)
    assert clear("s", asked, offers, table) == plain("s", asked, offers, table)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_larger_books_clear_as_one_offer_after_the_other(seed: int) -> None:
    asked, offers, table = large_book(seed, 300)
    fast = clear("s", asked, offers, table, None, Rules(reserve_ppm=100_000))
    assert fast == plain("s", asked, offers, table, None, 100_000)
