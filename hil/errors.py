"""What can go wrong with the rig, by what its user can do about it."""


class RigError(RuntimeError):
    """Something failed; the message is one line that names what."""


class PartMissing(RigError):
    """An outside party or a part of the system is not there; the message names the cure."""
