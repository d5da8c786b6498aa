"""The channels that a site's settings name, opened."""

import stat
import tomllib
from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError

from hotline.errors import ConfigurationError
from hotline.settings import Settings
from hotline.settings_notices import NoticeSettings
from tickets.datafile import Table
from tickets.notices.channel import NoticeChannel
from tickets.notices.delivery import Backoff
from tickets.notices.gateway import GatewayChannel, load_gateway
from tickets.notices.kinds import Channel
from tickets.notices.smtp import SmtpChannel, SmtpServer


class SecretsFile(Table):
    """`notices.secrets_file`."""

    smtp_password: SecretStr | None = None
    sms_secrets: dict[str, SecretStr] = Field(default_factory=dict)
    wecom_secrets: dict[str, SecretStr] = Field(default_factory=dict)


def open_channels(settings: Settings) -> dict[Channel, NoticeChannel]:
    """The adapters of the channels in use; raises `ConfigurationError` for wrong files."""
    notices = settings.notices
    secrets = _read_secrets(notices.secrets_file)
    channels: dict[Channel, NoticeChannel] = {}
    if notices.smtp_host:
        password = secrets.smtp_password or notices.smtp_password
        channels[Channel.EMAIL] = SmtpChannel(
            SmtpServer(
                host=notices.smtp_host,
                port=notices.smtp_port,
                security=notices.smtp_security,
                username=notices.smtp_username,
                password=password.get_secret_value(),
                sender=notices.smtp_sender,
                sender_name=settings.site_name,
                ca_file=notices.ca_file,
                timeout_s=notices.timeout_s,
            )
        )
    for channel, path, known in (
        (Channel.SMS, notices.sms_gateway, dict(notices.sms_secrets) | secrets.sms_secrets),
        (Channel.WECOM, notices.wecom_gateway, dict(notices.wecom_secrets) | secrets.wecom_secrets),
    ):
        if path is not None:
            plain = {name: value.get_secret_value() for name, value in known.items()}
            gateway = load_gateway(path, plain, timeout_s=notices.timeout_s, ca_file=notices.ca_file)
            channels[channel] = GatewayChannel(gateway)
    return channels


def notice_backoff(settings: NoticeSettings) -> Backoff:
    """Of all channels."""
    first, longest = timedelta(seconds=settings.backoff_s), timedelta(seconds=settings.backoff_max_s)
    return Backoff(first, 2.0, longest, settings.max_attempts)


def _read_secrets(path: Path | None) -> SecretsFile:
    if path is None:
        return SecretsFile()
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise ConfigurationError(
                f"notices.secrets_file {path} is open to every account of the machine", hint=f"chmod 600 {path}"
            )
        return SecretsFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigurationError(f"notices.secrets_file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError):  # their texts may hold a secret
        raise ConfigurationError(
            f"notices.secrets_file {path} is not as it should be",
            hint='TOML: smtp_password = "...", [sms_secrets] and [wecom_secrets] with NAME = "..."',
        ) from None
