"""A bound on hostile text: parsers recurse, and where the recursion limit was raised, depth takes the process down."""

DEEPEST = 32


def shallow(data: bytes) -> bytes:
    """The same bytes; ValueError if brackets are nested deeper than DEEPEST, those in strings counted too."""
    now = 0
    for sign in data:
        now += (sign in b"[{") - (sign in b"]}")
        if now > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST}")
    return data
