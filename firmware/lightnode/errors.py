"""What can go wrong at the edges of a light node."""


class NodeError(Exception):
    """Base of the light node's own errors; the message is one line for the installer."""


class SettingsError(NodeError):
    """A setting with a wrong key or value; the message names key, value and limit."""


class MeterError(NodeError):
    """The meter did not answer, or its answer is not one: never a value."""


class JournalError(NodeError):
    """The journal's device cannot hold what must be kept."""


class RestartNeeded(Exception):
    """The device is to be started again: an update is ready, or is rolled back."""
