"""An operator's kit: what a technician needs to put devices into service where there is no network.

1. A kit is taken whole if the operator's log key in it has signed it and the operator's id is of that key; any other bytes
   are one line. `--operator` pins whose kit it must be. Its file is a secret: readable by its owner only.
2. It is for its PODs and its time. A nonce is for one POD and one device.
3. Its authority vouches for a device's TLS key by a certificate for the name in the device's own request, nothing else.
4. Nothing of its secret is shown or logged.
"""

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lightflash.errors import FlashError
from lightflash.instant import day
from lightflash.key import is_public, is_signed
from lightflash.nesting import shallow

DOMAIN = b"lightnode-kit/1\n"
_STEP = "kit"
_LARGEST = 4 << 20
_DAY = datetime.timedelta(days=1)
_BODY = {"kit", "settings", "broker", "authority", "from_ms", "to_ms", "pods"}
_SETTINGS = {"deployment": 16, "operator": 8, "log_key": 33}
_NUMBER_MOST = 1 << 53
_AGAIN = "ask the operator for another kit"


@dataclass(frozen=True, slots=True)
class Kit:
    """A checked kit. id: 16 hexadecimal digits; settings: the device's that are the operator's; ca: the broker's authority,
    DER; pods: nonces (16 bytes) by POD; certificate: the kit's authority, DER."""

    id: str
    settings: Mapping[str, Any]
    host: str
    port: int
    ca: bytes
    certificate: bytes
    from_ms: int
    to_ms: int
    pods: Mapping[str, tuple[bytes, ...]]
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def deployment(self) -> bytes:
        """16 bytes."""
        return bytes.fromhex(self.settings["deployment"])

    @property
    def log_key(self) -> bytes:
        """Public, 33 bytes."""
        return bytes.fromhex(self.settings["log_key"])

    def check(self, pod: str, now_ms: int) -> None:
        """Rule 2. FlashError if it is not valid now or not for this POD."""
        if now_ms >= self.to_ms:
            raise FlashError(_STEP, f"the kit {self.id} has expired on {day(self.to_ms)}", _AGAIN)
        if now_ms < self.from_ms - 86_400_000:
            raise FlashError(
                _STEP, f"the kit {self.id} begins on {day(self.from_ms)}", "is this computer's clock right?"
            )
        if pod not in self.pods:
            raise FlashError(_STEP, f"the kit {self.id} is not for POD {pod!r}", "is the POD right? else " + _AGAIN)

    def certify(self, request: bytes, name: str) -> bytes:
        """A certificate (DER) for the key of a request (PKCS#10, DER), which must be signed by it and for this name (rule 3)."""
        key, found = read_request(request)
        if found != name:
            raise FlashError(
                "certificate", f"the device asks for the name {found!r}, its own is {name!r}", "another device?"
            )
        return self.vouch(key, name)

    def vouch(self, key: ec.EllipticCurvePublicKey, name: str) -> bytes:
        """A client's certificate (DER) of the kit's authority."""
        authority = x509.load_der_x509_certificate(self.certificate)
        builder = x509.CertificateBuilder().issuer_name(authority.subject).public_key(key)
        builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        builder = builder.serial_number(x509.random_serial_number())
        start = datetime.datetime.fromtimestamp(self.from_ms // 1000, datetime.UTC) - _DAY
        builder = builder.not_valid_before(start).not_valid_after(authority.not_valid_after_utc)
        builder = builder.add_extension(x509.BasicConstraints(False, None), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)


def read_request(request: bytes) -> tuple[ec.EllipticCurvePublicKey, str]:
    """(key, common name) of a request that its own P-256 key has signed. FlashError for any other bytes."""
    try:
        wanted = x509.load_der_x509_csr(request)
        key = wanted.public_key()
        names = [str(name.value) for name in wanted.subject]
        is_ours = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
        if isinstance(key, ec.EllipticCurvePublicKey) and is_ours and wanted.is_signature_valid and len(names) == 1:
            return key, names[0]
    except (ValueError, UnsupportedAlgorithm):
        pass  # it ends as any other request that is none
    raise FlashError("certificate", "the device's request is not one that its TLS key has signed", "enrol it again")


def fingerprint(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of a public key (DER SubjectPublicKeyInfo)."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def open_kit(path: Path, operator: str = "") -> Kit:
    """Rule 1. operator: 16 hexadecimal digits that it must be of, "" for any."""
    try:
        if path.stat().st_mode & 0o077:
            raise FlashError(_STEP, f"{path} can be read by others", f"chmod 600 {path}")
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise FlashError(_STEP, f"{path} cannot be read ({error.strerror})", "name a kit's file") from error
    try:
        kit = parse(data)
    except (ValueError, KeyError, TypeError, RecursionError, UnsupportedAlgorithm) as error:
        raise FlashError(_STEP, f"{path} is no kit of an operator, or was changed", _AGAIN) from error
    if operator and kit.settings["operator"] != operator.lower():
        raise FlashError(_STEP, f"{path} is of operator {kit.settings['operator']}, not of {operator}", _AGAIN)
    return kit


def parse(data: bytes) -> Kit:
    """The kit in a file's bytes; ValueError, KeyError or TypeError for any others."""
    if len(data) > _LARGEST:
        raise ValueError("too long")
    document = json.loads(shallow(data).decode("ascii"), object_pairs_hook=_once)
    body = document["body"]
    if set(document) != {"body", "signature", "key"} or set(body) != _BODY:
        raise ValueError("other fields")
    settings = body["settings"]
    for name, length in _SETTINGS.items():
        _octets(settings[name], length)
    log_key = bytes.fromhex(settings["log_key"])
    digest = hashlib.sha256(DOMAIN + json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).digest()
    if hashlib.sha256(log_key).digest()[:8].hex() != settings["operator"] or not is_public(log_key):
        raise ValueError("the operator is not of the key")
    if not is_signed(log_key, digest, _octets(document["signature"], 64)):
        raise ValueError("the signature does not hold")
    return _kit(body, bytes.fromhex(document["key"]))


def _kit(body: Mapping[str, Any], secret: bytes) -> Kit:
    key = load_der_private_key(secret, None)
    authority = bytes.fromhex(body["authority"])
    public = x509.load_der_x509_certificate(authority).public_key()
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValueError("another kind of key")
    if fingerprint(key.public_key()) != fingerprint(public):
        raise ValueError("the key is not the authority's")
    broker, pods = body["broker"], body["pods"]
    port, start, end = (_number(value) for value in (broker["port"], body["from_ms"], body["to_ms"]))
    if not isinstance(broker["host"], str) or not pods or not 0 < port < 65_536:
        raise ValueError("no broker, or no POD")
    _octets(body["kit"], 8)
    return Kit(
        body["kit"], body["settings"], broker["host"], port, bytes.fromhex(broker["ca"]), authority, start, end,
        {pod: tuple(_octets(nonce, 16) for nonce in nonces) for pod, nonces in pods.items()}, key,
    )  # fmt: skip


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def _octets(value: object, length: int) -> bytes:
    if isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{2 * length}}}", value):
        return bytes.fromhex(value)
    raise ValueError("no hexadecimal digits")


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _NUMBER_MOST:
        return value
    raise ValueError("no number")
