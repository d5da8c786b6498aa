"""The tables `[notices]` and `[webhooks]` of `hotline.toml`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr, field_validator, model_validator

from hotline.settings_sections import PACKAGE_ROOT, Names, Networks, Port, Section


def _pairs(value: object) -> object:
    return tuple(value.items()) if isinstance(value, dict) else value


Secrets = Annotated[
    tuple[tuple[str, SecretStr], ...],
    BeforeValidator(_pairs),
    PlainSerializer(lambda pairs: {name: str(value) for name, value in pairs}),
]
"""A table of names and secrets, which can be hashed as all settings can."""


class NoticeSettings(Section):
    """What people are told by SMS, e-mail and WeCom. A channel is in use when its gateway or server is named."""

    templates_path: Path = Field(PACKAGE_ROOT / "tickets/data/notices.yaml", description="the texts")
    caller_hours: str = Field(
        "08:00-21:00",
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="of each day in which callers are told anything that is not T1",
    )
    mobile_pattern: str = Field("^1[3-9][0-9]{9}$", description="regular expression: numbers that get short messages")
    sms_max_segments: int = Field(5, ge=1, le=20, description="short messages that one notice may become")
    operators: Names = Field((), description="e-mail addresses told what is wrong with the hotline's interfaces")
    secrets_file: Path | None = Field(
        None, description="TOML: smtp_password, [sms_secrets], [wecom_secrets]; above those written here"
    )
    ca_file: Path | None = Field(None, description="PEM: authorities of servers and gateways; empty: the system's")
    smtp_host: str = Field("", pattern=r"^[A-Za-z0-9.:-]*$", description="mail server; empty: no e-mail")
    smtp_port: Port = 587
    smtp_security: Literal["starttls", "tls", "none"] = Field("starttls", description="tls: from the start (port 465)")
    smtp_username: str = Field("", max_length=128, description="empty: no sign-in")
    smtp_password: SecretStr = SecretStr("")
    smtp_sender: str = Field("", description="address that letters come from")
    sms_gateway: Path | None = Field(None, description="YAML: how the SMS gateway is spoken to; empty: no SMS")
    sms_secrets: Secrets = Field((), description="what its {secret.NAME} stand for")
    wecom_gateway: Path | None = Field(None, description="YAML: how WeCom is spoken to; empty: no WeCom")
    wecom_secrets: Secrets = Field((), description="what its {secret.NAME} stand for")
    timeout_s: float = Field(20.0, gt=0, le=60, description="a server or gateway that takes longer for an answer")
    lease_s: float = Field(180.0, ge=60, description="a worker died over a message: taken up again after so long")
    backoff_s: float = Field(30.0, gt=0, description="wait after a failed attempt; doubled up to backoff_max_s")
    backoff_max_s: float = Field(3600.0, gt=0)
    max_attempts: int = Field(20, ge=1, le=1000)
    max_age_h: float = Field(72.0, gt=0, description="a notice that could not be sent for so long is of no use")
    keep_days: float = Field(180.0, gt=0, description="text and address of a notice are forgotten after so long")

    @field_validator("operators")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(address.count("@") != 1 or any(map(str.isspace, address)) for address in value):
            raise ValueError("operators are e-mail addresses")
        return value

    @model_validator(mode="after")
    def _sends_as_somebody(self) -> "NoticeSettings":
        if self.smtp_host and self.smtp_sender.count("@") != 1:
            raise ValueError("smtp_sender is needed with smtp_host: the address that letters come from")
        if self.smtp_username and self.smtp_security == "none":
            raise ValueError("smtp_username with smtp_security = none would send the password in the clear")
        if self.lease_s < 5 * self.timeout_s:
            raise ValueError("lease_s is less than five times timeout_s: a slow server's message would be sent twice")
        return self


class WebhookSettings(Section):
    """Signed events for other systems (`hotline webhooks`)."""

    allowed_hosts: Names = Field((), description="hosts that may be subscribed: names, *.NAME, addresses; empty: none")
    private_networks: Networks = Field((), description="networks that are not public in which such hosts may be")
    key_file: Path | None = Field(
        None, description="the site's key for webhooks, the same for every worker; empty: data_dir/webhooks.key"
    )
    ca_file: Path | None = Field(None, description="PEM: authorities of the receivers; empty: the system's")
    max_subscriptions: int = Field(50, ge=1, le=1000)
    timeout_s: float = Field(20.0, gt=0, le=60, description="a receiver that takes longer for an answer")
    lease_s: float = Field(180.0, ge=60, description="a worker died over a delivery: taken up again after so long")
    backoff_s: float = Field(5.0, gt=0, description="wait after a failed attempt, times backoff_factor after each more")
    backoff_factor: float = Field(6.0, ge=1, le=100)
    backoff_max_s: float = Field(43_200.0, gt=0)
    max_attempts: int = Field(10, ge=1, le=1000)
    max_age_h: float = Field(96.0, gt=0, description="an event that could not be delivered for so long is given up")
    disable_after_days: float = Field(
        5.0, gt=0, description="a subscription to which nothing could be delivered for so long is disabled"
    )
    rotation_h: float = Field(24.0, gt=0, description="after a change of secret both are signed with for so long")
    keep_days: float = Field(30.0, gt=0, description="the bodies of deliveries are forgotten after so long")

    @model_validator(mode="after")
    def _lease_outlives_an_attempt(self) -> "WebhookSettings":
        if self.lease_s < 2 * self.timeout_s:
            raise ValueError("lease_s is less than twice timeout_s: a slow receiver's event would be sent twice")
        return self
