"""The tables of `hotline.toml`: what may stand in each, and what it means."""

import json
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

PACKAGE_ROOT = Path(__file__).resolve().parent.parent
BUNDLED_MODEL = PACKAGE_ROOT / "asr/zh_tiny"


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
    transfer: Literal["bridge", "refer"] = Field(
        "bridge", description="refer: its callers who are transferred outside are put through by it (REFER)"
    )
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
    spare_spool_dir: str = Field(
        "", description="a folder on another disk, where recordings go on when the disk of data_dir is full or fails"
    )
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


class RecordingSettings(Section):
    """What is kept of calls, beside where (`recordings_url`)."""

    manifest_s: float = Field(
        60.0, gt=0, description="new links of the hash chain are written into the store so often, by the worker"
    )
    key_file: Path | None = Field(None, description="keys that stored files are encrypted under; unset: in plain")
    key_command: str = Field("", description="a command that prints those keys, in place of a file")
    key_command_s: float = Field(10.0, gt=0, description="patience with it")
    ffmpeg_s: float = Field(600.0, gt=0, description="patience with ffmpeg, which reads and compresses, for one file")
    compress_after_days: int = Field(
        0, ge=0, le=36_500, description="recordings are compressed so long after their call, by the worker; 0: never"
    )
    compress_to: Literal["flac", "opus"] = Field(
        "flac", description="flac loses nothing; opus is small, and no evidence"
    )
    opus_kbps: int = Field(24, ge=6, le=256, description="kbit/s of each channel in opus")
    compress_batch: int = Field(
        50, ge=1, description="recordings a job compresses before others of its kind have a turn"
    )
    decoded_max_bytes: int = Field(
        1 << 30, ge=0, description="decoded recordings that a process keeps on disk to read them again"
    )

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> "RecordingSettings":
        if self.key_file is not None and self.key_command:
            raise ValueError("key_file and key_command are two places for the keys: set one")
        return self


class AsrSettings(Section):
    """Recognition."""

    model_path: Path | None = Field(
        None, description="a model's directory; empty: what `hotline models use` chose, else the bundled demo model"
    )
    models_mirror: str = Field("", description="folder of model archives (http) for `hotline models fetch`")
    models_max_bytes: int = Field(8 << 30, ge=1 << 20, description="largest model archive, packed and unpacked")
    engine: Literal["", "vosk", "sherpa"] = Field("", description="empty: the model's directory tells")
    url: str = Field("", description="ws:// address of a recognizer; empty: the one `hotline serve` starts")
    urls: Names = Field((), description="further ones; calls and jobs are shared out by how busy each is")
    processes: int = Field(
        1, ge=1, le=64, description="recognizers that `hotline serve` starts, on ports from asr.port on"
    )
    address: str = "127.0.0.1"
    port: Port = 2700
    advertised_address: str = Field(
        "", description="HOST by which other machines reach a recognizer process; empty: asr.address"
    )
    threads: int = Field(2, ge=1, le=64, description="utterances decoded at once by a recognizer process")
    endpoint_silence_ms: int = Field(
        600, ge=0, le=5000, description="silence that ends an utterance; 0: where the model itself ends it"
    )
    max_connections: int = Field(64, ge=1, description="streams a recognizer process holds; one more is refused")
    max_message_bytes: int = Field(1 << 20, ge=16_000, description="largest message a recognizer process takes")
    max_live_calls: int = Field(
        100, ge=0, description="most calls captioned live; those that no recognizer has room for wait for the hang-up"
    )
    correct_names: bool = Field(True, description="names of the site that were misheard are shown as they are written")
    max_words: int = Field(5_000, ge=1, le=100_000, description="words of the site (`hotline words`)")
    second_pass_url: str = Field(
        "", description="ws:// address of a recognizer that hears recordings again after the call"
    )
    second_pass_model_path: Path | None = Field(
        None, description="or a model's directory, loaded for each call; neither: no second pass"
    )
    second_pass_engine: Literal["", "vosk", "sherpa"] = Field("", description="empty: the model's directory tells")
    second_pass_timeout_s: float = Field(3600.0, gt=0, description="a second pass that takes longer is given up")
    allow_demo_model: bool = Field(True, description="false in production: the bundled model refuses to load")

    @property
    def second_pass(self) -> bool:
        """Whether recordings are heard again."""
        return bool(self.second_pass_url or self.second_pass_model_path)

    @field_validator("models_mirror")
    @classmethod
    def _web_folder(cls, value: str) -> str:
        return check_address(value, "http://", "https://")

    @field_validator("url", "second_pass_url")
    @classmethod
    def _web_socket(cls, value: str) -> str:
        return check_address(value, "ws://", "wss://")

    @field_validator("urls")
    @classmethod
    def _web_sockets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "" in value:
            raise ValueError("an address is empty")
        return tuple(check_address(url, "ws://", "wss://") for url in value)


class TicketSettings(Section):
    """Numbering and the site's data files."""

    number_prefix: str = Field("YQ", pattern=r"^[A-Z]{2}$")
    taxonomy_path: Path = PACKAGE_ROOT / "tickets/data/taxonomy.yaml"
    gazetteer_path: Path = PACKAGE_ROOT / "tickets/data/gazetteer.yaml"
    deadlines_path: Path = PACKAGE_ROOT / "tickets/data/deadlines.yaml"
    retention_path: Path = Field(PACKAGE_ROOT / "tickets/data/retention.yaml", description="how long what is kept")
    rates_path: Path = Field(PACKAGE_ROOT / "tickets/data/rates.yaml", description="how the three rates are reckoned")
    scripts_path: Path = Field(
        PACKAGE_ROOT / "tickets/data/scripts.yaml", description="what is said at the beginning and the end of calls"
    )
    knowledge_remind_days: int = Field(
        30, ge=1, le=365, description="snippets that end within so many days are listed for their owners"
    )
    classifier: str = Field(
        "in-use",
        pattern=r"^(in-use|none|[0-9]{8}-[0-9]{6}(-[0-9]+)?)$",
        description="trained model that gives categories: the one of `hotline classify use`, none, or a version",
    )
    classifier_precision: float = Field(
        0.9, ge=0.5, le=0.999, description="of a trained model's answers so many are to be right; else it does not know"
    )
    classifier_max_rows: int = Field(200_000, ge=100, le=2_000_000, description="texts that a model is trained on")
    classifier_words_path: Path = Field(
        PACKAGE_ROOT / "tickets/data/label_words.yaml", description="words of labels, for a model with few examples"
    )
    templates_path: Path = Field(
        PACKAGE_ROOT / "tickets/data/templates.yaml",
        description="sentences of each category, for a site without tickets",
    )
    calendar_path: Path | None = Field(None, description="YAML: the site's own days off and working days")
    duty_hours: Names = Field(("08:30-18:00",), description="of a working day; what a clock of working days counts")
    max_redos: int = Field(
        1, ge=0, le=9, description="so often a ticket that was not solved is done over; then it is supervised"
    )
    max_places: int = Field(20_000, ge=1, le=200_000, description="places that the site imports (`hotline places`)")
    max_import_bytes: int = Field(16 << 20, ge=1024, description="largest table (XLSX, CSV) that is imported")
    max_import_unpacked_bytes: int = Field(128 << 20, ge=1024, description="largest workbook, unpacked")
    max_import_rows: int = Field(100_000, ge=1, le=1_000_000, description="most lines of such a table")
    fallback_unit: str = Field(
        "", max_length=32, description="code of the unit that takes what is nobody's; empty: the first district office"
    )
    town_joins_tiers: Names = Field(("T1", "T4"), description="tiers in which the town's unit works along")
    dispatch_history_days: int = Field(
        365, ge=1, le=3650, description="so far back suggestions look at what people did with the like"
    )
    auto_dispatch: Names = Field(
        (), description="categories sent without a person where the catalogue says so too; first level or both"
    )
    auto_dispatch_confidence: float = Field(
        0.9, gt=0, le=1, description="a suggestion that is less sure waits for a person"
    )
    auto_dispatch_emergencies: bool = Field(False, description="also those of life and safety (T1)")
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


class TopicSettings(Section):
    """What many people call about, found once a day."""

    enabled: bool = Field(True, description="false: topics are not looked for")
    hour: int = Field(3, ge=0, le=23, description="local hour from which on the day's topics are looked for")
    at_least: int = Field(8, ge=3, le=1000, description="tickets in five weeks that make a topic")
    large: int = Field(30, ge=3, description="tickets in five weeks from which on a topic may be one of the month")
    max_texts: int = Field(50_000, ge=100, le=500_000, description="newest tickets of five weeks that are looked at")
    max_grouped: int = Field(
        8_000, ge=100, le=20_000, description="of them so many are compared with each other; the rest join: memory"
    )


class DuplicateSettings(Section):
    """Suggestions to merge tickets about one matter."""

    days: float = Field(
        7.0, gt=0, le=90, description="a ticket is compared with those of so many days before and after it"
    )
    at_least: float = Field(0.5, ge=0, le=1, description="a pair is suggested from this probability on")
    max_compared: int = Field(
        1_000, ge=1, le=20_000, description="newest tickets of the town that one is compared with"
    )
    max_suggestions: int = Field(5, ge=1, le=50, description="suggestions for a new ticket")


class FieldSettings(Section):
    """Work on the spot: photos and files of a ticket, the page for phones, links for crews without an account."""

    max_file_bytes: int = Field(32 << 20, ge=1 << 16, le=1 << 30, description="largest photo, video or file")
    max_files: int = Field(60, ge=1, le=1000, description="photos and files of one ticket")
    max_pixels: int = Field(64_000_000, ge=1_000_000, le=170_000_000, description="largest photo, in pixels")
    shown_px: int = Field(1600, ge=320, le=8000, description="longer side of the copy that people look at")
    thumbnail_px: int = Field(320, ge=64, le=1000, description="longer side of the small copy")
    public_url: str = Field(
        "",
        pattern=r"^(https://[^/?#\s]+(/[^?#\s]*)?)?$",
        description="address at which phones reach the console; empty: as the person who makes a link reaches it",
    )
    link_hours: float = Field(72.0, gt=0, le=24 * 90, description="a link for a crew is good for so long")
    max_links: int = Field(10, ge=1, le=100, description="links of one ticket that are good at the same time")
    link_failures_per_minute: int = Field(10, ge=1, description="wrong links from one address; one more gets 429")
    link_shows_phone: bool = Field(False, description="crews may call the caller; each time is logged")
    link_submits: bool = Field(False, description="crews may hand in the result; else the unit's people do")


class FigureSettings(Section):
    """Sums of days and drafts of the rates, kept by the worker."""

    refresh_s: float = Field(600.0, ge=10, description="so often what has changed is counted")
    max_tickets: int = Field(
        50_000, ge=500, description="tickets that one run looks at; the next one goes on where it stopped"
    )


class PrivacySettings(Section):
    """Personal numbers in recordings."""

    margin_ms: int = Field(
        200,
        ge=0,
        le=5000,
        description="personal numbers are hidden in the audio from so long before to so long after",
    )
    retention_gap_days: float = Field(
        40.0,
        ge=2,
        description="so long after the last retention none begins by itself: the clock may be wrong",
    )
    max_excerpt_s: float = Field(600.0, gt=0, le=36_000, description="longest excerpt of a recording that is exported")


class SurveySettings(Section):
    """Call-back surveys. How often and when they are tried is said by their flow (flow.survey_path)."""

    max_calls: int = Field(5, ge=0, description="survey calls at once; 0: none are placed")
    automatic: bool = Field(
        True, description="what callers answer closes a ticket, has it done over or supervised; else a person does that"
    )
    lost_after_s: float = Field(
        1800.0, ge=60, description="a survey call of which nothing is heard for media.max_call_s and so long is lost"
    )


class ReviewSettings(Section):
    """Reviews of transcripts."""

    unsure_below: float = Field(
        0.5, ge=0, le=1, description="a word with less confidence is underlined and counts as unsure"
    )
    low_share: float = Field(
        0.1, ge=0, le=1, description="a transcript with this share of unsure characters has low confidence"
    )
    max_versions: int = Field(500, ge=2, le=10_000, description="versions of one transcript; one more is refused")
    max_characters: int = Field(1000, ge=10, le=10_000, description="longest text of a sentence")
    shown_versions: int = Field(50, ge=1, le=500, description="newest versions that the ticket page lists")


class SearchSettings(Section):
    """Full-text search over the transcripts."""

    max_length: int = Field(100, ge=2, le=1000, description="characters of a query")
    max_terms: int = Field(8, ge=1, le=16, description="words and phrases of a query")
    page_size: int = Field(20, ge=1, le=100, description="calls on a page of results")
    per_minute: int = Field(60, ge=1, description="searches of a person in a minute; one more gets 429")


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
    inline_audio_bytes: int = Field(
        32 << 20, ge=0, description="largest recording that a vCon holds; longer ones are named by address and hash"
    )
    certificate: Path | None = Field(None, description="PEM chain; empty: made from the site CA at first start")
    private_key: Path | None = None


class ApiSettings(Section):
    """The interface for programs (/api/v1)."""

    per_minute: int = Field(
        120, ge=1, le=100_000, description="requests of a key in a minute, where it has no own rate"
    )
    refusals_per_minute: int = Field(
        20, ge=1, description="wrong keys of an address in a minute that are looked at; one more gets 429"
    )
    page_size: int = Field(50, ge=1, le=1000, description="tickets on a page, where the request does not say")
    max_page_size: int = Field(200, ge=1, le=1000, description="most tickets on a page")
    max_body_bytes: int = Field(1 << 18, ge=1024, le=16 << 20, description="largest body of a request")
    idempotency_hours: float = Field(24.0, gt=0, description="how long a request is known by its Idempotency-Key")
    calendar_events: int = Field(500, ge=1, le=5000, description="deadlines in a calendar feed, the first due")


class Open311Settings(Section):
    """Open311 GeoReport v2: what everybody may know of tickets, and reports by programs with a key."""

    enabled: bool = Field(False, description="whether there is /open311; what it tells, it tells everybody")
    jurisdiction_id: str = Field("", max_length=100, description="usually the site's domain; another one is not found")
    contact: str = Field("", max_length=500, description="whom programmers may ask, and for keys")
    categories: Names = Field((), description="first levels that are offered and listed; empty: all")
    address_precision: Literal["town", "community", "exact"] = Field(
        "town", description="how exactly everybody learns where something is"
    )
    max_requests: int = Field(1000, ge=1, le=1000, description="requests in one answer")
    per_minute: int = Field(60, ge=1, description="requests of an address in a minute; one more gets 429")


def check_address(url: str, *schemes: str) -> str:
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
