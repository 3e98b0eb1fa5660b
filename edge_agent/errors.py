"""What can go wrong at the edge agent's borders."""


class AgentError(Exception):
    """The agent cannot go on; the message is one line for the user."""


class SettingsError(AgentError):
    """A setting that is missing or wrong: key, value, what belongs there, file."""


class Unreachable(AgentError):
    """An outside party does not answer; `party` says which."""

    party = "outside party"


class EmsUnreachable(Unreachable):
    """The energy manager does not answer; tried again at the next tick."""

    party = "energy manager"


class ConductorUnreachable(Unreachable):
    """There is no conductor at the address."""

    party = "conductor"


class EmsRefused(AgentError):
    """The energy manager answers, but not to what we need or not as told."""
