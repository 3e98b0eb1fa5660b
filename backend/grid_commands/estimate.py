"""What `lightnode grid estimate` does: what was measured in, the state of the grid out."""

import argparse
import sys
from contextlib import closing

from backend.adapters.field_store import FieldStore
from backend.adapters.history import instant_ms, read_history
from backend.adapters.measured import from_field, from_quarters, from_readings, old_quarters, pods_of
from backend.adapters.sqlite import SqliteStore
from backend.adapters.state_estimation import PowerGridEstimator
from backend.errors import Rejected, Unavailable
from backend.grid.document import parse_network
from backend.grid.estimate import Estimate, Method, estimate, estimate_document
from backend.grid.measured_document import parse_measurements
from backend.grid.measurement import Measurement
from backend.grid.network import Network

_METHODS = {"newton": Method.NEWTON, "linear": Method.LINEAR}
_SHOWN = 10


def run(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """(document, text) of an estimate."""
    network = parse_network(options.network.read_text())
    measured, opened, notes = _measured(options, network)
    for said in notes:
        print(f"lightnode: {said}", file=sys.stderr)
    if not measured:
        raise Rejected("estimate: nothing was measured; give --measurements, --db or --quarters")
    made = estimate(PowerGridEstimator(network), measured, opened, _METHODS[options.method])
    return estimate_document(network, made), _text(network, made)


def _measured(options: argparse.Namespace, network: Network) -> tuple[list[Measurement], list[str], list[str]]:
    """(measurements, opened branches, what is to be said of them)."""
    found: list[Measurement] = []
    opened: list[str] = []
    notes: list[str] = []
    if options.measurements is not None:
        said, out = parse_measurements(options.measurements.read_text())
        found += said
        opened += out
    if (options.db is not None or options.quarters is not None) and options.at is None:
        raise Rejected("--db and --quarters need --at, the moment to estimate")
    at_ms = 0 if options.at is None else instant_ms(options.at, "--at")
    if options.db is not None:
        if not options.db.exists():
            raise Unavailable("database", f"{options.db}: no such file")
        with closing(SqliteStore(options.db)) as store:
            found += from_readings(options.db, pods_of(store), network, at_ms)
            said, out, notes = from_field(FieldStore(store), network, at_ms)
        found += said
        opened += out
    if options.quarters is not None:
        history = read_history(options.quarters)
        found += from_quarters(history, at_ms)
        notes += filter(None, [old_quarters(history, at_ms)])
    return found, opened, notes


def _text(network: Network, made: Estimate) -> str:
    solved = made.solved
    assert solved.method is not None
    lines = [f"{network.name}: {solved.method.value}, {len(made.residuals)} measurements"]
    lines += [f"did not converge: {method} ({reason})" for method, reason in made.tried]
    volts = sorted(
        (int(u), n.name) for u, n, on in zip(solved.voltage_upu, network.nodes, solved.fed, strict=True) if on
    )
    loads = sorted(((int(ppm), e.name) for ppm, e in zip(solved.line_ppm, network.lines, strict=True)), reverse=True)
    lines += [f"lowest voltage {u / 1e6:.4f} at {name}" for u, name in volts[:1]]
    lines += [f"highest voltage {u / 1e6:.4f} at {name}" for u, name in volts[-1:]]
    lines += [f"highest loading {ppm / 10_000:.1f} % of {name}" for ppm, name in loads[:1]]
    lines += [
        f"BAD DATA {b.sensor} ({b.origin}, {b.quantity} at {b.place}): {b.value}, the others say {b.expected};"
        f" {b.normalised_milli / 1000:.1f} deviations" + (f" (is it {b.unit}?)" if b.unit else "")
        for b in made.bad
    ]
    lines += [
        f"SUSPECT {s.sensor} ({s.origin}, {s.quantity} at {s.place}): {s.value}, {s.reason};"
        f" {'it counts little' if s.kept else 'left out'}"
        for s in made.suspects
    ]
    for title, names in (
        ("nothing tells the flow of", made.blind.branches), ("measured nowhere", made.blind.injections),
        ("cannot be checked", made.unchecked), ("out of supply", made.dead),
    ):  # fmt: skip
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            lines.append(f"{title}: {', '.join(names[:_SHOWN])}{more}")
    return "\n".join(lines)
