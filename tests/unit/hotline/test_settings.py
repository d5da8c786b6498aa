"""Settings: where they come from, and what is refused."""

from pathlib import Path

import pytest

from hotline.environment import settings_environment
from hotline.errors import ConfigurationError
from hotline.settings import Settings, load_settings, mask_url


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of the machine reaches these tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOTLINE_SECRETS_DIR", str(tmp_path / "none"))


def test_defaults_need_no_file() -> None:
    settings = load_settings()
    assert settings.sip.port == 5060
    assert settings.effective_database_url() == "sqlite:///var/hotline.db"
    assert settings.effective_valkey_url().startswith("unix://")


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hotline.toml").write_text('site_name = "延庆"\n[sip]\nport = 5070\nmax_calls = 7\n', encoding="utf-8")
    monkeypatch.setenv("HOTLINE_SIP__PORT", "5080")
    settings = load_settings()
    assert (settings.site_name, settings.sip.port, settings.sip.max_calls) == ("延庆", 5080, 7)


def test_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "hotline_database_url").write_text("postgresql+psycopg://a:geheim@db/hotline\n")
    monkeypatch.setenv("HOTLINE_SECRETS_DIR", str(secrets))
    settings = load_settings()
    assert settings.effective_database_url() == "postgresql+psycopg://a:geheim@db/hotline"
    assert "geheim" not in str(settings.masked()) + repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HOTLINE_SIP__PORT", "70000", "sip.port"),
        ("HOTLINE_SIP__PORT", "many", "sip.port"),
        ("HOTLINE_SIP__ALLOWED_PEERS", '["300.0.0.0/8"]', "sip.allowed_peers"),
        ("HOTLINE_SIP__ALLOWED_PEERS", "127.0.0.1", "HOTLINE_SIP__ALLOWED_PEERS"),
        ("HOTLINE_SIP__ALLOWED_PEERS", "[]", "sip.allowed_peers"),
        ("HOTLINE_SIP", "bad", "HOTLINE_SIP"),
        ("HOTLINE_EXTENSIONS__ALGORITHMS", '["SHA-1"]', "extensions.algorithms"),
        ("HOTLINE_EXTENSIONS__ALGORITHMS", "[]", "extensions.algorithms"),
        ("HOTLINE_CONSOLE__PUBLIC_NAMES", "hotline.example.cn", "HOTLINE_CONSOLE__PUBLIC_NAMES"),
        ("HOTLINE_VALKEY_URL", "localhost:6379", "HOTLINE_VALKEY_URL"),
        ("HOTLINE_VALKEY_URL", "http://localhost", "valkey_url"),
        ("HOTLINE_VALKEY_URL", "redis://", "valkey_url"),
        ("HOTLINE_VALKEY_URL", "redis://localhost:port", "valkey_url"),
        ("HOTLINE_VALKEY_URL", "redis://[::1", "valkey_url"),
        ("HOTLINE_DATABASE_URL", "hotline.db", "database_url"),
        ("HOTLINE_DATABASE_URL", "mysql://localhost/hotline", "database_url"),
        ("HOTLINE_ASR__URL", "http://asr:2700", "asr.url"),
        ("HOTLINE_ASR__URL", "ws://", "asr.url"),
        ("HOTLINE_ASR__URLS", '["ws://asr:2700", ""]', "asr.urls"),
        ("HOTLINE_ASR__URLS", '["http://asr:2700"]', "asr.urls"),
        ("HOTLINE_MEDIA__RTP_PORT_MIN", "29999", "media.rtp_port_min and media.rtp_port_max"),
        ("HOTLINE_MEDIA__RTP_PORT_MAX", "20396", "sip.max_calls"),
        ("HOTLINE_SIP__MAX_CALLS", "5001", "media.rtp_port_min"),
        ("HOTLINE_MEDIA__PLAYOUT_MAX_MS", "30", "playout_min_ms"),
        ("HOTLINE_MEDIA__CODECS", '["OPUS"]', "media.codecs"),
        ("HOTLINE_MEDIA__CODECS", "[]", "media.codecs"),
        ("HOTLINE_MEDIA__CODECS", '["PCMA", "PCMA"]', "names one twice"),
        ("HOTLINE_MEDIA__INBAND_DIGITS", "sometimes", "media.inband_digits"),
        ("HOTLINE_SIP__ADVERTISED_ADDRESS", "trunk.example.com", "sip.advertised_address"),
        ("HOTLINE_SIP__ADDRESS", "localhost", "sip.address"),
        ("HOTLINE_TIMEZONE", "Asia/Yanqing", "timezone"),
        ("HOTLINE_NODE", "a/b", "node"),
        ("HOTLINE_MEDIA__PROCESSES", "0", "media.processes"),
        ("HOTLINE_MEDIA__PROCESSES", "26", "sip.max_calls"),
        ("HOTLINE_SIP__PROT", "5060", "HOTLINE_SIP__PROT"),
        ("HOTLINE_COLOUR", "red", "HOTLINE_COLOUR"),
        ("HOTLINE_TICKETS__NUMBER_PREFIX", "yanqing", "tickets.number_prefix"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words.replace(".", r"\.")):
        load_settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour = 'red'", "colour"),
        ("[sip]\nprot = 5060", r"sip\.prot"),
        ("[sip]\nport = 0", r"sip\.port"),
        ("[sip", "TOML"),
        ("site_name = '热线'", r"hotline\.toml.*UTF-8"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "hotline.toml").write_text(text, encoding="gb18030")
    with pytest.raises(ConfigurationError, match=words):
        load_settings()


def test_a_configuration_file_that_is_named_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_CONFIG", "elsewhere.toml")
    with pytest.raises(ConfigurationError, match=r"elsewhere\.toml"):
        load_settings()


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "hotline.toml").write_text('database_url = ["geheim"]', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "database_url" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOTLINE_DATABASE_URL", "mysql://hotline:geheim@db/hotline"),
        ("HOTLINE_VALKEY_URL", "redis://:geheim/1@db/0"),
        ("HOTLINE_ASR__URL", "http://asr:geheim@asr:2700"),
        ("HOTLINE_SIP__MAX_CALLS", "9999"),
    ],
)
def test_an_error_repeats_no_password(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("HOTLINE_DATABASE_URL", "postgresql+psycopg://hotline:geheim@db/hotline")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "geheim" not in caught.value.message + caught.value.hint


def test_the_ports_that_all_calls_need_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_MEDIA__RTP_PORT_MAX", "20398")
    assert len(load_settings().media.rtp_ports()) == 200


@pytest.mark.parametrize(("count", "calls"), [(1, 2500), (2, 1250), (3, 833), (7, 357)])
def test_media_processes_share_out_the_rtp_ports(monkeypatch: pytest.MonkeyPatch, count: int, calls: int) -> None:
    monkeypatch.setenv("HOTLINE_NODE", "n")
    monkeypatch.setenv("HOTLINE_MEDIA__PROCESSES", str(count))
    monkeypatch.setenv("HOTLINE_MEDIA__RTP_PORT_MAX", "24999")
    processes = load_settings().media_processes()
    shares = [own.media.rtp_ports() for own in processes]
    assert [len(share) for share in shares] == [calls] * count
    assert len({port for share in shares for port in share}) == calls * count, "no port is in two shares"
    assert [own.node for own in processes] == ["n", "n-2", "n-3", "n-4", "n-5", "n-6", "n-7"][:count]
    assert [own.sip.port for own in processes] == list(range(5060, 5060 + count))
    assert all(own.media_processes() == (own,) for own in processes)


@pytest.mark.parametrize("url", ["redis://:b@db:6379/0", "rediss://db", "unix:///run/valkey.sock"])
def test_every_way_to_the_broker_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HOTLINE_VALKEY_URL", url)
    assert load_settings().effective_valkey_url() == url


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_SIP__ALLOWED_PEERS", '["10.1.0.0/16", "127.0.0.1"]')
    monkeypatch.setenv("HOTLINE_VALKEY_URL", "redis://:geheim@localhost:6379/0")
    settings = load_settings()
    for key, value in settings_environment(settings).items():
        monkeypatch.setenv(key, value)
    again = load_settings()
    assert again == settings
    assert isinstance(again, Settings)


def test_only_the_password_of_an_address_is_masked() -> None:
    assert mask_url("postgresql+psycopg://a:b@db:5432/x") == "postgresql+psycopg://a:***@db:5432/x"
    assert mask_url("redis://:b@db/0") == "redis://:***@db/0"
    assert mask_url("postgresql+psycopg://a:b/c:d@e@db/x") == "postgresql+psycopg://a:***@db/x"
    assert mask_url("redis://db/0?x=1&password=a%20b&y=2") == "redis://db/0?x=1&password=***&y=2"
    assert mask_url("postgresql+psycopg://u@db/x?Password=secret") == "postgresql+psycopg://u@db/x?Password=***"
    assert mask_url("ws://[::1]:2700") == "ws://[::1]:2700"
    assert mask_url("sqlite:///var/hotline.db") == "sqlite:///var/hotline.db"


@pytest.mark.parametrize(("name", "value", "named"), [("SIP__PORT", "65535", "sip.port"), ("NODE", "n" * 63, "node")])
def test_what_leaves_no_room_for_a_second_media_process_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, named: str
) -> None:
    monkeypatch.setenv(f"HOTLINE_{name}", value)
    load_settings()
    monkeypatch.setenv("HOTLINE_MEDIA__PROCESSES", "2")
    with pytest.raises(ConfigurationError, match=named):
        load_settings()


TRUNK = '{"name": "carrier", "domain": "sip.example.cn", "username": "u", "password": "geheim"}'


def test_the_secret_of_a_trunk_reaches_a_child_process_and_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_TRUNKS", f"[{TRUNK}]")
    settings = load_settings()
    assert "geheim" not in f"{settings.masked()}{settings!r}"
    for key, value in settings_environment(settings).items():
        monkeypatch.setenv(key, value)
    (trunk,) = load_settings().trunks
    assert trunk == settings.trunks[0]
    assert trunk.password.get_secret_value() == "geheim"


def test_the_first_media_process_alone_registers_and_all_know_each_others_phones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOTLINE_TRUNKS", f"[{TRUNK}]")
    monkeypatch.setenv("HOTLINE_MEDIA__PROCESSES", "2")
    first, second = load_settings().media_processes()
    assert [each.trunks[0].registers for each in (first, second)] == [True, False]
    assert first.extensions.shared
    assert second.extensions.shared
    assert not Settings().extensions.shared


@pytest.mark.parametrize(
    "value", [f"[{TRUNK}, {TRUNK}]", '[{"name": "x", "domain": "d", "password": "geheim"}]', '["geheim"]']
)
def test_a_wrong_trunk_is_named_without_its_secret(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HOTLINE_TRUNKS", value)
    with pytest.raises(ConfigurationError, match="trunks") as caught:
        load_settings()
    assert "geheim" not in caught.value.message


@pytest.mark.parametrize(
    ("variable", "value", "message", "hint"),
    [
        ("HOTLINE_SIP", "bad", "HOTLINE_SIP: not JSON", "HOTLINE_SIP__ADDRESS"),
        ("HOTLINE_TRUNKS", "secret", "HOTLINE_TRUNKS: not JSON", "HOTLINE_TRUNKS='[...]'"),
        ("HOTLINE_SIP", "[1]", "sip (HOTLINE_SIP): a table of settings is awaited", ""),
    ],
)
def test_a_table_that_is_no_table_is_named_with_what_is_awaited(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str, hint: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert caught.value.message == message
    assert hint in caught.value.hint
    assert "secret" not in caught.value.message + caught.value.hint


def test_recognizer_processes_have_a_port_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_ASR__PROCESSES", "3")
    settings = load_settings()
    assert [own.own_asr_url() for own in settings.recognizer_processes()] == list(settings.effective_asr_urls())
    assert settings.effective_asr_urls() == tuple(f"ws://127.0.0.1:{port}" for port in (2700, 2701, 2702))
    monkeypatch.setenv("HOTLINE_ASR__PORT", "65534")
    with pytest.raises(ConfigurationError, match=r"asr\.processes"):
        load_settings()


def test_recognizers_that_are_named_take_the_place_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_ASR__URL", "ws://one:2700")
    monkeypatch.setenv("HOTLINE_ASR__URLS", '["ws://two:2700", "ws://one:2700"]')
    assert load_settings().effective_asr_urls() == ("ws://one:2700", "ws://two:2700")
