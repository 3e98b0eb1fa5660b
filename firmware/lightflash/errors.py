"""What can go wrong between the sources and a device in service; each error is one line with its cause and its cure.

1. The line names, as far as they are known, the port, the device and the step, then the cause, then the cure.
2. A class of its own only where the exit code differs: 1 refused, 3 an outside party is missing, 4 not yet.
"""


class FlashError(RuntimeError):
    """Refused: nothing was changed by the step, or the step can be repeated. The facts are kept as attributes."""

    exit_code = 1

    def __init__(self, step: str, cause: str, cure: str = "", *, port: str = "", device: str = "") -> None:
        self.step = step
        self.cause = cause
        self.cure = cure
        self.port = port
        self.device = device
        super().__init__(self._line())

    def at(self, port: str = "", device: str = "") -> "FlashError":
        """The same error where the port and the device are known."""
        return type(self)(self.step, self.cause, self.cure, port=port or self.port, device=device or self.device)

    def _line(self) -> str:
        where = ", ".join(word for word in (self.port, self.device, self.step) if word)
        line = f"{where}: {self.cause}" + (f"; {self.cure}" if self.cure else "")
        return " ".join(line.split())


class PartMissing(FlashError):
    """An outside party is not there: a port, a drive, a program, the back end."""

    exit_code = 3


class Pending(FlashError):
    """Not yet: the same command later, or the other one that it names."""

    exit_code = 4
