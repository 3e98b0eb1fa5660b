"""What every record class has: a record that exists is valid, and stays as it is."""

from .errors import OutOfRange
from .layout import CLOSED, INTERVALS, check_field, check_fields, fields, names


class Frozen:
    """What every record class has: checks when made, no assignment afterwards (also in MicroPython)."""

    KIND = 0
    # fields that most kinds have, for who has looked at the kind
    seq: int
    boot: int
    generation: int
    device: bytes
    operator: bytes
    digest: bytes
    nonce: bytes
    incarnation: bytes
    utc_ms: int
    end_ms: int

    def __init__(self, *values: object, **named: object) -> None:
        # the arguments are looked at, not the fields: MicroPython makes the tuple only after __init__
        if named:
            given = dict(zip(names(self.KIND), values))
            given.update(named)
            for name, form in fields(self.KIND):
                if name in given:
                    check_field(name, form, given[name])
        else:
            check_fields(self.KIND, values)
            if self.KIND not in CLOSED and self.KIND not in INTERVALS:
                return
            given = dict(zip(names(self.KIND), values))
        for name, low, high in CLOSED.get(self.KIND, ()):
            if not low <= given.get(name, low) <= high:  # type: ignore[operator]
                raise OutOfRange(f"{name} is {given[name]}, allowed {low} to {high}")
        first, last = INTERVALS.get(self.KIND, ("", ""))
        if first in given and last in given and given[first] >= given[last]:  # type: ignore[operator]
            raise OutOfRange(f"{first} is not before {last}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a record is frozen: " + name)
