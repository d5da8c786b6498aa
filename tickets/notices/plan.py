"""What a site's settings say about notices: texts, hours, and which channels there are."""

import re
from dataclasses import dataclass
from datetime import timedelta

from hotline.errors import ConfigurationError, InvalidInputError
from hotline.settings import Settings
from hotline.settings_notices import NoticeSettings
from tickets.notices.delivery import Hours, parse_hours
from tickets.notices.kinds import Channel, Recipient
from tickets.notices.templates import Templates, load_templates


@dataclass(frozen=True)
class NoticePlan:
    """What writing a notice needs to know. `channels`: those that are in use; `max_age` of notices,
    `event_age` of webhooks: later they are of no use."""

    site: str
    templates: Templates
    channels: frozenset[Channel]
    hours: Hours
    mobile: re.Pattern[str]
    max_age: timedelta
    event_age: timedelta
    operators: tuple[Recipient, ...]


def load_plan(settings: Settings) -> NoticePlan:
    """Reads the texts; raises `ConfigurationError`."""
    notices = settings.notices
    try:
        mobile = re.compile(notices.mobile_pattern)
        hours = parse_hours(notices.caller_hours, settings.zone)
    except (re.error, ValueError) as error:
        raise ConfigurationError(f"notices.mobile_pattern or notices.caller_hours: {error}") from error
    try:
        operators = tuple(Recipient(Channel.EMAIL, address) for address in notices.operators)
    except InvalidInputError as error:
        raise ConfigurationError(f"notices.operators: {error.message}") from error
    return NoticePlan(
        site=settings.site_name,
        templates=load_templates(notices.templates_path, max_segments=notices.sms_max_segments),
        channels=channels_in_use(notices),
        hours=hours,
        mobile=mobile,
        max_age=timedelta(hours=notices.max_age_h),
        operators=operators,
        event_age=timedelta(hours=settings.webhooks.max_age_h),
    )


def channels_in_use(settings: NoticeSettings) -> frozenset[Channel]:
    """By what is set."""
    used = {
        Channel.SMS: settings.sms_gateway is not None,
        Channel.EMAIL: bool(settings.smtp_host),
        Channel.WECOM: settings.wecom_gateway is not None,
    }
    return frozenset(channel for channel, there in used.items() if there)
