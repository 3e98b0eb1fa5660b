"""The geometry of the one-line picture."""

from dataclasses import replace

from backend.grid.element import Line, Link
from backend.grid.layout import joined_places, layout
from tests.backend.grid import three_nodes as small

NET = small.network()


def test_a_feeder_is_one_row_and_a_branch_off_opens_the_next():
    nodes = (*NET.nodes, *(replace(NET.nodes[0], id=k, name=f"n{k}") for k in (4, 5)))
    spur = Line(3, "c", 2, 4, True, True, 1, 0, 0, 50_000)
    trunk = Line(4, "d", 3, 5, True, True, 1, 0, 0, 50_000)
    at = layout(replace(NET, nodes=nodes, lines=(*NET.lines, spur, trunk)))
    column = {n: at.column[p] for n, p in at.place_of.items()}
    row = {n: at.row[p] for n, p in at.place_of.items()}
    assert column == {1: 0, 2: 1, 3: 2, 4: 2, 5: 3}
    assert row == {1: 0, 2: 0, 3: 0, 5: 0, 4: 1}


def test_nodes_joined_by_a_closed_coupler_are_one_place_and_an_open_one_is_a_tie():
    nodes = (*NET.nodes, replace(NET.nodes[0], id=4, name="n4"))
    closed = replace(NET, nodes=nodes, links=(Link(1, "", 3, 4, True), Link(2, "", 1, 4, False)))
    places = joined_places(closed)
    assert places[3] == places[4] and len(set(places.values())) == 3
    ties = [(e.kind, e.closed, e.tie) for e in layout(closed).edges if e.tie]
    assert ties == [("link", False, True)]


def test_a_line_that_closes_a_ring_moves_no_place():
    ring = replace(NET, lines=(*NET.lines, Line(3, "ring", 1, 3, True, True, 4_000_000, 0, 0, 50_000)))
    ties = [e for e in layout(ring).edges if e.tie]
    assert len(ties) == 1 and ties[0].closed


def test_a_dead_node_has_a_place_of_its_own():
    nodes = (*NET.nodes, replace(NET.nodes[0], id=4, name="n4", dead=True))
    at = layout(replace(NET, nodes=nodes))
    assert len(set(zip(at.column, at.row, strict=True))) == 4
