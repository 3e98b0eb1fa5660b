"""Each customer's bundle checked as a stranger would, and again with one byte changed; in processes of their own."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from backend.evidence.verifier.anchors import from_file
from backend.evidence.verifier.bundle import verify
from backend.evidence.verifier.finding import NotValid


def check_bundles(bundles: Sequence[Path], anchors: Path) -> tuple[int, list[str]]:
    """(how many verify and are anchored, why each was refused with one byte changed). Each byte is another place."""
    places = [(path, anchors, 2 * k + 1, 2 * len(bundles)) for k, path in enumerate(bundles)]
    workers = min(4, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(_check, places))
    return sum(anchored for anchored, _ in found), [reason for _, reason in found if reason]


def _check(place: tuple[Path, Path, int, int]) -> tuple[bool, str]:
    path, anchors_file, part, parts = place
    data, anchors = path.read_bytes(), from_file(anchors_file)
    anchored = verify(data, anchors).anchored
    at = len(data) * part // parts
    changed = data[:at] + (b"0" if data[at : at + 1] != b"0" else b"1") + data[at + 1 :]
    try:
        verify(changed, anchors)
    except NotValid as finding:
        return anchored, f"{path.stem}, byte {at}: {finding}"
    return anchored, ""
