"""DeviceAnchor for whoever holds a light node's sealed statement: to deploy it, and to anchor a statement.

1. Only when somebody asks, never by the product itself.
2. Not on a public chain: those that are known are refused, and for any other the caller says that it is permissioned.
3. A statement that the contract would refuse costs nothing: Rejected with the contract's reason.
"""

from coincurve import PublicKey
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from lightwire import envelope, records
from lightwire.errors import WireError

from backend.adapters.admin import ContractAdmin, Done
from backend.contract import device_anchor
from backend.errors import Rejected

MESSAGE_MAX_BYTES = 4096
PUBLIC_CHAINS = frozenset(
    (1, 10, 25, 56, 100, 137, 250, 324, 1101, 5000, 8453, 42161, 42170, 42220, 43114, 59144, 81457, 534352, 17000)
    + (560048, 11155111, 11155420, 84532, 421614, 80002, 97, 43113)
)


def refuse_public(chain_id: int, is_permissioned: bool) -> None:
    """Rejected on a public chain, and on any other unless the caller says that it is permissioned (rule 2)."""
    if chain_id in PUBLIC_CHAINS:
        raise Rejected(f"chain {chain_id} is public: a statement would name its device to everybody")
    if not is_permissioned:
        raise Rejected(f"say --permissioned if who reads chain {chain_id} may see device ids and statements")


def deploy(admin: ContractAdmin, deployment: bytes) -> Done:
    """A DeviceAnchor for the records of one deployment (16 bytes)."""
    return admin.deploy(device_anchor(), deployment.ljust(32, b"\0"))


def anchor(admin: ContractAdmin, contract: bytes, message: bytes, public: bytes) -> Done:
    """Anchors a sealed batch statement signed by a key (33 bytes, compressed); Rejected with what is wrong with either."""
    try:
        _, _, algorithm = envelope.split(message)
        if not isinstance(envelope.peek(message), records.BatchStatement):
            raise Rejected("the message is another record than a batch statement")
    except WireError as error:
        raise Rejected(f"the message is no sealed record: {error}") from error
    return admin.change(contract, device_anchor(), "anchor", (message, *_point(public, algorithm)))


def _point(public: bytes, algorithm: int) -> tuple[int, int]:
    """The coordinates of a key of the message's algorithm."""
    try:
        if algorithm == records.ES256K:
            x, y = PublicKey(public).point()
            return x, y
        numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public).public_numbers()
        return numbers.x, numbers.y
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected("the public key is none of the message's algorithm") from error
