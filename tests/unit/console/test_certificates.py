import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from console.certificates import ensure_certificates, expires_at, server_context
from hotline.errors import ConfigurationError
from hotline.settings import Settings
from hotline.settings_sections import ConsoleSettings

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)


def leaf_and_ca(directory: Path) -> tuple[x509.Certificate, x509.Certificate]:
    chain = x509.load_pem_x509_certificates((directory / "server.pem").read_bytes())
    assert len(chain) == 2
    return chain[0], chain[1]


def with_console(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update={"console": ConsoleSettings.model_validate(values)})


def test_first_start_makes_a_ca_and_a_leaf_for_every_name_of_the_host(settings: Settings) -> None:
    files = ensure_certificates(with_console(settings, public_names=("hotline.example.cn", "10.1.2.3")), now=NOW)
    leaf, ca = leaf_and_ca(settings.data_dir / "certificates")
    leaf.verify_directly_issued_by(ca)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", socket.gethostname(), "hotline.example.cn"} <= set(names.get_values_for_type(x509.DNSName))
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1", "10.1.2.3"}
    for certificate in (leaf, ca):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=397)
    assert (ca.not_valid_after_utc - NOW).days in range(3650, 3654)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert files.authority is not None


def test_keys_are_for_the_owner_alone(settings: Settings) -> None:
    ensure_certificates(settings, now=NOW)
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((settings.data_dir / "certificates" / name).stat().st_mode) == 0o600
    assert {path.name for path in (settings.data_dir / "certificates").iterdir()} == {
        "ca.pem", "ca.key", "server.pem", "server.key",
    }  # fmt: skip


@pytest.mark.parametrize(("days", "renewed"), [(1, False), (366, False), (368, True), (1000, True)])
def test_the_leaf_is_renewed_when_less_than_30_days_are_left(settings: Settings, days: int, renewed: bool) -> None:
    ensure_certificates(settings, now=NOW)
    before, ca_before = leaf_and_ca(settings.data_dir / "certificates")
    ensure_certificates(settings, now=NOW + timedelta(days=days))
    after, ca_after = leaf_and_ca(settings.data_dir / "certificates")
    assert (after.serial_number != before.serial_number) == renewed
    assert ca_after == ca_before


def test_a_new_public_name_makes_a_new_leaf_under_the_same_ca(settings: Settings) -> None:
    ensure_certificates(settings, now=NOW)
    ca_before = leaf_and_ca(settings.data_dir / "certificates")[1]
    ensure_certificates(with_console(settings, public_names=("new.example.cn",)), now=NOW)
    leaf, ca = leaf_and_ca(settings.data_dir / "certificates")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "new.example.cn" in names.get_values_for_type(x509.DNSName)
    assert ca == ca_before


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
@pytest.mark.parametrize("damage", ["missing", "empty", "torn"])
def test_a_damaged_file_is_made_anew(settings: Settings, name: str, damage: str) -> None:
    files = ensure_certificates(settings, now=NOW)
    path = settings.data_dir / "certificates" / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else 100])
    assert ensure_certificates(settings, now=NOW) == files
    leaf, ca = leaf_and_ca(settings.data_dir / "certificates")
    leaf.verify_directly_issued_by(ca)


def test_an_expired_ca_is_replaced_with_its_leaf(settings: Settings) -> None:
    ensure_certificates(settings, now=NOW)
    before = leaf_and_ca(settings.data_dir / "certificates")[1]
    ensure_certificates(settings, now=NOW + timedelta(days=3653))
    leaf, ca = leaf_and_ca(settings.data_dir / "certificates")
    assert ca.serial_number != before.serial_number
    leaf.verify_directly_issued_by(ca)


def test_the_operators_own_pair_is_used_as_it_is(settings: Settings, tmp_path: Path) -> None:
    made = ensure_certificates(settings, now=NOW)
    own = with_console(settings, certificate=made.certificate, private_key=made.private_key)
    files = ensure_certificates(own, now=NOW + timedelta(days=390))
    assert (files.certificate, files.private_key, files.authority) == (made.certificate, made.private_key, None)


def test_half_a_pair_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="together"):
        ensure_certificates(with_console(settings, certificate=tmp_path / "x.pem"), now=NOW)


def test_an_unusable_pair_is_refused_by_name(settings: Settings, tmp_path: Path) -> None:
    made = ensure_certificates(settings, now=NOW)
    bad = tmp_path / "bad.key"
    bad.write_text("no key")
    with pytest.raises(ConfigurationError, match=r"bad\.key"):
        ensure_certificates(with_console(settings, certificate=made.certificate, private_key=bad), now=NOW)


def test_a_name_that_is_none_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="public_names"):
        ensure_certificates(with_console(settings, public_names=("x" * 70 + ".cn",)), now=NOW)


def test_the_server_speaks_tls_1_2_or_newer(settings: Settings) -> None:
    context = server_context(ensure_certificates(settings, now=NOW))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_expiry_of_no_certificate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no PEM certificate"):
        expires_at(tmp_path / "none.pem")
