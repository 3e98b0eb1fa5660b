"""What `lightnode market bundle` and `recompute` do: a session as one file, and that file done again, on any machine."""

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from backend.adapters.bounded import read_text
from backend.errors import Rejected
from backend.flows.recompute import bundled, recomputed
from backend.market.session_bundle import bundle_of, bundle_text
from backend.ports import SessionStore

_MATTER = ("lightnode", "numpy", "highspy", "power-grid-model")
Said = tuple[dict[str, Any], str]


def versions() -> dict[str, str]:
    """Of what decides here: the interpreter, our program, the libraries that count."""
    found = {"python": platform.python_version()}
    for name in _MATTER:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def bundle(options: argparse.Namespace, store: SessionStore) -> Said:
    """Writes the bundle of a session; Rejected if it was never announced."""
    events = store.events(options.session)
    if not events:
        raise Rejected(f"session {options.session}: was never announced")
    written = bundle_text(bundled(events, options.session, versions()))
    options.out.write_text(written)
    facts = {"session": options.session, "events": len(events), "bytes": len(written)}
    return facts, f"{options.out}: {len(events)} events of {options.session}, {len(written)} bytes"


def recompute(options: argparse.Namespace) -> Said:
    """Does a bundle again; Rejected with the first difference."""
    one = bundle_of(read_text(options.file))
    made, here = recomputed(one), versions()
    others = {name: [one.versions.get(name), here[name]] for name in here if one.versions.get(name) != here[name]}
    words = [f"{one.session}: the same to the byte: " + ", ".join(f"{count} {what}" for what, count in made.items())]
    words += [f"{name}: made with {was}, recomputed with {now}" for name, (was, now) in others.items()]
    return {"session": one.session, "recomputed": made, "other_versions": others}, "\n".join(words)
