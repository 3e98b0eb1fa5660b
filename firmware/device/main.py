"""What a device starts: the application of the directory that the chooser picks.

On a board without arguments: root /app, settings /config.json. On the unix port: `micropython main.py ROOT CONFIG run`; the
exit code is the application's, 4 means that it is to be started again, and 1 that it failed.
"""

import sys

from lightboot import chooser


def main(root: str, arguments: list[str]) -> int:
    """Exit code of the application, 1 with its reason if it cannot be started or fails."""
    folder = chooser.choose(root)
    if folder:
        sys.path.insert(0, folder)
    try:
        from lightnode import app

        return app.main(arguments)  # type: ignore[no-any-return]
    except Exception as error:  # the outermost loop: a release on trial may fail in any way
        print("boot: the application of {} failed: {}".format(folder or "the firmware", repr(error)), file=sys.stderr)
        return 1


if __name__ == "__main__":
    words = sys.argv[1:] or ["/app", "/config.json", "run"]
    code = main(words[0], words[1:])
    try:
        from machine import reset
    except ImportError:
        sys.exit(code)
    reset()
