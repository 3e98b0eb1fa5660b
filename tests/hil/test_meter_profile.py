"""Profiles: the worked example, holding and repeating, wrong files in one line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.meters.meter import Terminals
from hil.meters.profile import Profile, ProfileError, load_profile, steady

EXAMPLE = """time_s,w_l1,w_l2,w_l3,var_l1,var_l2,var_l3,v_l1,v_l2,v_l3,hz
0,1200,800,-300,100,0,0,230.4,231,229.8,50.01
4,1250,790,-310,110,0,0,230.1,231,229.9,49.99
"""
FIRST = Terminals((1_200, 800, -300), (100, 0, 0), (230_400, 231_000, 229_800), 50_010)


def written(folder: Path, text: str) -> Path:
    path = folder / "day.csv"
    path.write_text(text)
    return path


def test_the_example_holds_its_last_row(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, EXAMPLE))
    assert profile.at(0) == profile.at(3_999) == FIRST
    assert profile.at(4_000).power_w == profile.at(10**9).power_w == (1_250, 790, -310)


def test_repeated_the_last_row_lasts_as_long_as_the_one_before(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, EXAMPLE), repeats=True)
    assert [profile.at(ms).power_w[0] for ms in (0, 4_000, 7_999, 8_000, 12_000)] == [1_200, 1_250, 1_250, 1_200, 1_250]


def test_what_is_left_out_is_as_described(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, "time_s,w_l1\n0,500.4\n"), repeats=True)
    assert profile.at(5) == Terminals((500, 0, 0), (0, 0, 0), (230_000,) * 3, 50_000)


@given(st.integers(0, 10**12))
def test_a_steady_profile_is_steady(elapsed_ms: int) -> None:
    assert steady(700).at(elapsed_ms).power_w == (700, 700, 700)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=20), st.integers(0, 10**7), st.booleans())
def test_at_any_time_one_row_holds(steps: list[int], elapsed_ms: int, repeats: bool) -> None:
    starts = [0]
    for step in steps:
        starts.append(starts[-1] + step)
    rows = tuple(Terminals((k, 0, 0), (0, 0, 0), (1, 1, 1)) for k in range(len(starts)))
    assert Profile(tuple(starts), rows, repeats).at(elapsed_ms) in rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_s,w\n0,1\n", "'w' is not a column; columns: time_s, w_l1"),
        ("w_l1\n1\n", "the column time_s is missing"),
        ("time_s,w_l1\n", "a row for time_s 0 is missing"),
        ("time_s,w_l1\n1,5\n", "a row for time_s 0 is missing"),
        ("time_s,w_l1\n0,5\n0,6\n", "the times of the rows do not rise"),
        ("time_s,w_l1\n0,much\n", "line 2: w_l1 is 'much', a number belongs here"),
        ("time_s,w_l1\n0,NaN\n", "line 2: w_l1 is 'NaN'"),
        ("time_s,w_l1\n0,1e30\n", "line 2: w_l1 is '1e30'"),
        ("time_s,w_l1,v_l1\n0,1,-230\n", "line 2: a voltage is negative"),
        ("time_s,w_l1\n0,1,2\n", "line 2: more values than columns"),
        ("", "the column time_s is missing"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError) as error:
        load_profile(written(tmp_path, text))
    assert message in str(error.value) and str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(tmp_path / "none.csv")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_profile_or_an_error(data: bytes) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "p.csv"
        path.write_bytes(b"time_s,w_l1\n" + data)
        try:
            assert load_profile(path).rows
        except ProfileError as error:
            assert str(error)
