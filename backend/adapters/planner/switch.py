"""Which ends of branches are open: switches, elements and buses out of service."""

from collections.abc import Mapping

from backend.adapters.planner.table import Row, Tables

_BRANCH = {"l": "line", "t": "trafo", "t3": "trafo3w"}


class Switches:
    """The file's switches by what they open, and its buses."""

    def __init__(self, tables: Tables, buses: Mapping[int, Row]) -> None:
        self.buses = buses
        self.couplers: list[Row] = []
        self._open: set[tuple[str, int, int]] = set()
        self._switched: set[tuple[str, int]] = set()
        known = {kind: {row.index for row in tables.rows(kind, quiet=True)} for kind in _BRANCH.values()}
        for row in tables.rows("switch"):
            self._read(row, known)

    def _read(self, row: Row, known: Mapping[str, set[int]]) -> None:
        kind = row.text("et")
        if kind == "b":
            self.couplers.append(row)
        elif kind not in _BRANCH:
            row.wrong("et", kind, '"b", "l", "t" or "t3"')
        else:
            element, bus = int(row.number("element")), row.node("bus", self.buses)
            if element not in known[_BRANCH[kind]]:
                row.wrong("element", element, f"the index of a {_BRANCH[kind]}")
            self._switched.add((_BRANCH[kind], element))
            if not row.flag("closed"):
                self._open.add((_BRANCH[kind], element, bus))

    def in_service(self, bus: int) -> bool:
        """Whether the bus is in service."""
        return bus in self.buses and self.buses[bus].flag("in_service")

    def closed(self, row: Row, bus: int) -> bool:
        """Whether this branch is closed at this bus."""
        return row.flag("in_service") and (row.table, row.index, bus) not in self._open and self.in_service(bus)

    def switchable(self, row: Row) -> bool:
        """Whether the file has a switch for this branch."""
        return (row.table, row.index) in self._switched
