"""The certificate authority of one kit: P-256, for clients only, issues nothing that issues; and what its devices ask of it."""

import base64
import datetime
import hashlib
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backend.errors import Rejected

_DAY = datetime.timedelta(days=1)
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----[ \t\r]*\n?", re.DOTALL)


def make_authority(name: str, from_ms: int, to_ms: int) -> tuple[bytes, bytes]:
    """(certificate, key: PKCS#8), both DER. It can vouch for clients of a broker, never for a broker."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start, end = (datetime.datetime.fromtimestamp(ms // 1000, datetime.UTC) for ms in (from_ms, to_ms))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start - _DAY).not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = builder.add_extension(usage, True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), True)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    return certificate, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def as_pem(certificate: bytes) -> bytes:
    """A certificate in DER as the broker's file of authorities has it."""
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)


def without(authorities: str, certificate: bytes) -> str:
    """A broker's file of authorities (PEM) without this one (DER), however its lines are broken; all else as it was."""

    def kept(found: re.Match[str]) -> str:
        try:
            der = base64.b64decode("".join(found[1].split()), validate=True)
        except ValueError:
            return found[0]
        return "" if der == certificate else found[0]

    return _BLOCK.sub(kept, authorities)


def requested(request: bytes) -> tuple[str, bytes]:
    """(common name, SHA-256 of the public key) of a request (PKCS#10, DER) that its own key has signed; Rejected otherwise."""
    try:
        wanted = x509.load_der_x509_csr(request)
        key = wanted.public_key()
        names = [str(name.value) for name in wanted.subject]
        if not wanted.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey) or len(names) != 1:
            raise Rejected("certificate request: it is not signed by its key, or has not one name")
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected("certificate request: it is none") from error
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return names[0], hashlib.sha256(spki).digest()
