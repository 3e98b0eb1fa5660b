"""What the back end can answer other than a result: wrong input, or an outside party that is not there."""


class BackendError(Exception):
    """Base of all errors of the back end."""


class Rejected(BackendError):
    """Wrong input from outside; ``reason`` names field, value and limit."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(BackendError):
    """An outside party failed; ``party`` names it, ``reason`` what happened."""

    def __init__(self, party: str, reason: str) -> None:
        super().__init__(f"{party}: {reason}")
        self.party = party
        self.reason = reason
