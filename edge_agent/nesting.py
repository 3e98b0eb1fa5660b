"""A bound on hostile text: parsers recurse, and where the recursion limit was raised, depth takes the process down."""


def depth(text: str) -> int:
    """How deep brackets are nested; those in strings count too, since no file of the agent has any there."""
    deepest = now = 0
    for sign in text:
        now += (sign in "[{") - (sign in "]}")
        deepest = max(deepest, now)
    return deepest
