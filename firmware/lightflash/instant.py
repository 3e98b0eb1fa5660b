"""Instants on the command line: a day or a second in UTC, never this computer's own time zone."""

import argparse
from datetime import UTC, datetime


def utc_ms(text: str) -> int:
    """UTC ms of `2027-01-31` (its beginning) or `2027-01-31T12:00:00Z`, for argparse's `type`."""
    form = "%Y-%m-%dT%H:%M:%SZ" if "T" in text else "%Y-%m-%d"
    try:
        found = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text}: a day like 2027-01-31 or an instant like 2027-01-31T12:00:00Z"
        ) from None
    return int(found.timestamp()) * 1000


def day(instant_ms: int) -> str:
    """The instant in words, `2027-01-31 12:00:00 UTC`."""
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
