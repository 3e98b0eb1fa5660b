"""What the commands of `lightnode brp` do: profiles (I-03) into a market session until they freeze, and what stands of them."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from backend.actor_commands.said import Said
from backend.adapters.bounded import read_text
from backend.adapters.market_store import MarketStore
from backend.adapters.sqlite import SqliteStore
from backend.errors import Unavailable
from backend.flows.profiles import Profiles
from backend.market import form
from backend.market.exchange import resources_of
from backend.market.profile import baselines_text, profiles_of, profiles_of_csv


@dataclass(frozen=True, slots=True)
class _Clock:
    now_ms: Callable[[], int]


@contextmanager
def _profiles(options: argparse.Namespace, now_ms: Callable[[], int]) -> Iterator[Profiles]:
    """Those of the market's folder."""
    path = options.folder / "scd.sqlite"
    if not path.exists():
        raise Unavailable("folder", f"{options.folder} has no scd.sqlite: `lightnode market announce` makes one")
    given = [read_text(one) for one in getattr(options, "resources", [])]
    store = SqliteStore(path)
    try:
        store.keep_notes_as_before()
        yield Profiles(MarketStore(store), _Clock(now_ms), resources_of(*given) if given else None)
    finally:
        store.close()


def baseline(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """Hands profiles in; every POD is answered."""
    form.identity(options.brp, "--brp")
    text = read_text(options.file)
    profiles, wrong = profiles_of_csv(text) if options.file.suffix.lower() == ".csv" else profiles_of(text)
    with _profiles(options, now_ms) as kept:
        answers = kept.submit(options.session, options.brp, profiles, wrong)
    return Said(json.dumps({"answers": answers}), "\n".join(f"{pod}: {answer}" for pod, answer in answers))


def standing(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """The baselines that stand, as offers and settlement read them."""
    with _profiles(options, now_ms) as kept:
        made = kept.baselines(options.session)
    note = () if made.frozen else (f"not frozen yet, they are at {made.frozen_ms} ms",)
    lines = [
        f"{one.pod}: {one.brp}, version {one.version}, {sum(one.frame_w.values()) // 4} Wh" for one in made.standing
    ]
    return Said(baselines_text(made), "\n".join(lines) or "no baseline stands", notes=note)


COMMANDS = {"baseline": baseline, "standing": standing}
