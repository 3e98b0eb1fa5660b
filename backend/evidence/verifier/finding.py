"""What the verifier says when something does not hold."""


class NotValid(Exception):
    """The bundle claims something that is not so. `where`: which part; `rule`: which rule it breaks."""

    def __init__(self, where: str, rule: str) -> None:
        super().__init__(f"{where}: {rule}")
        self.where = where
        self.rule = rule


class AnchorsUnavailable(Exception):
    """The chain or the anchors file could not be read."""


def one_line(text: str, longest: int = 160) -> str:
    """A text from outside as one printable line of bounded length."""
    plain = "".join(c if c.isprintable() else " " for c in text[: longest + 1])
    return plain if len(plain) <= longest else plain[:longest] + "..."
