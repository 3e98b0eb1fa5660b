"""Writes winter.csv.gz, the published profiles of seven weeks, from SimBench; run by hand, never by a test.

It needs the environment of make_day.py beside it.
"""

# mypy: ignore-errors
import gzip
from datetime import date, timedelta

import make_day
import numpy as np

PUBLISHED_FIRST = date(2015, 12, 21)
DAYS = 49
YEAR = timedelta(days=364)


def published_profiles(net):
    """Column name to the relative values of the published year (2016, winter time)."""
    table = make_day.simbench_profiles()
    columns = {}
    for name in sorted(net.load.profile.unique()):
        columns[f"load/{name}/p"] = table["load"][f"{name}_pload"]
        columns[f"load/{name}/q"] = table["load"][f"{name}_qload"]
    for name in sorted(net.sgen.profile.unique()):
        source = "renewables" if name in table["renewables"] else "powerplants"
        columns[f"generator/{name}/p"] = table[source][name]
    return {name: values.to_numpy(float).reshape(-1, 96) for name, values in columns.items()}


def rows_of_year():
    """The published day of each day: what lies before the year is the same weekday at its end."""
    for k in range(DAYS):
        day = PUBLISHED_FIRST + timedelta(days=k)
        yield ((day if day.year == 2016 else day + YEAR) - date(2016, 1, 1)).days


def main():
    rows = list(rows_of_year())
    lines = []
    for name, year in published_profiles(make_day.joined()).items():
        values = np.round(year[rows].reshape(-1) * 10_000).astype(int)
        lines.append(f"{name}," + ",".join(map(str, np.diff(values, prepend=0))) + "\n")
    text = "".join(lines).encode()
    (make_day.DEMO / "winter.csv.gz").write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    main()
