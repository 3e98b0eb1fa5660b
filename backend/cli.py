"""lightnode: the back end's command line. Arguments in, one flow called, text or JSON out.

Exit codes: 0 done, 1 refused or not valid (with the reason), 2 wrong usage, 3 an outside party is unavailable, 4 not yet.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend import actor_commands, grid_commands, kit_command, market_commands, node_command, proof
from backend.adapters.bounded import read_bounded
from backend.adapters.readings import Selection, exported
from backend.adapters.workers import MOST, sensible, workers
from backend.argument import number
from backend.errors import Rejected, Unavailable
from backend.evidence.verifier.anchors import Anchors, from_file, from_quorum
from backend.evidence.verifier.file import Report, verify
from backend.evidence.verifier.finding import AnchorsUnavailable, NotValid

DONE, REFUSED, USAGE, UNAVAILABLE, PENDING = range(5)
_LISTS = {"kit": (kit_command.run, "kits"), "nodes": (node_command.run, "nodes")}


def _parser(only: str | None = None) -> argparse.ArgumentParser:
    """only: the group that is asked for, the others are left out; where it is none, all, of `chain` its name alone: what it
    needs takes a second to load, and a verifier has no use for it."""
    parser = argparse.ArgumentParser(
        prog="lightnode",
        description="The back end: evidence, readings, chain, grid, market and its actors, light nodes, kits for technicians.",
        epilog="example: lightnode evidence verify demo-output/bundles/IT001E00000001.json --anchors demo-output/anchors.json",
    )
    groups = parser.add_subparsers(dest="group", required=True)
    adders: dict[str, Callable[[Any], None]] = {
        "evidence": _add_evidence, "readings": _add_export, "kit": kit_command.add_arguments,
        "nodes": node_command.add_arguments, "chain": _add_chain if only in (None, "chain") else _name_chain,
        "grid": grid_commands.add_commands, "market": market_commands.add_commands,
        **dict.fromkeys(actor_commands.GROUPS, actor_commands.add_commands),
    }  # fmt: skip
    for add in [adders[only]] if only and only in adders else dict.fromkeys(adders.values()):
        add(groups)
    return parser


def _add_evidence(groups: Any) -> None:
    evidence = groups.add_parser("evidence", help="check what can be proven").add_subparsers(
        dest="command", required=True
    )
    _add_verify(evidence)
    proof.add_commands(evidence, _octets)


def _add_chain(groups: Any) -> None:
    from backend import chain

    chain.add_commands(groups)


def _name_chain(groups: Any) -> None:
    groups.add_parser("chain", help="the contract that holds the commitments")


def _add_verify(evidence: Any) -> None:
    check = evidence.add_parser(
        "verify",
        help="check a bundle, a receipt or a proof of consistency, alone and offline",
        epilog="example: lightnode evidence verify bundle.json --anchors anchors.json",
    )
    check.add_argument("bundle", type=Path, nargs="?", metavar="FILE", help="the bundle, receipt or proof")
    source = check.add_mutually_exclusive_group()
    source.add_argument("--anchors", type=Path, help="commitments exported from the chain by somebody you trust")
    source.add_argument(
        "--rpc", nargs="+", action="extend", metavar="URL", help="nodes of the chain, each asked on its own"
    )
    check.add_argument("--quorum", type=int, help="how many of the nodes must say the same (else more than half)")
    check.add_argument("--block-hash", type=_octets(32), help="the block, known to be final, that a state proof is of")
    check.add_argument(
        "--contract", type=_octets(20), help="the contract you trust (else --rpc asks the one that the file names)"
    )
    check.add_argument("--operator", type=_octets(8), help="the operator you trust: 16 hexadecimal digits of its id")
    check.add_argument(
        "--workers", type=number(1, MOST), default=sensible(),
        help=f"1 to {MOST}: how many processes compute; the answer is the same (default %(default)s here: two, on one core one)",
    )  # fmt: skip
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.set_defaults(wrong=check.error)


def _octets(length: int) -> Callable[[str], bytes]:
    def parse(text: str) -> bytes:
        digits = text.removeprefix("0x")
        try:
            found = bytes.fromhex(digits)
        except ValueError:
            found = b""
        if len(found) != length or found.hex() != digits.lower():
            raise argparse.ArgumentTypeError(f"{text}: {2 * length} hexadecimal digits belong here")
        return found

    return parse


def _add_export(groups: Any) -> None:
    readings = groups.add_parser("readings", help="what the light nodes measured").add_subparsers(
        dest="command", required=True
    )
    export = readings.add_parser(
        "export",
        help="every stored reading as one JSON line, by device and seq",
        epilog="example: lightnode readings export --db scd.sqlite --device 0123456789abcdef --from 1796040000000",
    )
    export.add_argument("--db", type=Path, required=True, help="the database file; it is only read")
    export.add_argument("--device", type=_device, help="only this light node, 16 hexadecimal digits")
    export.add_argument("--from", type=int, dest="start_ms", help="first slot mark, UTC ms, inclusive")
    export.add_argument("--to", type=int, dest="end_ms", help="last slot mark, UTC ms, exclusive")


def _device(text: str) -> bytes:
    if len(text) != 16 or not all(c in "0123456789abcdef" for c in text.lower()):
        raise argparse.ArgumentTypeError(f"{text}: a device id has 16 hexadecimal digits")
    return bytes.fromhex(text)


def main(arguments: list[str] | None = None, now_ms: Callable[[], int] | None = None) -> int:
    """Parses, calls, prints. now_ms: UTC ms, for what has gates; None for the machine's clock. 1 if nobody reads to the end."""
    try:
        code = _run(arguments, now_ms)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere
        return 1
    return code


def _run(arguments: list[str] | None, now_ms: Callable[[], int] | None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser(words[0] if words else "").parse_args(words)
    if "run" in options:
        return proof.run(options)
    if options.group in _LISTS:
        return _listed(options)
    if options.group == "grid":
        return grid_commands.run(options)
    if options.group == "market":
        return market_commands.run(options, now_ms)
    if options.group in actor_commands.GROUPS:
        return actor_commands.run(options, now_ms)
    if options.group == "chain":
        from backend import chain

        return chain.run(options)
    if options.group == "readings":
        return _export(options)
    _complete(options)
    return _check(options)


def _complete(options: argparse.Namespace) -> None:
    """Tells the file from the last of the nodes, and fills in the quorum; wrong usage ends the program."""
    if options.bundle is None:
        if not options.rpc or len(options.rpc) < 2:
            options.wrong("the following arguments are required: FILE")
        options.bundle = Path(options.rpc.pop())
    asked = len(options.rpc or ())
    if options.quorum is not None and not 1 <= options.quorum <= asked:
        options.wrong(f"argument --quorum: {options.quorum} of {asked} nodes given with --rpc")
    options.quorum = options.quorum or asked // 2 + 1


def _listed(options: argparse.Namespace) -> int:
    run, rows_of = _LISTS[options.group]
    try:
        said = run(options)
    except Rejected as refusal:
        return _say(options, REFUSED, {"reason": refusal.reason}, refusal.reason)
    except (Unavailable, OSError) as error:
        return _say(options, UNAVAILABLE, {"reason": str(error)}, str(error))
    rows = said.get(rows_of, [said])
    assert isinstance(rows, list)
    lines = [", ".join(f"{name} {value}" for name, value in row.items()) for row in rows]
    code = PENDING if said.get("state") == "waiting" else DONE
    return _say(options, code, said, "\n".join(lines) or f"no {rows_of}")


def _export(options: argparse.Namespace) -> int:
    try:
        for line in exported(options.db, Selection(options.device, options.start_ms, options.end_ms)):
            print(json.dumps(line))
    except Unavailable as error:
        print(f"lightnode: {error}", file=sys.stderr)
        return UNAVAILABLE
    return DONE


def _check(options: argparse.Namespace) -> int:
    try:
        report = _verify(options)
    except NotValid as finding:
        return _refused(options, finding.where, finding.rule)
    except AnchorsUnavailable as error:
        return _say(options, UNAVAILABLE, {"valid": None, "reason": str(error)}, f"anchors: {error}")
    except OSError as error:
        text = f"{options.bundle}: {error.strerror}"
        return _say(options, REFUSED, {"valid": False, "reason": text}, text)
    except Exception as error:  # the outermost guard: what no check foresaw is no proof of anything
        return _refused(options, str(options.bundle), f"cannot be checked (internal: {type(error).__name__})")
    what = f"{report.what}, of operator {report.operator.hex()}"
    if options.operator is None:
        what += ", named by the file"
    if report.anchored:
        asked = (options.rpc or options.block_hash) and options.contract is None
        named = f" of contract 0x{report.contract.hex()}, named by the file" if asked else ""
        return _say(options, DONE, _facts(report), f"valid: {what}; anchored in epochs {_span(report)}{named}")
    lacking = (
        "the operator's promise, not committed yet"
        if report.is_promise
        else "give --anchors or --rpc, or wait for the chain"
    )
    return _say(options, PENDING, _facts(report), f"consistent, not anchored: {what}; {lacking}")


def _refused(options: argparse.Namespace, where: str, rule: str) -> int:
    return _say(options, REFUSED, {"valid": False, "where": where, "reason": rule}, f"not valid: {where}: {rule}")


def _verify(options: argparse.Namespace) -> Report:
    data = read_bounded(options.bundle)
    anchors: Anchors | None = None
    with workers(options.workers) as executor:
        if options.anchors is not None:
            anchors = from_file(options.anchors, options.block_hash)
        elif options.rpc is not None:
            consistent = _trusted(options, verify(data, None, None, executor))
            contract = options.contract or consistent.contract
            anchors = from_quorum(options.rpc, options.quorum, contract, consistent.log, consistent.epochs)
        block_hash = options.block_hash if options.anchors is None else None
        return _trusted(options, verify(data, anchors, block_hash, executor))


def _trusted(options: argparse.Namespace, report: Report) -> Report:
    """The report, if it is of the operator and the contract that were named."""
    if options.operator not in (None, report.operator):
        raise NotValid("operator", f"is {report.operator.hex()}, not the {options.operator.hex()} that you named")
    if options.contract not in (None, report.contract):
        raise NotValid("anchor", f"the contract is 0x{report.contract.hex()}, not 0x{options.contract.hex()}")
    return report


def _facts(report: Report) -> dict[str, object]:
    where = {
        "epochs": sorted(report.epochs),
        "contract": "0x" + report.contract.hex(),
        "operator": report.operator.hex(),
    }
    return {"valid": True, "anchored": report.anchored, **report.facts, **where}


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
