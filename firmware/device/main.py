"""What a device starts: the application of the directory that the chooser picks.

On a board without arguments: root /app, settings /config.json. On the unix port: `micropython main.py ROOT CONFIG run`; the
exit code is the application's, 4 means that it is to be started again, and 1 that it failed.

1. A board starts again when the application has ended. After a failure it waits first, and says meanwhile on the console
   what is damaged and how to mend it; Ctrl-C then gives MicroPython's prompt, and nothing but this file has run.
2. With no whole application it waits long: starting again mends a flash that was misread, nothing else.
"""

import sys
import time

from lightboot import chooser

_SAY_EVERY_S = 10
_FAILED_S = 20
_NOTHING_WHOLE_S = 600
_CURE = "boot: no application is whole; put a release back with lightnode-flash write (firmware/README.md, Recovery)"


def main(root: str, arguments: list[str], said: list[str]) -> int:
    """Exit code of the application, 1 with its reason if it cannot be started or fails. said: takes what was damaged."""

    def say(line: str) -> None:
        said.append(line)
        print(line)

    folder = chooser.choose(root, say)
    if folder:
        sys.path.insert(0, folder)
    try:
        from lightnode import app

        return app.main(arguments)  # type: ignore[no-any-return]
    except Exception as error:  # the outermost loop: a release on trial may fail in any way
        said.append("boot: the application of {} failed: {}".format(folder or "the firmware", repr(error)))
        if not folder:
            said.append(_CURE)
        print("\n".join(said[-1 if folder else -2 :]), file=sys.stderr)
        return 1


def wait(said: list[str]) -> None:
    """Rules 1 and 2."""
    left_s = _NOTHING_WHOLE_S if _CURE in said else _FAILED_S
    while left_s > 0:
        time.sleep(_SAY_EVERY_S)
        left_s -= _SAY_EVERY_S
        print("\n".join(said + [f"boot: Ctrl-C for the prompt, else it starts again in {left_s} s"]))


if __name__ == "__main__":
    words = sys.argv[1:] or ["/app", "/config.json", "run"]
    damage: list[str] = []
    code = main(words[0], words[1:], damage)
    try:
        from machine import reset
    except ImportError:
        sys.exit(code)
    if code == 1:
        wait(damage)
    reset()
