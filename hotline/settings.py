"""Every setting of the product, read once at start from `hotline.toml`, `HOTLINE_*` and secret files.

Precedence, highest first: environment (`HOTLINE_SIP__PORT=5070`), secret files (`/run/secrets/hotline_database_url`),
`hotline.toml` (the file named by `HOTLINE_CONFIG`, else `./hotline.toml` where present), the defaults below.
An unknown key or a bad value is a `ConfigurationError` that names it.
"""

import os
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from hotline.errors import ConfigurationError
from hotline.settings_errors import explain, not_json
from hotline.settings_notices import NoticeSettings, WebhookSettings
from hotline.settings_sections import (
    BUNDLED_MODEL,
    MAX_NODE_LENGTH,
    MAX_PORT,
    ApiSettings,
    AsrSettings,
    ConsoleSettings,
    DialPlanSettings,
    DuplicateSettings,
    ExtensionSettings,
    FieldSettings,
    FigureSettings,
    FlowSettings,
    LimitSettings,
    MediaSettings,
    Open311Settings,
    PrivacySettings,
    RecordingSettings,
    ReviewSettings,
    SearchSettings,
    SipSettings,
    SurveySettings,
    TicketSettings,
    TopicSettings,
    TrunkSettings,
    check_address,
)

PREFIX = "HOTLINE_"
CONFIG_VARIABLE = "HOTLINE_CONFIG"
SECRETS_VARIABLE = "HOTLINE_SECRETS_DIR"
CHOSEN_MODEL = "in-use"  # a link to the chosen one; a broken link is an error, not a reason to take another
SECRETS = ("database_url", "valkey_url", "recordings_url")
ADDRESSES = (*SECRETS, "asr.url", "asr.urls", "asr.second_pass_url")  # may hold a password: no error repeats them


class Settings(BaseSettings):
    """The whole configuration. Build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    data_dir: Path = Field(Path("var"), description="everything the site writes lives here")
    site_name: str = "12345 热线"
    timezone: str = "Asia/Shanghai"
    node: str = Field(
        default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9._-]+$", min_length=1, max_length=MAX_NODE_LENGTH
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    database_url: SecretStr = Field(SecretStr(""), description="empty: SQLite under data_dir")
    valkey_url: SecretStr = Field(SecretStr(""), description="empty: `hotline serve` starts its own on a unix socket")
    recordings_url: str = Field("", description="fsspec address of the recording store; empty: data_dir/recordings")
    trunks: tuple[TrunkSettings, ...] = Field((), description="carriers that calls go out by")
    sip: SipSettings = SipSettings()
    extensions: ExtensionSettings = ExtensionSettings()
    dial_plan: DialPlanSettings = DialPlanSettings()
    limits: LimitSettings = LimitSettings()
    media: MediaSettings = MediaSettings()
    flow: FlowSettings = FlowSettings()
    recordings: RecordingSettings = RecordingSettings()
    asr: AsrSettings = AsrSettings()
    tickets: TicketSettings = TicketSettings()
    field: FieldSettings = FieldSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    topics: TopicSettings = TopicSettings()
    surveys: SurveySettings = SurveySettings()
    notices: NoticeSettings = NoticeSettings()
    webhooks: WebhookSettings = WebhookSettings()
    review: ReviewSettings = ReviewSettings()
    search: SearchSettings = SearchSettings()
    figures: FigureSettings = FigureSettings()
    privacy: PrivacySettings = PrivacySettings()
    console: ConsoleSettings = ConsoleSettings()
    api: ApiSettings = ApiSettings()
    open311: Open311Settings = Open311Settings()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no time zone named {value!r}") from error
        return value

    @field_validator("trunks")
    @classmethod
    def _named_once(cls, value: tuple[TrunkSettings, ...]) -> tuple[TrunkSettings, ...]:
        names = [trunk.name for trunk in value]
        if len(set(names)) < len(names):
            raise ValueError("two trunks have the same name")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        if value and not value.get_secret_value().startswith(("sqlite://", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:// or postgresql+psycopg://")
        return value

    @field_validator("valkey_url")
    @classmethod
    def _known_broker(cls, value: SecretStr) -> SecretStr:
        check_address(value.get_secret_value(), "redis://", "rediss://", "unix://")
        return value

    @model_validator(mode="after")
    def _enough_rtp_ports(self) -> "Settings":
        processes = self.media.processes
        if len(self.media.rtp_ports()) // processes < self.sip.max_calls:
            each = f" in each of media.processes ({processes})" if processes > 1 else ""
            raise ValueError(
                f"media.rtp_port_min and media.rtp_port_max ({self.media.rtp_port_min}-{self.media.rtp_port_max}) "
                f"leave too few ports for sip.max_calls ({self.sip.max_calls}){each}: two a call"
            )
        if self.asr.port + self.asr.processes - 1 > MAX_PORT:
            raise ValueError(
                f"asr.port ({self.asr.port}) leaves too few ports for asr.processes ({self.asr.processes})"
            )
        if self.sip.port + processes - 1 > MAX_PORT:
            raise ValueError(f"sip.port ({self.sip.port}) leaves too few ports for media.processes ({processes})")
        if processes > 1 and len(f"{self.node}-{processes}") > MAX_NODE_LENGTH:
            raise ValueError(f"node ({self.node}) is too long to be numbered for media.processes ({processes})")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        secrets = Path(os.environ.get(SECRETS_VARIABLE, "/run/secrets"))
        if secrets.is_dir():
            sources.append(SecretsSettingsSource(settings_cls, secrets_dir=secrets))
        config = config_file()
        if config is not None:
            try:
                sources.append(TomlConfigSettingsSource(settings_cls, toml_file=config))
            except tomllib.TOMLDecodeError as error:
                raise ConfigurationError(f"{config}: not valid TOML: {error}") from error
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{config}: cannot be read as UTF-8 text: {error}") from error
        return tuple(sources)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def media_processes(self) -> tuple["Settings", ...]:
        """The settings of each media process of this machine: a node, a SIP port and an even share of the RTP ports."""
        count, ports = self.media.processes, self.media.rtp_ports()
        if count == 1:
            return (self,)
        shares = (ports[index * (len(ports) // count) :][: len(ports) // count] for index in range(count))
        return tuple(
            self.model_copy(
                update={
                    "node": self.node if index == 0 else f"{self.node}-{index + 1}",
                    "sip": self.sip.model_copy(update={"port": self.sip.port + index}),
                    "extensions": self.extensions.model_copy(update={"shared": True}),
                    "trunks": self.trunks if index == 0 else tuple(_unregistered(trunk) for trunk in self.trunks),
                    "media": self.media.model_copy(
                        update={"processes": 1, "rtp_port_min": share[0], "rtp_port_max": share[-1]}
                    ),
                }
            )
            for index, share in enumerate(shares)
        )

    def recognizer_processes(self) -> tuple["Settings", ...]:
        """The settings of each recognizer process of this machine: a port each."""
        return tuple(
            self.model_copy(update={"asr": self.asr.model_copy(update={"processes": 1, "port": self.asr.port + index})})
            for index in range(self.asr.processes)
        )

    @property
    def spool_dir(self) -> Path:
        """Recordings and journals of calls that are not yet rows, one folder a node."""
        return self.data_dir / "spool"

    @property
    def site_dir(self) -> Path:
        """Words and places of the site, changed by commands and read by every process."""
        return self.data_dir / "site"

    @property
    def words_path(self) -> Path:
        """The site's words, as `asr.words` reads them."""
        return self.site_dir / "words.tsv"

    @property
    def places_path(self) -> Path:
        """The places that the site imported, as `tickets.places` reads them."""
        return self.site_dir / "places.tsv"

    @property
    def extensions_path(self) -> Path:
        """The file of extensions and their HA1."""
        return self.data_dir / "extensions.json"

    @property
    def valkey_socket(self) -> Path:
        return self.data_dir.resolve() / "valkey" / "valkey.sock"

    def effective_database_url(self) -> str:
        """The SQLAlchemy address in use."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir / 'hotline.db'}"

    def effective_valkey_url(self) -> str:
        """The broker address in use."""
        return self.valkey_url.get_secret_value() or f"unix://{self.valkey_socket}"

    def effective_recordings_url(self) -> str:
        """The fsspec address of the recording store in use."""
        return self.recordings_url or str(self.data_dir / "recordings")

    @property
    def models_dir(self) -> Path:
        """Where `hotline models` puts recognition models."""
        return self.data_dir / "models"

    def effective_model_path(self) -> Path:
        """The recognition model in use: as set, else as chosen with `hotline models use`, else the bundled one."""
        chosen = self.models_dir / CHOSEN_MODEL
        return self.asr.model_path or (chosen if chosen.is_symlink() else BUNDLED_MODEL)

    def own_asr_url(self) -> str:
        """The address of the recognizer process that these settings are for."""
        host = self.asr.advertised_address or self.asr.address
        return f"ws://[{host}]:{self.asr.port}" if ":" in host else f"ws://{host}:{self.asr.port}"

    def fixed_asr_urls(self) -> tuple[str, ...]:
        """The recognizers that the settings name; none where `hotline serve` starts them."""
        return tuple(dict.fromkeys(filter(None, (self.asr.url, *self.asr.urls))))

    def effective_asr_urls(self) -> tuple[str, ...]:
        """The recognizers' WebSocket addresses as far as the settings know them; others announce themselves."""
        return self.fixed_asr_urls() or tuple(own.own_asr_url() for own in self.recognizer_processes())

    def effective_asr_url(self) -> str:
        """The first of them."""
        return self.effective_asr_urls()[0]

    def masked(self) -> dict[str, Any]:
        """All effective settings as plain data, secrets masked."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        plain["database_url"] = mask_url(self.effective_database_url())
        plain["valkey_url"] = mask_url(self.effective_valkey_url())
        plain["recordings_url"] = mask_url(self.effective_recordings_url())
        plain["asr"]["model_path"] = str(self.effective_model_path())
        plain["asr"]["second_pass_url"] = mask_url(self.asr.second_pass_url)
        plain["asr"]["url"] = mask_url(self.effective_asr_url())
        plain["asr"]["urls"] = [mask_url(url) for url in self.asr.urls]
        return plain


def _unregistered(trunk: TrunkSettings) -> TrunkSettings:
    """A trunk of a second process: a carrier would send each call to every process that registers."""
    return trunk.model_copy(update={"registers": False})


def config_file() -> Path | None:
    """The configuration file in use, or None. A file that `HOTLINE_CONFIG` names must exist."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            raise ConfigurationError(f"{CONFIG_VARIABLE} names {named}, which is no file")
        return path
    default = Path("hotline.toml")
    return default if default.is_file() else None


def load_settings() -> Settings:
    """Reads and checks the configuration; raises `ConfigurationError` naming each wrong key."""
    _refuse_unknown_variables(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(explain(item, prefix=PREFIX, secret=ADDRESSES) for item in error.errors())
        ) from error
    except SettingsError as error:  # a variable that should hold JSON and does not
        raise not_json(error, Settings, prefix=PREFIX) from error


def mask_url(url: str) -> str:
    """`url` with its passwords replaced by ***: before the host, or as a query's `password`."""
    masked = re.sub(r"://([^:/@]*):.*@", r"://\1:***@", url, flags=re.DOTALL)
    return re.sub(r"([?&]password=)[^&#]*", r"\1***", masked, flags=re.IGNORECASE)


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {CONFIG_VARIABLE, SECRETS_VARIABLE}
    for name, info in Settings.model_fields.items():
        known.add(f"{PREFIX}{name.upper()}")
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            known.update(f"{PREFIX}{name.upper()}__{key.upper()}" for key in info.annotation.model_fields)
    unknown = sorted(key for key in environment if key.startswith(PREFIX) and key not in known)
    if unknown:
        raise ConfigurationError(
            f"unknown setting {', '.join(unknown)}", hint="`hotline config` lists the settings there are"
        )
