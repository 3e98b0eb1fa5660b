"""FORMAT.md says what is written and what is checked: its tables are compared with both."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from backend.evidence.verifier import (
    batch,
    bundle,
    consistency,
    metered,
    order,
    outcome,
    placement,
    run,
    single,
    state,
    terms,
    totals,
)
from tests.backend.evidence.made import Made

TEXT = (Path(bundle.__file__).parents[1] / "FORMAT.md").read_text()


def table(title: str) -> list[str]:
    """The first column of the table below a heading."""
    section = re.split(rf"^##+ {title}$", TEXT, flags=re.MULTILINE)[1]
    section = re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0]
    return [m[1] for m in re.finditer(r"^\| (\w+) \|", section, re.MULTILINE)][1:]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An object of each table, as the back end writes it."""
    document = Made(tmp_path_factory.mktemp("format"), every=75).bundle()
    orders, statement, became, total = (json.loads(row["body"]) for row in document["documents"])
    (session,) = became["sessions"]
    return {
        "Bundle": document,
        "Key row": document["keys"][0],
        "Placement row": document["placements"][0],
        "Placement": json.loads(document["placements"][0]["body"]),
        "Batch row": document["batches"][0],
        "Outcome document": became,
        "Session row": session,
        "Offer row": session["offers"][0],
        "Award row": session["awards"][0],
        "Totals": total,
        "Set-point row": document["setpoints"][0],
        "Document row": document["documents"][0],
        "Orders document": orders,
        "Order row": orders["orders"][0],
        "Terms": orders["terms"],
        "Penalty table": orders["terms"]["tables"][0],
        "Penalty step": orders["terms"]["tables"][0]["steps"][0],
        "Statement": statement,
        "Answer row": statement["setpoints"][0],
        "Line": statement["lines"][0],
    }


TITLES = (
    "Bundle", "Key row", "Batch row", "Set-point row", "Document row", "Orders document", "Order row", "Terms",
    "Penalty table", "Penalty step",
    "Statement", "Answer row", "Line", "Placement row", "Placement", "Outcome document", "Session row", "Offer row",
    "Award row", "Totals",
)  # fmt: skip


@pytest.mark.parametrize("title", TITLES)
def test_a_table_has_the_fields_that_are_written(title: str, written: dict[str, Any]) -> None:
    assert sorted(table(title)) == sorted(written[title])


def test_tables_have_the_fields_that_are_checked() -> None:
    assert table("Bundle") == list(bundle.FIELDS)
    assert table("Document row") == list(bundle.DOCUMENT_FIELDS)
    assert table("Batch row") == list(batch.FIELDS)
    assert table("Run") == list(run.FIELDS)
    assert table("Session row") == list(outcome.SESSION_FIELDS)
    assert table("Offer row") == list(outcome.OFFER_FIELDS)
    assert table("Award row") == list(outcome.AWARD_FIELDS)
    assert table("Totals") == list(totals.FIELDS)
    assert table("Placement") == list(placement.FIELDS)
    assert table("Receipt file") == list(single.FIELDS)
    assert table("Consistency file") == list(consistency.FIELDS)
    assert table("Checkpoint row") == list(consistency.POINT_FIELDS)
    assert table("State proof") == list(state.FIELDS)
    assert table("Order row") == list(order._FIELDS)
    assert table("Terms") == list(terms.FIELDS)
    assert table("Penalty table") == list(terms.TABLE_FIELDS)
    assert table("Penalty step") == list(terms.STEP_FIELDS)


@pytest.mark.parametrize(
    "name",
    [
        "sheet",
        "cbor",
        "bundle",
        "registry",
        "batch",
        "setpoint",
        "order",
        "settlement",
        "single",
        "consistency",
        "receipt",
        "state",
        "run",
        "metered",
        "document",
        "outcome",
        "terms",
        "totals",
        "placement",
        "trie",
        "anchors",
    ],
)
def test_the_rules_are_those_of_the_modules(name: str) -> None:
    module = importlib.import_module(f"backend.evidence.verifier.{name}")
    row = re.search(rf"^\| {name} \| (.*) \|$", TEXT.split("## Rules")[1], re.MULTILINE)
    assert row is not None
    said = re.findall(r"(?:^|; )(\d) ", row[1])
    assert said == re.findall(r"^(\d)\. ", module.__doc__ or "", re.MULTILINE)


def test_the_units_are_those_of_the_code() -> None:
    assert order.FRAME_MS == 900_000 and run.SLOT_MS * metered.SLOTS == order.FRAME_MS == metered.FRAME_MS
