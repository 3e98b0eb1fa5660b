"""A small certificate authority for a rig: P-256, one server, any number of clients by common name.

TLS keys are not signing keys: OpenSSL refuses secp256k1 clients, so every party has a P-256 key for TLS. Each identity is
written twice: PEM for CPython and mosquitto, DER for the light node (MicroPython before 1.29 reads only DER).
"""

import datetime
import hashlib
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True, slots=True)
class Identity:
    """Where one party's certificate and key lie, and SHA-256 of the public key in it (DER SubjectPublicKeyInfo)."""

    cert_pem: Path
    key_pem: Path
    cert_der: Path
    key_der: Path
    fingerprint: bytes


class Pki:
    """The authority of one deployment; files under `folder`, keys readable by the owner only."""

    def __init__(self, folder: Path, valid_days: float = 30, authority: Path | None = None) -> None:
        """authority: a folder with ca.pem and ca.key.pem (see `keep_key`) to issue for, instead of making one."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._days = valid_days
        if authority is None:
            self._make()
        else:
            self._open(authority)

    def keep_key(self) -> None:
        """Writes the authority's key beside its certificate, so that another process can issue, too."""
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(self._folder / "ca.key.pem", key)

    def _open(self, authority: Path) -> None:
        key = load_pem_private_key((authority / "ca.key.pem").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{authority / 'ca.key.pem'}: a key on an elliptic curve belongs here")
        certificate = x509.load_pem_x509_certificate((authority / "ca.pem").read_bytes())
        self._key, self._name = key, certificate.subject
        self.ca_pem, self.ca_der = self._folder / "ca.pem", self._folder / "ca.der"
        _write(self.ca_pem, certificate.public_bytes(Encoding.PEM))
        _write(self.ca_der, certificate.public_bytes(Encoding.DER))

    def _make(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lightnode rig authority")])
        self.ca_pem, self.ca_der = self._folder / "ca.pem", self._folder / "ca.der"
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = self._builder(self._name, self._key.public_key()).add_extension(usage, True)
        certificate = builder.add_extension(x509.BasicConstraints(True, 0), True).sign(self._key, hashes.SHA256())
        _write(self.ca_pem, certificate.public_bytes(Encoding.PEM))
        _write(self.ca_der, certificate.public_bytes(Encoding.DER))

    def server(self) -> Identity:
        """The broker's identity, for localhost and 127.0.0.1."""
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        return self._issue("localhost", "server", ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, common_name: str) -> Identity:
        """A client's identity; the common name is its user name at the broker."""
        return self._issue(common_name, common_name.replace("/", "-"), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def certify(self, request: bytes, path: Path) -> None:
        """A client's certificate (DER) into a file, for a key that its owner keeps: what its request (PKCS#10, DER) asks for.

        ValueError if the request is none, or its key has not signed it."""
        wanted = x509.load_der_x509_csr(request)
        key = wanted.public_key()
        if not wanted.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("the request is not signed by its key")
        path.write_bytes(self._certificate(wanted.subject, key, ExtendedKeyUsageOID.CLIENT_AUTH, None))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=self._days))
        )

    def _issue(
        self, common_name: str, stem: str, usage: x509.ObjectIdentifier, names: x509.SubjectAlternativeName | None
    ) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        der = self._certificate(subject, key.public_key(), usage, names)
        files = [self._folder / f"{stem}.{suffix}" for suffix in ("pem", "key.pem", "der", "key.der")]
        _write(files[0], x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
        _write(files[1], key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _write(files[2], der)
        _write(files[3], key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Identity(files[0], files[1], files[2], files[3], hashlib.sha256(public).digest())

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
    ) -> bytes:
        builder = self._builder(subject, key).add_extension(x509.BasicConstraints(False, None), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        if names is not None:
            builder = builder.add_extension(names, False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
