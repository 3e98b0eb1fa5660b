"""lightnode: the back end's command line. Arguments in, one flow called, text or JSON out.

Exit codes: 0 done, 1 refused or not valid (with the reason), 2 wrong usage, 3 an outside party is unavailable, 4 not yet.
"""

import argparse
import json
import sys
from pathlib import Path

from backend.evidence.verifier.anchors import Anchors, from_file, from_rpc
from backend.evidence.verifier.bundle import MAX_BYTES, Report, verify
from backend.evidence.verifier.finding import AnchorsUnavailable, NotValid

DONE, REFUSED, USAGE, UNAVAILABLE, PENDING = range(5)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lightnode",
        description="The back end: evidence.",
        epilog="example: lightnode evidence verify demo-output/bundles/IT001E00000001.json --anchors demo-output/anchors.json",
    )
    groups = parser.add_subparsers(dest="group", required=True)
    evidence = groups.add_parser("evidence", help="check what can be proven").add_subparsers(
        dest="command", required=True
    )
    check = evidence.add_parser(
        "verify",
        help="check a customer's bundle, alone and offline",
        epilog="example: lightnode evidence verify bundle.json --anchors anchors.json",
    )
    check.add_argument("bundle", type=Path, help="the bundle")
    source = check.add_mutually_exclusive_group()
    source.add_argument("--anchors", type=Path, help="commitments exported from the chain by somebody you trust")
    source.add_argument("--rpc", help="URL of a node of the chain")
    check.add_argument(
        "--contract",
        type=_address,
        help="with --rpc: the contract you trust (else the one that the bundle names is asked)",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _address(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 20:
        raise argparse.ArgumentTypeError(f"{text}: an address of 40 hexadecimal digits belongs here")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Parses, calls, prints."""
    options = _parser().parse_args(arguments)
    try:
        report = _verify(options)
    except NotValid as finding:
        return _say(
            options, REFUSED, {"valid": False, "where": finding.where, "reason": finding.rule}, f"not valid: {finding}"
        )
    except AnchorsUnavailable as error:
        return _say(options, UNAVAILABLE, {"valid": None, "reason": str(error)}, f"anchors: {error}")
    except OSError as error:
        return _say(
            options,
            REFUSED,
            {"valid": False, "reason": f"{options.bundle}: {error.strerror}"},
            f"{options.bundle}: {error.strerror}",
        )
    facts = _facts(report)
    what = (
        f"{report.pod}: {report.records} records in {report.batches} batches, {report.setpoints} set-points, "
        f"{report.lines} settlement lines"
    )
    if report.anchored:
        named = (
            ""
            if options.rpc is None or options.contract
            else f" of contract 0x{report.contract.hex()}, named by the bundle"
        )
        return _say(options, DONE, facts, f"valid: {what}, anchored in epochs {_span(report)}{named}")
    return _say(
        options, PENDING, facts, f"consistent, not anchored: {what}; give --anchors or --rpc, or wait for the chain"
    )


def _verify(options: argparse.Namespace) -> Report:
    size = options.bundle.stat().st_size
    if size > MAX_BYTES:
        raise NotValid("file", f"has {size} bytes, a bundle has at most {MAX_BYTES}")
    data = options.bundle.read_bytes()
    anchors: Anchors | None = None
    if options.anchors is not None:
        anchors = from_file(options.anchors)
    elif options.rpc is not None:
        consistent = verify(data, None)
        contract = options.contract or consistent.contract
        anchors = from_rpc(options.rpc, contract, consistent.log, consistent.epochs)
    return verify(data, anchors)


def _facts(report: Report) -> dict[str, object]:
    counts = {name: getattr(report, name) for name in ("records", "batches", "setpoints", "documents", "lines")}
    where = {"epochs": sorted(report.epochs), "contract": "0x" + report.contract.hex()}
    return {"valid": True, "anchored": report.anchored, "pod": report.pod, **counts, **where}


def _span(report: Report) -> str:
    epochs = sorted(report.epochs)
    return f"{epochs[0]}..{epochs[-1]}" if epochs else "none"


def _say(options: argparse.Namespace, code: int, facts: dict[str, object], text: str) -> int:
    if options.json:
        print(json.dumps(facts))
    elif code in (DONE, PENDING):
        print(text)
    else:
        print(f"lightnode: {text}", file=sys.stderr)
    return code
