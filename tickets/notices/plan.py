"""What a site's settings say about notices: texts, hours, and which channels there are."""

import re
import stat
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError

from hotline.errors import ConfigurationError
from hotline.settings import Settings
from hotline.settings_notices import NoticeSettings
from tickets.datafile import Table
from tickets.notices.channel import NoticeChannel
from tickets.notices.delivery import Backoff, Hours, parse_hours
from tickets.notices.gateway import GatewayChannel, load_gateway
from tickets.notices.kinds import Channel
from tickets.notices.smtp import SmtpChannel, SmtpServer
from tickets.notices.templates import Templates, load_templates


@dataclass(frozen=True)
class NoticePlan:
    """What writing a notice needs to know. `channels`: those that are in use."""

    site: str
    templates: Templates
    channels: frozenset[Channel]
    hours: Hours
    mobile: re.Pattern[str]
    max_age: timedelta


class SecretsFile(Table):
    """`notices.secrets_file`."""

    smtp_password: SecretStr | None = None
    sms_secrets: dict[str, SecretStr] = Field(default_factory=dict)
    wecom_secrets: dict[str, SecretStr] = Field(default_factory=dict)


def load_plan(settings: Settings) -> NoticePlan:
    """Reads the texts; raises `ConfigurationError`."""
    notices = settings.notices
    try:
        mobile = re.compile(notices.mobile_pattern)
        hours = parse_hours(notices.caller_hours, settings.zone)
    except (re.error, ValueError) as error:
        raise ConfigurationError(f"notices.mobile_pattern or notices.caller_hours: {error}") from error
    return NoticePlan(
        site=settings.site_name,
        templates=load_templates(notices.templates_path, max_segments=notices.sms_max_segments),
        channels=channels_in_use(notices),
        hours=hours,
        mobile=mobile,
        max_age=timedelta(hours=notices.max_age_h),
    )


def channels_in_use(settings: NoticeSettings) -> frozenset[Channel]:
    """By what is set."""
    used = {
        Channel.SMS: settings.sms_gateway is not None,
        Channel.EMAIL: bool(settings.smtp_host),
        Channel.WECOM: settings.wecom_gateway is not None,
    }
    return frozenset(channel for channel, there in used.items() if there)


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
