"""HTTPS without an authority: a CA of the site and a server certificate, made at first start and renewed in time.

Files under `<data_dir>/certificates`: `ca.pem` (give it to the browsers), `ca.key`, `server.pem` (leaf, then CA),
`server.key`; keys are ECDSA P-256 and readable by the owner alone. The operator's own pair in the settings wins.
"""

import ipaddress
import os
import socket
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hotline.errors import ConfigurationError
from hotline.settings import Settings

CA_LIFE = timedelta(days=3652)
LEAF_LIFE = timedelta(days=397)  # browsers refuse leaves that live longer (CA/Browser Forum SC-31)
RENEW_BEFORE = timedelta(days=30)
SKEW = timedelta(hours=1)  # a browser's clock may be behind ours


@dataclass(frozen=True)
class CertificateFiles:
    """PEM files for the server; `authority` is the site CA, None with the operator's own certificate."""

    certificate: Path
    private_key: Path
    authority: Path | None


def certificate_directory(settings: Settings) -> Path:
    """Where the made certificates live."""
    return settings.data_dir / "certificates"


def ensure_certificates(settings: Settings, *, now: datetime) -> CertificateFiles:
    """The files to serve with; makes or renews them. Raises `ConfigurationError` where they cannot be used."""
    own = (settings.console.certificate, settings.console.private_key)
    if own[0] is not None and own[1] is not None:
        files = CertificateFiles(certificate=own[0], private_key=own[1], authority=None)
    elif own != (None, None):
        raise ConfigurationError("console.certificate and console.private_key must be set together")
    else:
        files = _ensure_own(certificate_directory(settings), server_names(settings), now)
    server_context(files)
    return files


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """A TLS server context, 1.2 or newer; raises `ConfigurationError` where the pair does not load."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.private_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the console cannot use {files.certificate} with {files.private_key}: {error}",
            hint="a PEM chain, leaf first, and its unencrypted PEM key, both readable by the service",
        ) from error
    return context


def server_names(settings: Settings) -> tuple[str, ...]:
    """The names and addresses the certificate is for."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname(), *settings.console.public_names]
    return tuple(dict.fromkeys(name for name in names if name))


def expires_at(certificate: Path) -> datetime:
    """The end of validity of the first certificate in a PEM file; raises `ConfigurationError`."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{certificate} is no PEM certificate: {error}") from error


def _ensure_own(directory: Path, names: tuple[str, ...], now: datetime) -> CertificateFiles:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_path, ca_key_path = directory / "ca.pem", directory / "ca.key"
    leaf_path, leaf_key_path = directory / "server.pem", directory / "server.key"
    ca = _load(ca_path, ca_key_path)
    if ca is None or ca[0].not_valid_after_utc - now < LEAF_LIFE:
        ca = _make_authority(now)
        _write(ca_key_path, _key_pem(ca[1]), mode=0o600)
        _write(ca_path, _pem(ca[0]), mode=0o644)
    leaf = _load(leaf_path, leaf_key_path)
    if leaf is None or not _still_good(leaf[0], ca[0], names, now):
        certificate, key = _make_leaf(ca, names, now)
        _write(leaf_key_path, _key_pem(key), mode=0o600)
        _write(leaf_path, _pem(certificate) + _pem(ca[0]), mode=0o644)
    return CertificateFiles(certificate=leaf_path, private_key=leaf_key_path, authority=ca_path)


Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _load(certificate: Path, key: Path) -> Pair | None:
    """A matching pair, or None where a file is missing, torn or of another kind: it is made anew."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or loaded.public_key() != private.public_key():
        return None
    return loaded, private


def _still_good(leaf: x509.Certificate, ca: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    if leaf.not_valid_after_utc - now < RENEW_BEFORE or leaf.not_valid_before_utc > now:
        return False
    try:
        leaf.verify_directly_issued_by(ca)
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return {_general_name(name) for name in names} <= set(held)


def _make_authority(now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"Hotline site CA {socket.gethostname()} {now:%Y-%m-%d}"[:64])]
    )
    certificate = (
        _builder(name, name, key, now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _make_leaf(ca: Pair, names: Sequence[str], now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hotline console")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca[1].public_key())
    certificate = (
        _builder(subject, ca[0].subject, key, now, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(ca[1], hashes.SHA256())
    )
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now - SKEW + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name.encode("idna").decode("ascii"))
    except UnicodeError as error:
        raise ConfigurationError(f"console.public_names: {name!r} is neither a DNS name nor an IP address") from error


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Replaces `path` in one step; a key is never readable by others, not even for a moment."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    os.replace(temporary, path)
