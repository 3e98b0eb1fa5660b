"""What an audit says: which row, and what is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alarm:
    """table and key name one row (its primary key, parts joined with a slash, bytes in hexadecimal); evidence: sealed
    messages that prove it, where there are any."""

    table: str
    key: str
    what: str
    evidence: tuple[bytes, ...] = ()


def name(*parts: object) -> str:
    """The key of a row in an alarm."""
    return "/".join(part.hex() if isinstance(part, bytes) else str(part) for part in parts)


class Alarms:
    """Alarms in order of discovery, one for each row: the first thing wrong with it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Alarm] = {}

    def add(self, table: str, key: str, what: str, *evidence: bytes) -> None:
        """Notes what is wrong with a row, unless something is known of it."""
        self._found.setdefault((table, key), Alarm(table, key, what, evidence))

    def has(self, table: str, key: str) -> bool:
        """Whether something is wrong with a row."""
        return (table, key) in self._found

    def __iter__(self) -> Iterator[Alarm]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)
