"""What `lightnode cast` does: the files that the simulated actors of the example day start with."""

import argparse
import json
from collections.abc import Callable

from backend.actor_commands.said import Said
from backend.demo.actors import actor_files
from backend.demo.day import load_day
from backend.errors import Rejected


def cast(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """Writes each actor's files; refuses a folder that has some."""
    if options.folder.exists() and any(options.folder.iterdir()):
        raise Rejected(f"{options.folder}: not empty, expected a new folder")
    made = actor_files(load_day(), options.day)
    for name, text in made.items():
        path = options.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Said(json.dumps({"files": sorted(made)}), "\n".join(sorted(made)))
