"""Every setting of the product, read once at start from `hotline.toml`, `HOTLINE_*` and secret files.

Precedence, highest first: environment (`HOTLINE_SIP__PORT=5070`), secret files (`/run/secrets/hotline_database_url`),
`hotline.toml` (the file named by `HOTLINE_CONFIG`, else `./hotline.toml` where present), the defaults below.
An unknown key or a bad value is a `ConfigurationError` that names it.
"""

import json
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from hotline.errors import ConfigurationError
from hotline.settings_errors import explain, not_json

PREFIX = "HOTLINE_"
CONFIG_VARIABLE = "HOTLINE_CONFIG"
SECRETS_VARIABLE = "HOTLINE_SECRETS_DIR"
SECRETS = ("database_url", "valkey_url", "recordings_url")
ADDRESSES = (*SECRETS, "asr.url")  # may hold a password, so an error does not repeat them
PACKAGE_ROOT = Path(__file__).resolve().parent.parent


def _from_json(value: object) -> object:
    """The list that an environment variable holds as JSON; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ValueError('a list is written as JSON: ["one", "two"]') from None


MAX_PORT = 65535
MAX_NODE_LENGTH = 64
Port = Annotated[int, Field(ge=1, le=MAX_PORT)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_from_json)]


class Section(BaseModel):
    """A table of `hotline.toml`: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for item in value:
        ip_network(item, strict=False)
    return value


def as_networks(names: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """A checked setting as networks."""
    return tuple(ip_network(item, strict=False) for item in names)


Networks = Annotated[Names, AfterValidator(_check_networks)]


class SipSettings(Section):
    """The trunk: where we listen and whom we answer."""

    address: str = "0.0.0.0"  # noqa: S104 - a trunk comes from another machine; `allowed_peers` decides who is heard
    port: Port = 5060
    advertised_address: str = Field(
        "", description="IP address written into Contact and SDP; empty: the local address facing the peer"
    )
    allowed_peers: Networks = Field(("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), min_length=1)
    max_calls: int = Field(200, ge=1, description="calls at once; one more gets 503 with Retry-After")
    dns_servers: Names = Field((), description="HOST or HOST:PORT, asked for carriers; empty: the system's")
    session_s: int = Field(1800, ge=90, le=86400, description="a session is refreshed within this time (RFC 4028)")
    session_min_s: int = Field(90, ge=90, le=86400, description="a shorter session is refused with 422")

    @field_validator("address", "advertised_address")
    @classmethod
    def _numeric(cls, value: str) -> str:
        if value:
            ip_address(value)
        return value

    @model_validator(mode="after")
    def _session_bears_its_least(self) -> "SipSettings":
        if self.session_min_s > self.session_s:
            raise ValueError("session_min_s is more than session_s")
        return self

    def peer_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`allowed_peers` as networks."""
        return as_networks(self.allowed_peers)


class TrunkSettings(Section):
    """A carrier or PBX that we register with or that knows our address, as one entry of `[[trunks]]`."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    domain: str = Field(pattern=r"^[A-Za-z0-9.:\[\]-]+$", description="in REGISTER and From")
    servers: Names = Field((), description="HOST or HOST:PORT, tried in this order; empty: DNS SRV of the domain")
    networks: Networks = Field((), description="further addresses that its calls come from")
    username: str = Field("", max_length=128, description="empty: no registration, it knows our address")
    password: SecretStr = SecretStr("")
    registers: bool = Field(True, description="false: username and password only answer its questions")
    contact: str = Field("", description="HOST or HOST:PORT where it shall call us: an edge; empty: this process")
    expires_s: int = Field(600, ge=60, le=86400, description="asked for; refreshed in time")
    backoff_s: float = Field(5.0, gt=0, description="wait after all servers failed; doubled up to backoff_max_s")
    backoff_max_s: float = Field(120.0, gt=0)
    options_s: float = Field(30.0, ge=0, description="an OPTIONS keepalive so often; 0: none")
    max_missed: int = Field(3, ge=1, description="keepalives without an answer until a server is down")
    patience_s: float = Field(4.0, gt=0, description="a server that says nothing for so long has failed")
    patterns: Names = Field(("!",), description="numbers outside that go out by it")
    number_form: Literal["national", "e164", "dialled"] = "national"
    strip: int = Field(0, ge=0, le=20, description="characters taken off the front of a number")
    prefix: str = Field("", pattern=r"^\+?[0-9*#]{0,16}$", description="then put before it")
    caller_id: str = Field(
        "", pattern=r"^\+?[0-9]{0,20}$", description="what calls show; empty: the username, if a number"
    )
    asserted_identity: bool = Field(False, description="P-Asserted-Identity in calls: it is trusted (RFC 3325)")
    calls: int = Field(0, ge=0, description="calls at once, both directions; 0: as any peer")
    calls_per_s: float = Field(0.0, ge=0, description="new calls a second, both directions; 0: as any peer")

    @model_validator(mode="after")
    def _secret_with_a_name(self) -> "TrunkSettings":
        if self.password.get_secret_value() and not self.username:
            raise ValueError("a password goes with a username")
        return self


class ExtensionSettings(Section):
    """Desk phones and softphones that sign in."""

    networks: Networks = Field((), description="where phones may be; empty: no phones")
    realm: str = Field("hotline", pattern=r'^[^"\\\x00-\x1f\x7f]{1,128}$', description="part of every stored secret")
    min_expires_s: int = Field(60, ge=1, le=3600)
    max_expires_s: int = Field(3600, ge=60, le=86400)
    max_contacts: int = Field(5, ge=1, le=100, description="phones of one extension")
    algorithms: Annotated[tuple[Literal["SHA-256", "MD5"], ...], NoDecode, BeforeValidator(_from_json)] = Field(
        ("SHA-256", "MD5"), min_length=1, description="digests asked for, the best first (RFC 8760)"
    )
    shared: bool = Field(False, description="media processes know each other's phones; so where media.processes > 1")


class DialPlanSettings(Section):
    """Who may call what; patterns as in docs/seats.md."""

    from_trunk: Names = Field(("!",), description="our numbers: what a trunk may call")
    from_extension: Names = Field(("12345",), description="our numbers that extensions may call")
    outgoing: Names = Field((), description="what extensions may call outside")
    between_extensions: bool = False
    region: str = Field("CN", pattern=r"^[A-Z]{2}$", description="country of numbers without one")
    area_code: str = Field("", pattern=r"^(0[0-9]{1,4})?$", description="of local numbers, with its 0")


class LimitSettings(Section):
    """How much a peer may ask, and when a stranger is not heard any more."""

    calls_per_s: float = Field(100.0, gt=0, description="new calls of one address; more get 503 with Retry-After")
    calls_per_peer: int = Field(10_000, ge=1, description="calls at once of one address")
    offences: int = Field(10, ge=1, description="refused requests of a stranger within offence_window_s ban him")
    offence_window_s: float = Field(60.0, gt=0)
    ban_s: float = Field(600.0, gt=0)
    ban_exempt: Networks = Field((), description="never banned: an edge that strangers come through")


class MediaSettings(Section):
    """The 20 ms engine and the recorder."""

    processes: int = Field(
        1, ge=1, le=64, description="started by `hotline serve`: with SIP ports from sip.port on, RTP ports shared out"
    )
    rtp_port_min: Port = 20000
    rtp_port_max: Port = 29998
    playout_delay_ms: int = Field(60, ge=20, le=400, description="jitter buffer depth of recording and recognition")
    playout_min_ms: int = Field(40, ge=20, le=200, description="least delay of what parties of a call hear")
    playout_max_ms: int = Field(200, ge=20, le=200, description="largest delay of what parties of a call hear")
    codecs: tuple[Literal["PCMA", "PCMU", "G722"], ...] = Field(
        ("PCMA", "PCMU"),
        min_length=1,
        description="what we speak, in the order in which we offer it; a caller's G722 is recorded at 16 kHz",
    )
    inband_digits: Literal["auto", "always", "off"] = Field(
        "auto",
        description="keys as tones in the audio are heard where the far end agreed to no telephone-event (RFC 4733); "
        "`always`: also where it did, until it uses it",
    )
    rtp_timeout_s: float = Field(30.0, gt=0, description="no packet for so long: BYE")
    max_call_s: float = Field(1800.0, gt=0, description="a call is ended after so long")
    tracks: bool = Field(False, description="a WAV of its own for each party besides the caller")
    ring_s: float = Field(60.0, gt=0, description="a phone that is rung and not answered is given up after so long")
    command_max_age_s: float = Field(30.0, ge=1, le=3600, description="an older command (call control) is refused")
    max_commands: int = Field(1000, ge=1, description="commands that may wait for a node; one more is refused")

    @model_validator(mode="after")
    def _codecs_once(self) -> "MediaSettings":
        if len(set(self.codecs)) < len(self.codecs):
            raise ValueError(f"codecs ({', '.join(self.codecs)}) names one twice")
        return self

    @model_validator(mode="after")
    def _delays_in_order(self) -> "MediaSettings":
        if self.playout_min_ms > self.playout_max_ms:
            raise ValueError(f"playout_min_ms ({self.playout_min_ms}) exceeds playout_max_ms ({self.playout_max_ms})")
        return self

    def rtp_ports(self) -> range:
        """The even ports of the range, one a call; the next of each is its RTCP (RFC 3550 section 11)."""
        return range(self.rtp_port_min + self.rtp_port_min % 2, self.rtp_port_max + 1, 2)


class FlowSettings(Section):
    """The menu a caller meets."""

    path: Path = PACKAGE_ROOT / "ivr/flows/intake.yaml"
    survey_path: Path = Field(PACKAGE_ROOT / "ivr/flows/survey.yaml", description="the call-back survey's flow")
    prompts_dir: Path = PACKAGE_ROOT / "ivr/prompts/zh"


class AsrSettings(Section):
    """Recognition."""

    model_path: Path = PACKAGE_ROOT / "asr/zh_tiny"
    url: str = Field("", description="ws:// address of a recognizer; empty: the one `hotline serve` starts")
    address: str = "127.0.0.1"
    port: Port = 2700
    threads: int = Field(2, ge=1, le=64, description="utterances decoded at once by a recognizer process")
    max_connections: int = Field(64, ge=1, description="streams a recognizer process holds; one more is refused")
    max_message_bytes: int = Field(1 << 20, ge=16_000, description="largest message a recognizer process takes")
    max_live_calls: int = Field(8, ge=0, description="calls captioned live; more are transcribed after hang-up")
    allow_demo_model: bool = Field(True, description="false in production: the bundled model refuses to load")

    @field_validator("url")
    @classmethod
    def _web_socket(cls, value: str) -> str:
        return _address(value, "ws://", "wss://")


class TicketSettings(Section):
    """Numbering and the site's data files."""

    number_prefix: str = Field("YQ", pattern=r"^[A-Z]{2}$")
    taxonomy_path: Path = PACKAGE_ROOT / "tickets/data/taxonomy.yaml"
    gazetteer_path: Path = PACKAGE_ROOT / "tickets/data/gazetteer.yaml"
    deadlines_path: Path = PACKAGE_ROOT / "tickets/data/deadlines.yaml"
    transcript_patience_s: float = Field(
        120.0, ge=0, description="a recognizer away for so long after a call: the ticket is made without a transcript"
    )
    sweep_after_s: float = Field(60.0, gt=0, description="a finished call still in the spool is handed in again")
    lookup_failures_per_caller: int = Field(
        5, ge=1, description="wrong lookup codes of a caller within lookup_window_s, then nothing is found for him"
    )
    lookup_failures_per_ticket: int = Field(
        10, ge=1, description="wrong lookup codes for a ticket within lookup_window_s, then it is not found"
    )
    lookup_window_s: float = Field(3600.0, gt=0)


class SurveySettings(Section):
    """Call-back surveys. How often and when they are tried is said by their flow (flow.survey_path)."""

    max_calls: int = Field(5, ge=0, description="survey calls at once; 0: none are placed")
    lost_after_s: float = Field(
        1800.0, ge=60, description="a survey call of which nothing is heard for media.max_call_s and so long is lost"
    )


class ConsoleSettings(Section):
    """The web console."""

    address: str = "127.0.0.1"
    port: Port = 8443
    public_names: Names = Field((), description="extra DNS names or IP addresses in the certificate")
    session_hours: float = Field(10.0, gt=0)
    max_failed_logins: int = Field(5, ge=1)
    lock_minutes: float = Field(15.0, gt=0)
    unmask_minutes: float = Field(10.0, gt=0, description="how long a logged reason shows a ticket's full numbers")
    hearing_minutes: float = Field(30.0, gt=0, description="playing a recording again within it is one log entry")
    max_event_streams: int = Field(500, ge=1, description="open pages that follow events; one more gets 503")
    event_stream_minutes: float = Field(5.0, gt=0, description="then a page signs in its event stream anew")
    certificate: Path | None = Field(None, description="PEM chain; empty: made from the site CA at first start")
    private_key: Path | None = None


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
    asr: AsrSettings = AsrSettings()
    tickets: TicketSettings = TicketSettings()
    surveys: SurveySettings = SurveySettings()
    console: ConsoleSettings = ConsoleSettings()

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
        _address(value.get_secret_value(), "redis://", "rediss://", "unix://")
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

    @property
    def spool_dir(self) -> Path:
        """Recordings and journals of calls that are not yet rows, one folder a node."""
        return self.data_dir / "spool"

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

    def effective_asr_url(self) -> str:
        """The recognizer's WebSocket address in use."""
        return self.asr.url or f"ws://{self.asr.address}:{self.asr.port}"

    def masked(self) -> dict[str, Any]:
        """All effective settings as plain data, secrets masked."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        plain["database_url"] = mask_url(self.effective_database_url())
        plain["valkey_url"] = mask_url(self.effective_valkey_url())
        plain["recordings_url"] = mask_url(self.effective_recordings_url())
        plain["asr"]["url"] = mask_url(self.effective_asr_url())
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


def _address(url: str, *schemes: str) -> str:
    """`url` where it is empty or an address under one of `schemes`."""
    problem = f"must be an address that starts with {' or '.join(schemes)}"
    try:
        parts = urlsplit(url)
        whole = bool(parts.netloc or parts.path) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise ValueError(problem) from None  # its text may hold a part of the password
    if url and not (url.startswith(schemes) and whole):
        raise ValueError(problem)
    return url


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
