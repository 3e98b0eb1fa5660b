"""The log of the device: fixed memory, one line an event, nothing that could be a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode.log import Log


def test_an_event_is_time_name_and_fields_in_order() -> None:
    log = Log(lambda: 61_005)
    log.event("restart", task="uplink", pause_ms=1000, late=True)
    assert log.lines() == ["61.005 restart late=True pause_ms=1000 task=uplink"]


@pytest.mark.parametrize("value", [b"\x01" * 32, bytearray(32), 1.5, None, ["a"], {"k": 1}])
def test_rule_1_only_whole_numbers_truths_and_texts_are_fields(value: object) -> None:
    log = Log(lambda: 0)
    with pytest.raises(TypeError, match=type(value).__name__):
        log.event("event", field=value)
    assert log.lines() == []


def test_rule_1_a_text_stays_on_one_line_and_is_cut() -> None:
    log = Log(lambda: 0)
    log.event("event", text="two\nlines\x1b[2J\u00e9" + "x" * 100)
    assert log.lines() == ["0.000 event text=two?lines?[2J?" + "x" * 46]


@given(st.lists(st.tuples(st.text(max_size=200), st.integers()), max_size=300), st.integers(200, 700))
def test_rule_2_the_newest_stay_and_the_memory_does_not_grow(events: list[tuple[str, int]], size: int) -> None:
    log = Log(lambda: 7, size=size)
    single = Log(lambda: 7, size=1000)
    wanted = []
    for text, number in events:
        log.event("e", text=text, number=number)
        single.event("e", text=text, number=number)
        wanted.append(single.lines()[-1])
    lines = log.lines()
    assert lines == wanted[len(wanted) - len(lines) :]
    assert sum(len(line) + 1 for line in lines) <= size
    if len(lines) < len(wanted):
        assert sum(len(line) + 1 for line in wanted[-len(lines) - 1 :]) > size


def test_the_tail_is_whole_lines_and_the_newest() -> None:
    log = Log(lambda: 0)
    for k in range(100):
        log.event("event", k=k)
    tail = log.tail(100)
    assert tail.endswith("0.000 event k=99\n") and len(tail) <= 100
    assert tail.startswith("0.000 event k=") and tail.count("\n") == 5
    assert Log(lambda: 0).tail(100) == ""
