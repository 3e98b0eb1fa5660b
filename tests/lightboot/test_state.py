"""The state is the old one or the new one, whatever a cut leaves."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightboot import state as states


def made(floor: int) -> states.State:
    found = states.blank()
    found.active, found.sequence, found.floor, found.key = 1, 12, floor, b"\x02" * 33
    return found


def test_worked_example_a_state_comes_back_and_its_serial_rises(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert states.read(root) == (None, True)
    for serial in (1, 2):
        states.write(root, found := states.read(root)[0] or made(9))
        again, is_kept_twice = states.read(root)
        assert again is not None and is_kept_twice and again.serial == serial and again.encode() == found.encode()
    assert (again.active, again.sequence, again.floor, again.key, len(again.encode())) == (1, 12, 9, b"\x02" * 33, 177)


@pytest.mark.parametrize("torn", ["state.0", "state.1"])
def test_1_a_cut_write_leaves_the_state_before_and_a_cut_repair_too(tmp_path: Path, torn: str) -> None:
    root = str(tmp_path)
    states.write(root, made(9))
    new = made(10)
    new.serial = 2
    (tmp_path / torn).write_bytes(new.encode()[:100])  # the first copy of the next write was cut
    found, is_kept_twice = states.read(root)
    assert found is not None and found.floor == 9 and not is_kept_twice
    whole = tmp_path / ("state.1" if torn == "state.0" else "state.0")
    kept = whole.read_bytes()
    order: list[str] = []
    files = states.files
    write = files.write
    files.write = lambda path, data: order.append(Path(path).name)  # type: ignore[assignment]
    try:
        states.repair(root, found)
    finally:
        files.write = write
    assert order == [torn, whole.name] and whole.read_bytes() == kept


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_a_state_or_none(tmp_path_factory: pytest.TempPathFactory, first: bytes, second: bytes) -> None:
    folder = tmp_path_factory.mktemp("state")
    (folder / "state.0").write_bytes(first)
    (folder / "state.1").write_bytes(second)
    assert states.read(str(folder))[0] is None


def test_a_flipped_bit_anywhere_makes_a_copy_worthless(tmp_path: Path) -> None:
    states.write(str(tmp_path), made(9))
    (tmp_path / "state.1").unlink()
    data = (tmp_path / "state.0").read_bytes()
    for at in range(len(data)):
        (tmp_path / "state.0").write_bytes(data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :])
        assert states.read(str(tmp_path))[0] is None
