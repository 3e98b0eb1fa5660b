"""What can be wrong with bytes from outside. One class for each way a caller acts differently."""


class WireError(ValueError):
    """Bytes or values that are not a record of this format; the message names field, value and limit."""


class Truncated(WireError):
    """Fewer bytes than the record has."""


class TrailingBytes(WireError):
    """Bytes left over after the record."""


class UnknownVersion(WireError):
    """A record kind, version or algorithm this code does not know."""


class OutOfRange(WireError):
    """A field outside its limits, or not encoded in its fixed-width form."""


class BadSignature(WireError):
    """The signature does not belong to these bytes under this key."""


class BadProof(WireError):
    """A Merkle path that does not lead to the root."""
