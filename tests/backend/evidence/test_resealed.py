"""What an operator could do with its own log key: every part changed, cut or relabelled under a seal that holds is refused.

The rows are one table: name, change, the part that must be named, the rule that must be named. A last test leaves out each
check of the verifier and sees that a row is no longer refused.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from lightwire import envelope, records

from backend.evidence.verifier import batch, bundle, document, registry, setpoint, settlement, totals
from backend.evidence.verifier.anchors import Anchors
from backend.evidence.verifier.bundle import verify
from backend.evidence.verifier.finding import NotValid
from hil.demo.results import statement
from tests.backend.evidence.made import (
    DEPLOYMENT,
    FRAME,
    FRAME_MS,
    OTHER,
    PERIOD,
    POD,
    TERMS,
    Made,
    id_of,
    key_of,
    read,
    written,
)

Document = dict[str, Any]
Change = Callable[[Made, Document], None]
MARKET, SETTLEMENT, KEYS = records.TREE_MARKET, records.TREE_SETTLEMENT, records.TREE_KEYS


@dataclass(frozen=True, slots=True)
class Row:
    """`where` and `rule` are the beginning of what the verifier must say."""

    name: str
    change: Change
    where: str
    rule: str


def without(key: str, *indexes: int) -> Change:
    def change(_made: Made, document: Document) -> None:
        document[key] = [row for k, row in enumerate(document[key]) if k not in indexes]

    return change


def put(value: object, *path: str | int) -> Change:
    """Sets a field of the document."""

    def change(_made: Made, document: Document) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def filed(kind: str, edit: Callable[[Any], object]) -> Change:
    """A document as the operator would like it, signed, anchored: only what it says can be wrong."""
    index, tree = {
        "orders": (0, MARKET),
        "statement": (1, SETTLEMENT),
        "outcome": (2, MARKET),
        "totals": (3, SETTLEMENT),
    }[kind]

    def change(made: Made, document: Document) -> None:
        body = json.loads(document["documents"][index]["body"])
        edited = edit(body)
        text = edited if isinstance(edited, str) else written(body)
        about = json.loads(document["documents"][index]["body"])["order"] if kind == "totals" else POD
        document["documents"][index] = made.anchored(kind, tree, text, about)

    return change


def of_session(edit: Callable[[Any], object]) -> Change:
    """The outcome document with another session."""
    return filed("outcome", lambda body: edit(body["sessions"][0]))


def priced_without_totals(made: Made, document: Document) -> None:
    """An order of several PODs said to be this one's alone."""
    filed("orders", lambda body: body["orders"][2].update(group_w=15_000))(made, document)


def placed(**changed: object) -> Change:
    """The placement of a key with other fields, filed and anchored."""

    def change(made: Made, document: Document) -> None:
        body = json.loads(document["placements"][2]["body"])
        name = f"{body['device']}/{body['generation']}"
        row = made.anchored("placement", KEYS, written({**body, **changed}), name)
        document["placements"][2] = {field: row[field] for field in ("body", "evidence", "receipt")}

    return change


def field(name: str, value: object, line: int = 0) -> Change:
    """A field of a line of the statement."""
    return filed("statement", lambda body: body["lines"][line].__setitem__(name, value))


def priced_down(body: Any) -> None:
    """A tenth of the price, with every consequence computed again."""
    for line in body["lines"]:
        for name in ("price_ueur_per_mwh", "payment_ueur", "penalty_ueur", "fee_ueur"):
            line[name] = line[name] // 10


def others_setpoints(made: Made, document: Document) -> None:
    document["setpoints"] = sorted(
        document["setpoints"] + made.bundle(OTHER)["setpoints"],
        key=lambda row: envelope.peek(bytes.fromhex(row["setpoint"])).id,
    )


def others_setpoints_and_keys(made: Made, document: Document) -> None:
    others = made.bundle(OTHER)
    document["keys"] += [row for row in others["keys"] if row["role"] != "issuer"]
    document["setpoints"] = others["setpoints"]


def others_unanswered_setpoint(made: Made, document: Document) -> None:
    row = made.bundle(OTHER)["setpoints"][0]
    document["setpoints"] = [{**row, "decision": "", "execution": ""}, *document["setpoints"]]
    document["setpoints"].sort(key=lambda r: envelope.peek(bytes.fromhex(r["setpoint"])).id)


def another_setpoint(made: Made, document: Document, **changed: object) -> None:
    """One more set-point signed by the issuer, that the device never decided on."""
    row = next(r for r in document["setpoints"] if point_of(r).not_before_ms == (FRAME + 2) * FRAME_MS)
    point = point_of(row)._replace(**changed)
    document["setpoints"].append({"setpoint": sealed_point(point), "decision": "", "execution": ""})
    document["setpoints"].sort(key=lambda r: point_of(r).id)


def point_of(row: Any) -> Any:
    return envelope.peek(bytes.fromhex(row["setpoint"]))


def sealed_point(point: Any) -> str:
    sealed: bytes = envelope.seal(point, DEPLOYMENT, key_of("issuer").sign)
    return sealed.hex()


def added(**changed: object) -> Change:
    return lambda made, document: another_setpoint(made, document, id=b"\xff" * 16, **changed)


def by_a_device(made: Made, document: Document) -> None:
    """A set-point signed with the agent's key in the issuer's place."""
    agent = key_of(f"agent {POD}")
    point = point_of(document["setpoints"][0])._replace(issuer=id_of(agent))
    sealed = envelope.seal(point, DEPLOYMENT, agent.sign)
    document["setpoints"][0] = {"setpoint": sealed.hex(), "decision": "", "execution": ""}


def swapped_roles(_made: Made, document: Document) -> None:
    names = {"node": "agent", "agent": "node"}
    for row in document["keys"]:
        row["role"] = names.get(row["role"], row["role"])


def entry(**changed: object) -> Change:
    """The issuer's registry entry with other fields, signed and anchored."""

    def change(made: Made, document: Document) -> None:
        document["keys"] = [row for row in document["keys"] if row["role"] != "issuer"]
        document["keys"].append(made.entry(**changed))

    return change


def revoked(made: Made, document: Document) -> None:
    document["keys"].append(made.entry(action=records.REVOKE, time_ms=PERIOD[0] - 1))


def unanchored_key(made: Made, document: Document) -> None:
    document["keys"][0]["receipt"] = document["keys"][1]["receipt"]


def only_one_batch(_made: Made, document: Document) -> None:
    document["batches"] = document["batches"][2:3]


def without_the_gap(_made: Made, document: Document) -> None:
    """The batches after the power cut are left out, so that nothing says why slots are missing."""
    document["batches"] = document["batches"][:-3]


def holding_back(made: Made, document: Document) -> None:
    """A bundle of the first quarter-hour alone, with the statement of all three."""
    document["end_ms"] = PERIOD[0] + FRAME_MS


def short_of_orders(body: Any) -> None:
    del body["orders"][1]


def both_ways(body: Any) -> None:
    body["orders"][1]["direction"] = "down"


def executions_swapped(_made: Made, document: Document) -> None:
    rows = document["setpoints"]
    rows[0]["execution"], rows[1]["execution"] = rows[1]["execution"], rows[0]["execution"]


def decision_of_another_batch(made: Made, document: Document) -> None:
    """A second decision of the device, that is in no batch: it was never anchored."""
    device = made.devices[POD]
    old = envelope.peek(bytes.fromhex(document["setpoints"][0]["decision"]))
    again = envelope.seal(old._replace(seq=9_000), DEPLOYMENT, device.key.sign)
    document["setpoints"][0]["decision"] = again.hex()


def execution_of_another_device(made: Made, document: Document) -> None:
    old = envelope.peek(bytes.fromhex(document["setpoints"][0]["execution"]))
    again = envelope.seal(old._replace(device=made.devices[OTHER].id), DEPLOYMENT, made.agents[POD].sign)
    document["setpoints"][0]["execution"] = again.hex()


def record_signed_again(made: Made, document: Document) -> None:
    """Not even the device can change what its statement covers."""
    old = envelope.peek(bytes.fromhex(document["batches"][1]["records"][0]))
    again = envelope.seal(old._replace(power_w=1), DEPLOYMENT, made.devices[POD].key.sign)
    document["batches"][1]["records"][0] = again.hex()


def of_another_subject(made: Made, document: Document) -> None:
    body = document["documents"][0]["body"]
    document["documents"][0] = made.anchored("orders", MARKET, body, OTHER)


def in_another_tree(made: Made, document: Document) -> None:
    document["documents"][0] = made.anchored("orders", SETTLEMENT, document["documents"][0]["body"])


def another_body(_made: Made, document: Document) -> None:
    document["documents"][1]["body"] = document["documents"][1]["body"].replace('"held":false', '"held":true')


def receipts_swapped(_made: Made, document: Document) -> None:
    first, second, *_ = document["documents"]
    first["receipt"], second["receipt"] = second["receipt"], first["receipt"]


FEWER = "fields differ: "
TABLE = [
    Row("no set-points", put([], "setpoints"), "setpoints", "the device accepted set-point"),
    Row("one set-point left out", without("setpoints", 1), "setpoints", "the device accepted set-point"),
    Row("another customer's set-points beside", others_setpoints, "setpoints[", "is for another device"),
    Row("another customer's, unanswered", others_unanswered_setpoint, "setpoints[", "is for another device"),
    Row("another customer's set-points and keys", others_setpoints_and_keys, "keys", "name 2 light nodes"),
    Row("set-points three times", lambda _m, d: d.update(setpoints=d["setpoints"] * 3),
        "setpoints[3]", "is there twice"),
    Row("a set-point twice in a row", lambda _m, d: d["setpoints"].insert(0, d["setpoints"][0]),
        "setpoints[1]", "is there twice"),
    Row("statement twice", lambda _m, d: d["documents"].append(d["documents"][1]), "documents", "are 5, 3 and the totals of 1"),
    Row("statement removed", without("documents", 1), "documents[1], kind", "is not statement"),
    Row("orders removed", without("documents", 0), "documents[0], kind", "is not orders"),
    Row("only the orders", lambda _m, d: d.update(documents=d["documents"][:1]), "documents", "are 1, the orders"),
    Row("outcomes removed", without("documents", 2), "documents[2], kind", "is not outcome"),
    Row("totals removed", without("documents", 3), "documents", "are 3, 3 and the totals of 1"),
    Row("totals twice", lambda _m, d: d["documents"].append(d["documents"][3]), "documents", "are 5, 3 and the"),
    Row("totals of nobody else", priced_without_totals, "documents", "are 4, 3 and the totals of 0"),
    Row("totals of more energy", filed("totals", lambda b: b.update(delivered_ws=b["delivered_ws"] + 1)),
        "documents[3], body, paid_ws", "is "),
    Row("totals of more money", filed("totals", lambda b: b.update(payment_ueur=b["payment_ueur"] + 1)),
        "documents[3], body, payment_ueur", "is "),
    Row("totals held", filed("totals", lambda b: b.update(held=True, code="held-no-baseline")),
        "documents[3], body, delivered_ws", "is "),
    Row("totals held for no reason", filed("totals", lambda b: b.update(held=True)), "documents[3], body, code", "is none"),
    Row("totals held as 1", filed("totals", lambda b: b.update(held=1)), "documents[3], body, held", "is neither"),
    Row("totals of one", filed("totals", lambda b: b.update(members=1)), "documents[3], body, members", "1 is outside"),
    Row("totals with a POD in them", filed("totals", lambda b: b.update(pod=OTHER)), "documents[3], body", FEWER + "pod"),
    Row("totals of another order", filed("totals", lambda b: b.update(order="x")), "documents[3], body, order", "is 'x'"),
    Row("another place in a shared order", filed("orders", lambda b: b["orders"][2].update(before_w=15_001)),
        "documents[1], body, lines[2], p", "is "),
    Row("a place beyond a shared order", filed("orders", lambda b: b["orders"][2].update(before_w=15_002)),
        "documents[0], body, orders[2], before_w", "15002 is outside"),
    Row("a shared order smaller than its part", filed("orders", lambda b: b["orders"][2].update(group_w=14_999)),
        "documents[0], body, orders[2], group_w", "14999 is outside"),
    Row("outcomes of another POD", filed("outcome", lambda b: b.update(pod=OTHER)),
        "documents[2], body", "is not the outcome"),
    Row("no outcomes", filed("outcome", lambda b: b.update(sessions=[])), "documents[2], body", "order "),
    Row("a session twice", filed("outcome", lambda b: b["sessions"].append(b["sessions"][0])),
        "documents[2], body, sessions[1]", "is there twice"),
    Row("offers out of order", of_session(lambda s: s["offers"].reverse()),
        "documents[2], body, sessions[0], offers[1]", "is there twice"),
    Row("an award twice", of_session(lambda s: s["awards"].insert(0, s["awards"][0])),
        "documents[2], body, sessions[0], awards[1]", "is there twice"),
    Row("an award of no offer", of_session(lambda s: s["awards"][0].update(offer="A-0")),
        "documents[2], body, sessions[0], awards[0], offer", "is none of this"),
    Row("more awarded than accepted", of_session(lambda s: s["awards"][0].update(volume_w=10_001)),
        "documents[2], body, sessions[0], offers[0]", "its awards add up to 10001"),
    Row("an accepted offer rejected", of_session(lambda s: s["offers"][0].update(fate="rejected")),
        "documents[2], body, sessions[0], offers[0]", "its awards add up"),
    Row("a fate of no kind", of_session(lambda s: s["offers"][0].update(fate="lost")),
        "documents[2], body, sessions[0], offers[0], fate", "is none of"),
    Row("another price in the outcomes", of_session(lambda s: s["offers"][0].update(price_ueur_per_mwh=1)),
        "documents[2], body", "order "),
    Row("less of this POD awarded", of_session(lambda s: s["awards"][0].update(watts=9_999)),
        "documents[2], body", "order "),
    Row("an outcome with junk", of_session(lambda s: s["offers"][0].update(junk=1)),
        "documents[2], body, sessions[0], offers[0]", FEWER),
    Row("placements removed", put([], "placements"), "placements", "are 0, 3 keys"),
    Row("a placement more", lambda _m, d: d["placements"].append(d["placements"][0]), "placements", "are 4, 3 keys"),
    Row("placements exchanged", lambda _m, d: d["placements"].reverse(), "placements[0]", "is about another subject"),
    Row("at another POD", placed(pod=OTHER), "placements[2], body, pod", f"is '{OTHER}'"),
    Row("in another role", placed(role="agent"), "placements[2], body, role", "is 'agent'"),
    Row("a short salt", placed(salt="00"), "placements[2], body, salt", "is not lower case"),
    Row("a placement with junk", placed(junk=1), "placements[2], body", FEWER),
    Row("statement in place of the orders", lambda _m, d: d["documents"].reverse(),
        "documents[0], kind", "is not orders"),
    Row("one batch left", only_one_batch, "batches", "neither statements nor signed gaps cover"),
    Row("no batch left", put([], "batches"), "batches", "neither statements nor signed gaps cover"),
    Row("last batches left out", without_the_gap, "batches", "neither statements nor signed gaps cover"),
    Row("a batch left out", without("batches", 2), "batches[2]", "does not follow the statement before it"),
    Row("the batch of a decision left out", without("batches", 0), "setpoints[", "is in none of the batches"),
    Row("batches twice", lambda _m, d: d.update(batches=d["batches"] * 2), "batches[7]", "does not follow"),
    Row("period from the beginning of time", put(0, "start_ms"),
        "batches", "neither statements nor signed gaps cover"),
    Row("period to the end of time", put(2**60 // FRAME_MS * FRAME_MS, "end_ms"), "batches", "neither statements"),
    Row("period of no quarter-hours", put(2**60, "end_ms"), "end_ms", "the period is not"),
    Row("period that ends early", holding_back, "batches[", "begins behind the period"),
    Row("period that begins late", put(PERIOD[0] + FRAME_MS, "start_ms"), "documents[1], body, start_ms", "is "),
    Row("decisions blanked", put("", "setpoints", 0, "decision"), "setpoints[0], decision", "is missing"),
    Row("executions blanked", put("", "setpoints", 0, "execution"),
        "documents[1], body, setpoints[0], execution", "is "),
    Row("executions swapped", executions_swapped, "setpoints[0], execution", "is about another set-point"),
    Row("execution of another device", execution_of_another_device, "setpoints[0], execution", "is another device's"),
    Row("a record signed again", record_signed_again, "batches[1]", "the records do not give the statement's root"),
    Row("decision of no batch", decision_of_another_batch, "setpoints[0], decision", "is in none of the batches"),
    Row("junk at the top", put(1, "junk"), "file", FEWER + "junk"),
    Row("junk in a key", put(1, "keys", 0, "junk"), "keys[0]", FEWER + "junk"),
    Row("junk in a batch", put(1, "batches", 1, "junk"), "batches[1]", FEWER + "junk"),
    Row("junk in a set-point", put(1, "setpoints", 0, "junk"), "setpoints[0]", FEWER + "junk"),
    Row("junk in a document", put(1, "documents", 0, "junk"), "documents[0]", FEWER + "junk"),
    Row("node and agent relabelled", swapped_roles, "batches[0], statement", "is signed with the key of a agent"),
    Row("agent relabelled as issuer", put("issuer", "keys", 0, "role"),
        "keys[0], role", "is issuer with an enrolment"),
    Row("issuer relabelled as agent", put("agent", "keys", 1, "role"),
        "keys[1], role", "is issuer with an enrolment"),
    Row("role of no kind", put("root", "keys", 0, "role"), "keys[0], role", "is none of"),
    Row("set-point by a device", by_a_device, "setpoints[0]", "is signed with the key of a agent"),
    Row("set-point by a key that is not here", without("keys", 1), "setpoints[0]", "its key is not registered"),
    Row("a key twice", lambda _m, d: d["keys"].append(d["keys"][0]), "keys[3]", "brings a key a second time"),
    Row("a key not yet valid", entry(valid_from_ms=PERIOD[1]), "setpoints[", "its key is valid from"),
    Row("a key no longer valid", entry(valid_to_ms=PERIOD[0] - 1), "setpoints[", "its key is valid from"),
    Row("a key revoked before", revoked, "setpoints[", "its key is valid from"),
    Row("a rotation from nothing", entry(action=records.ROTATE, generation=2), "keys[2]", "approves a later key"),
    Row("another id for a key", entry(device=b"other id"), "keys[2]", "the id is not that of its first key"),
    Row("an entry of another operator", entry(operator=b"operator"), "keys[2], entry", "is another operator's"),
    Row("a key whose receipt is another's", unanchored_key, "keys[0], receipt", "does not lead from this record"),
    Row("a document changed", another_body, "documents[1]", "the document is not the one whose digest was signed"),
    Row("a document of another POD", of_another_subject, "documents[0]", "is about another subject"),
    Row("a document of another tree", in_another_tree,
        "documents[0]", "is about another subject, or of another tree"),
    Row("a document with another receipt", receipts_swapped,
        "documents[0], receipt", "has the checkpoint of another"),
    Row("a set-point more, half an hour", added(not_after_ms=(FRAME + 4) * FRAME_MS),
        "setpoints[", "its window is not one"),
    Row("a set-point more, a limit", added(control=records.MAX_WITHDRAWAL),
        "setpoints[", "is no target of the POD's"),
    Row("a set-point more, a resource", added(resource=1), "setpoints[", "is no target of the POD's"),
    Row("a set-point more, of one frame", added(), "setpoints[", "is a second one for quarter-hour"),
    Row("a set-point of other orders", filed("orders", short_of_orders), "setpoints[", "names other orders"),
    Row("no order for a set-point", filed("orders", lambda b: b["orders"].pop()),
        "setpoints[", "no order of this POD"),
    Row("orders up and down", filed("orders", both_ways), f"orders, quarter-hour {FRAME}", "go up and down at once"),
    Row("orders twice", filed("orders", lambda b: b["orders"].insert(0, b["orders"][0])),
        "documents[0], body, orders[1]", "is there twice"),
    Row("orders of another POD", filed("orders", lambda b: b.update(pod=OTHER)),
        "documents[0], body", "is not the orders"),
    Row("an order with junk", filed("orders", lambda b: b["orders"][0].update(junk=1)),
        "documents[0], body, orders[0]", FEWER),
    Row("an order of text", filed("orders", lambda b: b["orders"][0].update(watts="1")),
        "documents[0], body, orders[0], watts", "'1' is not a whole"),
    Row("an order of true", filed("orders", lambda b: b["orders"][0].update(watts=True)),
        "documents[0], body, orders[0], watts", "True is not a whole"),
    Row("a lower price in the orders alone", filed("orders", lambda b: b["orders"][0].update(price_ueur_per_mwh=1)),
        "documents[1], body, lines[", "is 100000000, the evidence gives 1"),
    Row("more watts in the orders alone", filed("orders", lambda b: b["orders"][0].update(watts=11_000, group_w=11_000)),
        "documents[1], body, baseline_w", "is 50000, the evidence gives 51000"),
    Row("other terms in the orders alone", filed("orders", lambda b: b["terms"]["tables"][0]["steps"][0].update(part_ppm=0)),
        "documents[3], body, penalty_ueur", "is "),
    Row("another fee in the orders alone", filed("orders", lambda b: b["terms"]["fee_ppm"].update({"Aggregator B": 1})),
        "documents[1], body, terms, fee_ppm, Aggregator B", "is 120000"),
    Row("a tenth of the price", filed("statement", priced_down),
        "documents[1], body, lines[0], price_ueur_per_mwh", "is 10000000"),
    Row("no lines", filed("statement", lambda b: b.update(lines=[])),
        "documents[1], body, lines", "has 0 entries, the evidence gives 4"),
    Row("a line twice", filed("statement", lambda b: b["lines"].append(b["lines"][0])),
        "documents[1], body, lines", "has 5 entries"),
    Row("lines of another POD", field("pod", OTHER), "documents[1], body, lines[0], pod", "is 'IT"),
    Row("frame as text", field("frame", str(FRAME)),
        "documents[1], body, lines[0], frame", "is '1996000', the evidence gives 1996000"),
    Row("held as 0", field("held", 0), "documents[1], body, lines[0], held", "is 0, the evidence gives False"),
    Row("an order that nobody placed", field("order", "x"), "documents[1], body, lines[0], order", "is 'x'"),
    Row("less ordered", field("ordered_ws", 1), "documents[1], body, lines[0], ordered_ws", "is 1,"),
    Row("less delivered", field("delivered_ws", 1), "documents[1], body, lines[0], delivered_ws", "is 1,"),
    Row("less paid", field("payment_ueur", 1), "documents[1], body, lines[0], payment_ueur", "is 1,"),
    Row("a penalty", field("penalty_ueur", 1), "documents[1], body, lines[0], penalty_ueur", "is 1,"),
    Row("a greater fee", field("fee_ueur", 1), "documents[1], body, lines[0], fee_ueur", "is 1,"),
    Row("another baseline", filed("statement", lambda b: b["baseline_w"].update({str(FRAME): 40_000})),
        "documents[1], body, baseline_w, ", "is 40000"),
    Row("other terms", filed("statement", lambda b: b["terms"]["tables"][0]["steps"][0].update(from_ppm=0)),
        "documents[1], body, terms, tables[0], steps[0], from_ppm", "is 0"),
    Row("fewer penalty steps", filed("statement", lambda b: b["terms"]["tables"][0]["steps"].pop()),
        "documents[1], body, terms, tables[0], steps", "has 1 entries"),
    Row("another table for the buyer", filed("orders", lambda b: b["terms"]["tables"][1].update(buyer="DSO")),
        "documents[3], body, penalty_ueur", "is "),
    Row("two tables for all", filed("orders", lambda b: b["terms"]["tables"][1].update(buyer="")),
        "documents[0], body, terms, tables[1]", "is a second one"),
    Row("a table for nobody", filed("orders", lambda b: b["terms"]["tables"][1].update(buyer="BRP")),
        "documents[0], body, terms, tables[1]", "is not for DSO or TSO"),
    Row("steps that fall", filed("orders", lambda b: b["terms"]["tables"][0]["steps"].reverse()),
        "documents[0], body, terms, tables[0], steps[1], from_ppm", "does not rise"),
    Row("a table without steps", filed("orders", lambda b: b["terms"]["tables"][0].update(steps=[])),
        "documents[0], body, terms, tables[0], steps", "are 0, not 1 to 20"),
    Row("no table at all", filed("orders", lambda b: b["terms"].update(tables=[])),
        "documents[3], body, penalty_ueur", "is "),
    Row("readings that need not be complete", filed("orders", lambda b: b["terms"].update(completeness_ppm=700_000)),
        "documents[1], body, ", ""),
    Row("a completeness of nothing", filed("orders", lambda b: b["terms"].update(completeness_ppm=0)),
        "documents[0], body, terms, completeness_ppm", "0 is outside"),
    Row("another reason for the money", field("code", "within-tolerance", 2), "documents[1], body, lines[2], code", "is "),
    Row("totals with another reason", filed("totals", lambda b: b.update(code="delivered")),
        "documents[3], body, code", "is 'delivered'"),
    Row("a rebound that changed no baseline", filed("statement", lambda b: b.update(rebound_w={str(FRAME + 2): 1})),
        "documents[1], body, baseline_w", "is 50000, the evidence gives 50001"),
    Row("a rebound of no earlier order", filed("statement", lambda b: b.update(rebound_w={str(FRAME): -1})),
        f"documents[1], body, rebound_w, {FRAME}", "1 is outside 1 to 0"),
    Row("a rebound in favour of the customer", filed("statement", lambda b: b.update(rebound_w={str(FRAME + 2): -1})),
        f"documents[1], body, rebound_w, {FRAME + 2}", "-1 is outside"),
    Row("a rebound where nothing is ordered", filed("statement", lambda b: b.update(rebound_w={str(FRAME + 9): 1})),
        "documents[1], body, rebound_w", "is not W by"),
    Row("no rebound, and said so", filed("statement", lambda b: b.update(rebound_w={})),
        "documents[1], body, rebound_w", "is not W by"),
    Row("a statement with junk", filed("statement", lambda b: b.update(junk=1)), "documents[1], body", FEWER),
    Row("a statement of floats", filed("statement", lambda b: written(b).replace("250000,", "250000.0,", 1)),
        "documents[1], body", "is not JSON: 250000.0 is not"),
    Row("a statement written otherwise", filed("statement", lambda b: json.dumps(b)),
        "documents[1], body", "is not in its one encoding"),
    Row("a statement of depth", filed("statement", lambda _b: "[" * 50_000 + "]" * 50_000),
        "documents[1], body", "is nested too deep"),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"), every=75)


@pytest.fixture(scope="module")
def good(made: Made) -> str:
    return json.dumps(made.bundle())


def resealed(made: Made, good: str, row: Row) -> bytes:
    document = json.loads(good)
    row.change(made, document)
    return made.sealed(document)


def test_the_bundle_that_all_rows_change_is_valid_and_anchored(made: Made, good: str) -> None:
    report = verify(made.sealed(json.loads(good)), made.anchors())
    assert report.anchored and (report.setpoints, report.documents, report.lines) == (3, 4, 4)


def test_with_every_reading_the_quarter_hours_are_measured_by_readings(tmp_path: Any) -> None:
    every = Made(tmp_path)
    document = every.bundle()
    report = verify(every.sealed(document), every.anchors())
    assert report.anchored and report.lines == 4
    lines = json.loads(document["documents"][1]["body"])["lines"]
    sources = [line["source"] for line in lines]
    assert sources == ["4 s readings", "4 s readings", "registers of the quarter-hour", "4 s readings"]
    assert [line["payment_ueur"] for line in lines] == [250_000, 500_000, 187_493, 125_000]
    assert lines[2]["delivered_ws"] == 7_500 * 900
    # of 27,000,900 Ws 13,500,900 are missing: 9,450,315 at half of 100 EUR/MWh, 2,700,540 at the whole; 15,000 of 30,001 W
    assert lines[2]["penalty_ueur"] == (131_254 + 75_015) * 15_000 // 30_001
    assert [line["code"] for line in lines] == ["delivered", "delivered", "short", "delivered"]
    columns = every.sealed(every.bundle(in_full=0))
    assert verify(columns, every.anchors()) == report and len(columns) < len(every.sealed(document)) // 2
    source = random.Random(1)
    for at in (source.randrange(len(columns)) for _ in range(12)):
        changed = columns[:at] + bytes([columns[at] ^ 1 << source.randrange(8)]) + columns[at + 1 :]
        with pytest.raises(NotValid):
            verify(changed, every.anchors())


def test_a_declared_rebound_moves_the_baseline_of_the_order_it_falls_on(made: Made, good: str) -> None:
    """A tenth of what was given in FRAME may come back in FRAME + 2, where 5,000 W down are ordered: 2,000 W are delivered."""
    document = json.loads(good)
    lines = made.settlement(rebound={FRAME: ((2, 100_000),)}).lines
    body = statement(made.store, POD, PERIOD, lines, TERMS)
    document["documents"][1] = made.anchored("statement", SETTLEMENT, body)
    assert json.loads(body)["rebound_w"] == {str(FRAME + 2): 3_000}
    report = verify(made.sealed(document), made.anchors())
    assert report.anchored and report.lines == 4


@pytest.fixture(scope="module")
def changed(made: Made, good: str) -> tuple[dict[str, bytes], Anchors]:
    """The bundle of every row by name, and the anchors that hold all that the operator filed for them."""
    return {row.name: resealed(made, good, row) for row in TABLE}, made.anchors()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_changed_bundle_under_a_seal_that_holds_is_refused(
    changed: tuple[dict[str, bytes], Anchors], row: Row
) -> None:
    with pytest.raises(NotValid) as refused:
        verify(changed[0][row.name], changed[1])
    assert refused.value.where.startswith(row.where), str(refused.value)
    assert refused.value.rule.startswith(row.rule), str(refused.value)


def test_a_customer_sees_nothing_of_another(made: Made, good: str) -> None:
    """Orders and statement name this POD only; nor does any other part hold the other's ids."""
    other = made.devices[OTHER].id.hex()
    assert OTHER not in good and other not in good
    bodies = [json.loads(row["body"]) for row in json.loads(good)["documents"]]
    assert [body.get("pod") for body in bodies] == [POD, POD, POD, None], "totals name no POD"
    offers = [one["id"] for session in bodies[2]["sessions"] for one in session["offers"]]
    assert offers == ["A-1-1", "A-2-1", "A-3-h", "A-4-1", "A-dear"], "of its own offers what was not taken, too"


def test_both_customers_hold_the_same_totals_and_their_parts_add_up_to_them(tmp_path: Any) -> None:
    made = Made(tmp_path, every=75)
    rows = [made.bundle(pod)["documents"] for pod in (POD, OTHER)]
    assert rows[0][3] == rows[1][3], "one document: nobody can be told other totals"
    total = json.loads(rows[0][3]["body"])
    parts = [json.loads(documents[1]["body"])["lines"][2] for documents in rows]
    for name in ("ordered_ws", "delivered_ws", "paid_ws", "payment_ueur", "penalty_ueur", "fee_ueur"):
        assert parts[0][name] + parts[1][name] == total[name], name


def test_an_execution_that_came_after_the_statement_is_taken(made: Made, good: str) -> None:
    document = json.loads(good)
    filed("statement", lambda body: body["setpoints"][0].update(execution=""))(made, document)
    assert verify(made.sealed(document), made.anchors()).anchored


def test_two_customers_have_a_bundle_each(tmp_path: Any) -> None:
    made = Made(tmp_path, every=75)
    for pod in (POD, OTHER):
        report = verify(made.sealed(made.bundle(pod)), made.anchors())
        assert report.pod == pod and report.anchored


def test_what_no_other_check_covers_the_seal_does(made: Made, good: str) -> None:
    """The block number of a receipt is where to look, nothing follows from it."""
    document = read(made.sealed(json.loads(good)))
    receipt = document["keys"][0]["receipt"]
    assert receipt.endswith("07")
    document["keys"][0]["receipt"] = receipt[:-2] + "08"
    with pytest.raises(NotValid, match="seal: covers another body"):
        verify(written(document).encode(), None)


def test_a_seal_is_no_evidence_of_a_document(made: Made, good: str) -> None:
    document = json.loads(good)
    document["seal"] = document["documents"][1]["evidence"]
    with pytest.raises(NotValid, match="seal: is the evidence of a document"):
        verify(written(document).encode(), None)


def test_anchors_decide(made: Made, good: str) -> None:
    data, anchors = made.sealed(json.loads(good)), made.anchors()
    epochs = verify(data, None).epochs
    assert not verify(data, None).anchored
    missing = {epoch: word for epoch, word in anchors.words.items() if epoch != max(epochs)}
    assert not verify(data, replace(anchors, words=missing)).anchored
    with pytest.raises(NotValid, match=f"anchor: epoch {max(epochs)}: the chain holds another commitment"):
        verify(data, replace(anchors, words={**anchors.words, max(epochs): bytes(32)}))
    for changed in ({"chain_id": 1}, {"contract": bytes(20)}, {"log": bytes(32)}):
        with pytest.raises(NotValid, match="anchor: the receipts name another chain, contract or log"):
            verify(data, replace(anchors, **changed))  # type: ignore[arg-type]


NO_OPS: dict[str, tuple[Any, str, Any]] = {
    "order of batches": (batch, "_check_order", None),
    "period": (bundle, "check_period", None),
    "set-points": (bundle, "read_setpoints", []),
    "all accepted set-points": (setpoint, "_check_complete", None),
    "documents": (document.Documents, "read", None),
    "outcomes": (bundle, "check_orders", None),
    "totals": (totals, "compare", None),
    "placements": (bundle, "read_placements", None),
    "statement": (bundle, "check_statement", 0),
    "comparison": (settlement, "compare", None),
    "exact fields": (batch, "record", None),
    "validity": (registry, "_check_validity", None),
    "enrolment": (registry.Registry, "_check_enrolment", None),
    "receipt": (bundle.Receipts, "check", None),
}


@pytest.mark.long
@pytest.mark.parametrize("check", NO_OPS)
def test_no_check_can_be_left_out(
    check: str, made: Made, good: str, changed: tuple[dict[str, bytes], Anchors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a check gone, a row of the table is taken, or is refused for another reason."""
    module, name, answer = NO_OPS[check]
    first = next(iter(verify(made.sealed(json.loads(good)), None).epochs))

    def gone(*arguments: Any) -> Any:
        if check == "documents":
            return json.loads(arguments[1]["body"])
        if check == "receipt":
            return bundle.Anchored(first, made.anchors().words[first], 31337, bytes(range(20)), made.anchors().log)
        return answer

    monkeypatch.setattr(module, name, gone)
    assert any(_is_missed(changed[0][row.name], changed[1], row) for row in TABLE)


def _is_missed(data: bytes, anchors: Anchors, row: Row) -> bool:
    try:
        verify(data, anchors)
    except NotValid as finding:
        return not (finding.where.startswith(row.where) and finding.rule.startswith(row.rule))
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return True
    return True
