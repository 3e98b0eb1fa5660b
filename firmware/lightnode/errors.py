"""What can go wrong at the edges of a light node."""


class NodeError(Exception):
    """Base of the light node's own errors; the message is one line for the installer."""


class SettingsError(NodeError):
    """A setting with a wrong key or value; the message names key, value and limit."""


class MeterError(NodeError):
    """The meter did not answer, or its answer is not one: never a value."""


class Refused(MeterError):
    """The meter answered a request with an exception; `code` as in the Modbus standard."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the meter refused with exception {code}")
        self.code = code


class JournalError(NodeError):
    """The journal's device cannot hold what must be kept."""
