"""One CBOR item, read totally: looked through before cbor2 builds anything of it.

1. Only what the formats use: integers, byte strings, arrays, maps with integer keys, null, tag 18. No text, no float,
   no other tag (so no shared references), no indefinite length.
2. Nesting at most 8, at most 4096 items, no length beyond the end; the item is all of the bytes.
"""

import cbor2

from backend.evidence.verifier.finding import NotValid

_DEEPEST = 8
_MOST = 4096
_NULL = 0xF6
_COSE_SIGN1 = 18
_BYTES, _ARRAY, _MAP, _TAG, _SIMPLE = 2, 4, 5, 6, 7
_PLAIN = (0, 1, _BYTES, _ARRAY, _MAP)


def decode_one(data: bytes, where: str) -> object:
    """The one item in data, all of it; tag 18 comes as cbor2.CBORTag."""
    _look_through(data, where)
    try:
        value: object = cbor2.loads(data)
    except Exception as error:  # whatever the library may still find
        raise NotValid(where, f"is not CBOR ({type(error).__name__})") from error
    return value


def _look_through(data: bytes, where: str) -> None:
    """NotValid unless data is one item by both rules. Linear time, no memory to speak of."""
    at, items, size = 0, 0, len(data)
    left, is_map = 1, False  # of the container that is open: how many items are still to come, and whether it is a map
    around: list[tuple[int, bool]] = []  # likewise of those around it
    while True:
        while not left and around:
            left, is_map = around.pop()
        if not left:
            break
        major, value, at = _head(data, at, where)
        items, left = items + 1, left - 1
        if is_map and left % 2 and major > 1:
            raise NotValid(where, "is not CBOR of this format (a key that is no integer)")
        if major == _BYTES:
            at += value
        elif major in (_ARRAY, _MAP, _TAG):
            around.append((left, is_map))
            left, is_map = (2 * value if major == _MAP else 1 if major == _TAG else value), major == _MAP
        if items > _MOST or len(around) > _DEEPEST or (major != _TAG and major > 1 and value > size):
            raise NotValid(where, "is CBOR beyond the limits of size, depth or count")
        if at > size:
            raise NotValid(where, "is not CBOR (it ends early)")
    if at != size:
        raise NotValid(where, f"{size - at} bytes follow the item")


def _head(data: bytes, at: int, where: str) -> tuple[int, int, int]:
    """(major type, argument, offset behind the head)."""
    if at >= len(data):
        raise NotValid(where, "is not CBOR (it ends early)")
    major, info = data[at] >> 5, data[at] & 31
    if info < 24 and major in _PLAIN:
        return major, info, at + 1
    if major == _SIMPLE:
        if data[at] != _NULL:
            raise NotValid(where, "is not CBOR of this format (a float or simple value)")
        return major, 0, at + 1
    width = 0 if info < 24 else 1 << (info - 24)
    if info > 27 or at + 1 + width > len(data):
        raise NotValid(where, "is not CBOR (a length that is not there)")
    value = int.from_bytes(data[at + 1 : at + 1 + width], "big") if width else info
    if major == 3 or (major == _TAG and value != _COSE_SIGN1):
        raise NotValid(where, "is not CBOR of this format (text or another tag)")
    return major, value, at + 1 + width
