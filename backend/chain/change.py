"""Commands that change a contract: deploy, grant, revoke, hand over, pause; and DeviceAnchor, by hand only."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.adapters import dispute
from backend.adapters.admin import ContractAdmin, Done
from backend.adapters.ledger import checksummed
from backend.chain.option import DONE, Answer, account, command, endpoints, needed
from backend.contract import anchor_log
from backend.errors import Rejected
from backend.settings import ChainSettings, octets


def add_commands(commands: Any) -> None:
    """Adds them to the group `chain`."""
    example = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    made = command(commands, "deploy", _deploy, "put AnchorLog on a chain; the key becomes its admin", "")
    made.add_argument("--grant-self", action="store_true", help="also give the key the role for --operator")
    for name, help in (("grant", "let an account write the operator's log"), ("revoke", "take that away again")):
        made = command(commands, name, _grant, help, example)
        made.add_argument("account", help="address of the account, 0x and 40 hexadecimal digits")
    made = command(commands, "offer-admin", _offer_admin, "first step of handing over the contract", example)
    made.add_argument("account", nargs="?", default="", help="address of the next admin, who must accept")
    made.add_argument("--withdraw", action="store_true", help="take the offer back instead")
    made.set_defaults(wrong=made.error)
    command(commands, "accept-admin", _accept_admin, "second step, with the key of the next admin", "--key next.key")
    made = command(commands, "pause", _pause, "stop all writing to the contract, or with --off let it go on", "--off")
    made.add_argument("--off", action="store_true", help="let writing go on")
    _add_dispute(commands)


def _add_dispute(commands: Any) -> None:
    """DeviceAnchor: for permissioned chains and disputes, only by hand."""
    made = command(commands, "deploy-device-anchor", _deploy_device_anchor, "put DeviceAnchor on a chain", "00" * 16)
    made.add_argument("deployment", help="the deployment id, 32 hexadecimal digits")
    show = command(commands, "anchor-statement", _anchor_statement, "anchor a device's signed statement", "FILE KEY")
    show.add_argument("statement", type=Path, help="the sealed batch statement as the device sent it")
    show.add_argument("public", help="the device's public key, 66 hexadecimal digits")
    for one in (made, show):
        one.add_argument("--permissioned", action="store_true", help="who reads the chain may see what is anchored")


def _deploy(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    if options.grant_self:
        needed(settings.operator, "operator")
    admin = _admin(options, settings)
    done = admin.deploy(anchor_log())
    facts = {**_facts(done), "contract": checksummed(done.contract), "first_block": done.block}
    text = f"AnchorLog is at {checksummed(done.contract)} since block {done.block} ({done.gas} gas)"
    if options.grant_self:
        own = checksummed(account(settings).address)
        admin.change(done.contract, anchor_log(), "grant", (settings.operator, own, True))
        facts["granted"] = own
        text += f"; {own} may write log {settings.operator.hex()}"
    return DONE, facts, text


def _grant(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    account = _given(octets(20), options.account, "account")
    allowed = options.command == "grant"
    contract, operator = needed(settings.contract, "contract"), needed(settings.operator, "operator")
    done = _admin(options, settings).change(contract, anchor_log(), "grant", (operator, checksummed(account), allowed))
    may = "may write" if allowed else "may no longer write"
    return DONE, _facts(done), f"{checksummed(account)} {may} log {operator.hex()} since block {done.block}"


def _offer_admin(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    if bool(options.account) == options.withdraw:
        options.wrong("either an account or --withdraw belongs here")
    next_admin = bytes(20) if options.withdraw else _given(octets(20), options.account, "account")
    if not (options.withdraw or any(next_admin)):
        raise Rejected("account: zero is nobody's; --withdraw takes an offer back")
    contract = needed(settings.contract, "contract")
    done = _admin(options, settings).change(contract, anchor_log(), "offer_admin", (checksummed(next_admin),))
    said = f"the contract is offered to {checksummed(next_admin)}, who must accept"
    return DONE, _facts(done), f"{'the offer is taken back' if options.withdraw else said}, since block {done.block}"


def _accept_admin(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    contract, own = needed(settings.contract, "contract"), checksummed(account(settings).address)
    done = _admin(options, settings).change(contract, anchor_log(), "accept_admin", ())
    return DONE, {**_facts(done), "admin": own}, f"{own} is the contract's admin since block {done.block}"


def _pause(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    contract, state = needed(settings.contract, "contract"), not options.off
    done = _admin(options, settings).change(contract, anchor_log(), "set_paused", (state,))
    return DONE, _facts(done), f"writing {'is stopped' if state else 'goes on'} since block {done.block}"


def _deploy_device_anchor(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    deployment = _given(octets(16), options.deployment, "deployment")
    _refuse_public(options, settings)
    done = dispute.deploy(_admin(options, settings), deployment)
    facts = {**_facts(done), "contract": checksummed(done.contract)}
    return DONE, facts, f"DeviceAnchor is at {checksummed(done.contract)} since block {done.block}"


def _anchor_statement(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    public = _given(octets(33), options.public, "public key")
    contract = needed(settings.contract, "contract")
    with options.statement.open("rb") as file:
        message = file.read(dispute.MESSAGE_MAX_BYTES)
    _refuse_public(options, settings)
    done = dispute.anchor(_admin(options, settings), contract, message, public)
    return DONE, _facts(done), f"the statement is anchored in block {done.block} ({done.gas} gas)"


def _refuse_public(options: argparse.Namespace, settings: ChainSettings) -> None:
    dispute.refuse_public(int(str(endpoints(settings).ask("eth_chainId")), 16), options.permissioned)


def _given(check: Callable[[object], bytes], value: str, name: str) -> bytes:
    try:
        return check(value)
    except ValueError as error:
        raise Rejected(f"{name} {value[:70]!r}: {error}") from error


def _admin(options: argparse.Namespace, settings: ChainSettings) -> ContractAdmin:
    return ContractAdmin(endpoints(settings), account(settings), settings.max_fee_wei, options.wait)


def _facts(done: Done) -> dict[str, Any]:
    return {"done": True, "transaction": "0x" + done.transaction.hex(), "block": done.block, "gas": done.gas}
