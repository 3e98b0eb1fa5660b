"""The deterministic CBOR subset of receipts and bundles (RFC 8949, section 4.2.1).

1. Integers of at most 64 bits, byte strings, text, arrays, maps with integer or text keys, tag 18, null, true, false.
2. Shortest heads, definite lengths, map keys in order of their encoding, no repeated key; anything else is refused.
3. At most MAX_BYTES of input, MAX_DEPTH of nesting and MAX_ITEMS items, so hostile input costs bounded memory.

Records have fixed-width heads instead and are written by `records`, never by this module.
"""

from .errors import OutOfRange, TrailingBytes, Truncated, UnknownVersion

MAX_BYTES = 65536
MAX_DEPTH = 8
MAX_ITEMS = 4096
TAG_SIGN1 = 18


class Tagged:
    """A tagged item: `tag` (int) and `value`."""

    def __init__(self, tag: int, value: object) -> None:
        self.tag = tag
        self.value = value


def head(major: int, value: int) -> bytes:
    """The shortest head of a CBOR item: major type 0..7 and its argument (0..2^64-1)."""
    m = major << 5
    if value < 24:
        return bytes((m | value,))
    if value < 0x100:
        return bytes((m | 24, value))
    if value < 0x10000:
        return bytes((m | 25,)) + value.to_bytes(2, "big")
    if value < 0x100000000:
        return bytes((m | 26,)) + value.to_bytes(4, "big")
    if value < 0x10000000000000000:
        return bytes((m | 27,)) + value.to_bytes(8, "big")
    raise OutOfRange(f"integer {value} needs more than 64 bits")


def dumps(value: object) -> bytes:
    """The one encoding of `value`; raises OutOfRange for what the subset cannot hold."""
    if value is None:
        return b"\xf6"
    if value is True:
        return b"\xf5"
    if value is False:
        return b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, (bytes, bytearray)):
        return head(2, len(value)) + bytes(value)
    if isinstance(value, str):
        text = value.encode()
        return head(3, len(text)) + text
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join([dumps(v) for v in value])
    if isinstance(value, dict):
        pairs = sorted([(dumps(k), dumps(v)) for k, v in value.items()])
        return head(5, len(pairs)) + b"".join([k + v for k, v in pairs])
    if isinstance(value, Tagged):
        return head(6, value.tag) + dumps(value.value)
    raise OutOfRange(f"cannot encode {type(value)}")


def loads(data: bytes) -> object:
    """The value in `data`, all of it; raises a WireError for anything but the one encoding."""
    if len(data) > MAX_BYTES:
        raise OutOfRange(f"{len(data)} bytes, at most {MAX_BYTES}")
    reader = _Reader(bytes(data))
    value = reader.item(0)
    if reader.at != len(data):
        raise TrailingBytes(f"{len(data) - reader.at} bytes after the item")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise Truncated(f"{count} bytes wanted at {self.at}, {len(self.data) - self.at} there")
        part = self.data[self.at : end]
        self.at = end
        return part

    def argument(self, low: int) -> int:
        if low < 24:
            return low
        if low > 27:
            raise OutOfRange(f"indefinite or reserved length at {self.at - 1}")
        width = 1 << (low - 24)
        value = int.from_bytes(self.take(width), "big")
        if value < (24, 0x100, 0x10000, 0x100000000)[low - 24]:
            raise OutOfRange(f"number {value} not in its shortest form")
        return value

    def item(self, depth: int) -> object:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS:
            raise OutOfRange(f"nested deeper than {MAX_DEPTH} or more than {MAX_ITEMS} items")
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if major == 7:
            return self._simple(low)
        n = self.argument(low)
        if major == 0:
            return n
        if major == 1:
            return -1 - n
        if major == 2:
            return self.take(n)
        if major == 3:
            return self._text(n)
        if major == 4:
            if n > MAX_ITEMS:
                raise OutOfRange(f"array of {n} items")
            return [self.item(depth + 1) for _ in range(n)]
        if major == 5:
            return self._map(n, depth)
        if n != TAG_SIGN1:
            raise UnknownVersion(f"tag {n}")
        return Tagged(n, self.item(depth + 1))

    def _simple(self, low: int) -> object:
        if low == 20:
            return False
        if low == 21:
            return True
        if low == 22:
            return None
        raise OutOfRange(f"simple value or float {low}")

    def _text(self, count: int) -> str:
        try:
            return self.take(count).decode()
        except UnicodeError:
            raise OutOfRange("text is not UTF-8")

    def _map(self, count: int, depth: int) -> dict[object, object]:
        if count > MAX_ITEMS:
            raise OutOfRange(f"map of {count} items")
        result: dict[object, object] = {}
        last = b""
        for _ in range(count):
            start = self.at
            key = self.item(depth + 1)
            raw = self.data[start : self.at]
            if raw[0] >> 5 not in (0, 1, 3) or raw <= last:
                raise OutOfRange(f"map key at {start} is repeated, out of order or not an integer or text")
            last = raw
            result[key] = self.item(depth + 1)
        return result
