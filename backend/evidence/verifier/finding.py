"""What the verifier says when something does not hold."""


class NotValid(Exception):
    """The bundle claims something that is not so. `where`: which part; `rule`: which rule it breaks."""

    def __init__(self, where: str, rule: str) -> None:
        super().__init__(f"{where}: {rule}")
        self.where = where
        self.rule = rule


class AnchorsUnavailable(Exception):
    """The chain or the anchors file could not be read."""
