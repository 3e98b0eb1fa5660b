"""The last events of the device, in a piece of memory that never grows.

1. An event is a name with fields. A field is a whole number, true or false, or a text of one line that is cut at 60
   characters. Bytes are refused with a TypeError: keys and messages are bytes, and nobody logs one by mistake.
2. When the memory is full the oldest events go.
3. The time of an event is monotonic time of this start.
"""

SIZE = 4096
_LONGEST_TEXT = 60
_LONGEST_LINE = 160


class Log:
    """A ring of lines; now_ms() gives the time. size: bytes of memory for all of them together. `before`: lines of the
    start before, as `tail` gave them."""

    def __init__(self, now_ms, before: str = "", size: int = SIZE) -> None:  # type: ignore[no-untyped-def]
        self._now_ms = now_ms
        self.before = before
        self._ring = bytearray(size)
        self._first = 0
        self._used = 0

    def event(self, name: str, **fields: object) -> None:
        """Keeps an event; TypeError for a field that no log may have (rule 1)."""
        now = self._now_ms()
        words = [name] + [key + "=" + _shown(fields[key]) for key in sorted(fields)]
        line = f"{now // 1000}.{now % 1000:03d} {' '.join(words)}".encode()[:_LONGEST_LINE]
        while self._used + 1 + len(line) > len(self._ring):
            gone = 1 + self._ring[self._first]
            self._first = (self._first + gone) % len(self._ring)
            self._used -= gone
        self._put(len(line))
        for byte in line:
            self._put(byte)

    def lines(self) -> list[str]:
        """Every event that is still there, oldest first: seconds, name, fields in order of their names."""
        found: list[str] = []
        at = 0
        while at < self._used:
            length = self._byte(at)
            found.append(bytes([self._byte(at + 1 + k) for k in range(length)]).decode())
            at += 1 + length
        return found

    def tail(self, most_bytes: int) -> str:
        """The newest whole lines within so many bytes, a newline after each."""
        kept: list[str] = []
        for line in reversed(self.lines()):
            most_bytes -= len(line) + 1
            if most_bytes < 0:
                break
            kept.insert(0, line + "\n")
        return "".join(kept)

    def _put(self, byte: int) -> None:
        self._ring[(self._first + self._used) % len(self._ring)] = byte
        self._used += 1

    def _byte(self, at: int) -> int:
        return self._ring[(self._first + at) % len(self._ring)]


def _shown(value: object) -> str:
    if isinstance(value, str):
        return "".join([c if " " <= c <= "~" else "?" for c in value[:_LONGEST_TEXT]])
    if isinstance(value, (int, bool)):  # in MicroPython a bool is no int
        return str(value)
    raise TypeError("no field of an event: " + type(value).__name__)
