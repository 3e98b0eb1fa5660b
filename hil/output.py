"""Output folders: a command clears only what an earlier run of it has left, and never anything else."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from hil.errors import RigError


def own(out: Path, command: str, leftovers: Iterable[str]) -> None:
    """Makes the folder this command's own and removes the leftovers of an earlier run of it from it.

    RigError for a folder that holds anything and was not made by the command, or that cannot be written.
    """
    mine = out / f".lightnode-{command}"
    try:
        if out.is_dir() and any(out.iterdir()) and not mine.exists():
            raise RigError(f"{out} holds other things than an earlier {command}: name another folder with --out")
        out.mkdir(parents=True, exist_ok=True)
        mine.touch()
        for name in leftovers:
            path = out / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise RigError(f"{out} cannot be written ({error.strerror}): name another folder with --out") from error
