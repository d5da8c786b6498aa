"""The doctor names what is wrong and how to mend it."""

import contextlib
import ctypes
import os
import re
import resource
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from hotline import doctor
from hotline.clock import ManualClock
from hotline.doctor import (
    clock_synchronized,
    examine,
    in_autogroup,
    may_raise_priority,
)
from hotline.findings import Finding, examine_process
from hotline.settings import Settings
from hotline.settings_sections import BUNDLED_MODEL
from ivr.media.engine import NICE
from recordings.keys import add_key

UNIT = Path(__file__).resolve().parents[3] / "deploy" / "hotline.service"


def changed(settings: Settings, section: str, **values: object) -> Settings:
    """The settings with some values of a section replaced."""
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


@pytest.fixture
def quiet(settings: Settings) -> Settings:
    """Settings whose ports are free on this machine."""
    ports = []
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_STREAM):
            sock = stack.enter_context(socket.socket(socket.AF_INET, kind))
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
    settings = changed(settings, "sip", address="127.0.0.1", port=ports[0])
    settings = changed(settings, "asr", port=ports[1])
    return changed(settings, "console", port=ports[2])


def of(findings: list[Finding], level: str) -> list[Finding]:
    return [finding for finding in findings if finding.level == level]


def test_a_fresh_machine_has_no_errors(quiet: Settings) -> None:
    findings = examine(quiet)
    assert of(findings, "error") == []
    subjects = " ".join(finding.subject for finding in findings)
    for subject in ("时钟", "磁盘", "语音提示", "识别模型", "证书", "消息服务", "数据库", "端口"):
        assert subject in subjects


def test_the_demo_model_is_always_named(quiet: Settings) -> None:
    (warning,) = [finding for finding in examine(quiet) if finding.subject == "识别模型"]
    assert warning.level == "warning"
    assert "demo model: does not understand real people" in warning.message


def test_a_demo_model_that_is_not_allowed_is_an_error(quiet: Settings) -> None:
    findings = examine(changed(quiet, "asr", allow_demo_model=False))
    assert [finding.subject for finding in of(findings, "error")] == ["识别模型"]


@pytest.mark.parametrize(
    ("section", "name", "value", "words"),
    [
        ("asr", "model_path", Path("/nonexistent/model"), "/nonexistent/model"),
        ("asr", "second_pass_model_path", Path("/nonexistent/second"), "/nonexistent/second"),
        ("flow", "path", Path("/nonexistent/flow.yaml"), "flow.yaml"),
        ("flow", "prompts_dir", Path("/nonexistent/prompts"), "/nonexistent/prompts"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(
    quiet: Settings, section: str, name: str, value: object, words: str
) -> None:
    (error,) = of(examine(changed(quiet, section, **{name: value})), "error")
    assert words in error.message


def test_keys_that_cannot_be_read_are_an_error(quiet: Settings, tmp_path: Path) -> None:
    assert not [finding for finding in examine(quiet) if finding.subject == "录音密钥"]
    (error,) = of(examine(changed(quiet, "recordings", key_file=tmp_path / "gone.key")), "error")
    assert "gone.key" in error.message
    add_key(tmp_path / "site.key", "first")
    (found,) = [
        finding
        for finding in examine(changed(quiet, "recordings", key_file=tmp_path / "site.key"))
        if finding.subject == "录音密钥"
    ]
    assert found.level == "ok"
    assert "first" in found.message


@pytest.mark.parametrize(("days", "level"), [(0, "warning"), (30, "error")])
def test_missing_ffmpeg_is_an_error_only_where_recordings_are_compressed(
    quiet: Settings, monkeypatch: pytest.MonkeyPatch, days: int, level: str
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = [item for item in examine(changed(quiet, "recordings", compress_after_days=days)) if "ffmpeg" in item.hint]
    assert [item.level for item in found] == [level]


def test_a_data_folder_that_cannot_be_is_named_and_the_rest_examined(quiet: Settings) -> None:
    findings = examine(quiet.model_copy(update={"data_dir": Path("/proc/hotline")}))
    (error,) = of(findings, "error")
    assert "/proc/hotline" in error.message
    assert "data_dir" in error.hint
    assert "语音提示" in [finding.subject for finding in findings]


def test_a_port_that_a_stranger_holds_is_named(quiet: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", quiet.sip.port))
        (error,) = of(examine(quiet), "error")
    assert str(quiet.sip.port) in error.subject
    assert "HOTLINE_SIP__PORT" in error.hint


def test_a_recognizer_elsewhere_is_asked_and_its_own_port_here_is_not_looked_at(quiet: Settings) -> None:
    with socket.create_server(("127.0.0.1", quiet.asr.port)):
        elsewhere = quiet.asr.model_copy(update={"url": "ws://user:geheim@127.0.0.1:1"})
        (error,) = of(examine(quiet.model_copy(update={"asr": elsewhere})), "error")
    assert error.subject == "识别 ws://user:***@127.0.0.1:1"
    assert "HOTLINE_ASR__URL" in error.hint
    assert "geheim" not in error.message


def test_each_recognizer_elsewhere_is_asked(quiet: Settings) -> None:
    elsewhere = quiet.asr.model_copy(update={"url": "ws://127.0.0.1:1", "urls": ("ws://127.0.0.1:2",)})
    errors = of(examine(quiet.model_copy(update={"asr": elsewhere})), "error")
    assert [error.subject for error in errors] == ["识别 ws://127.0.0.1:1", "识别 ws://127.0.0.1:2"]


def test_a_database_or_broker_that_is_away_is_named_without_its_password(quiet: Settings) -> None:
    away = quiet.model_copy(
        update={
            "database_url": SecretStr("postgresql+psycopg://hotline:geheim@127.0.0.1:1/hotline"),
            "valkey_url": SecretStr("redis://:geheim@127.0.0.1:1/0"),
        }
    )
    errors = of(examine(away), "error")
    assert {error.subject for error in errors} == {"数据库", "消息服务"}
    assert all(error.hint for error in errors)
    assert "geheim" not in str(errors)


def test_a_full_disk_is_an_error(quiet: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: usage._replace(free=10 * 1024**2))
    (error,) = of(examine(quiet), "error")
    assert error.subject == "磁盘"


def test_a_spare_spool_is_examined_where_there_is_one(quiet: Settings, tmp_path: Path) -> None:
    def level(folder: Path) -> list[str]:
        media = quiet.media.model_copy(update={"spare_spool_dir": str(folder)})
        findings = examine(quiet.model_copy(update={"media": media}))
        return [finding.level for finding in findings if finding.subject == "备用录音目录"]

    assert not [finding for finding in examine(quiet) if finding.subject == "备用录音目录"]
    assert level(tmp_path / "none") == ["error"]
    (tmp_path / "spare").mkdir()
    assert level(tmp_path / "spare") == ["warning"]  # the same disk
    if Path("/dev/shm").stat().st_dev != tmp_path.stat().st_dev and os.access("/dev/shm", os.W_OK):
        assert level(Path("/dev/shm")) in (["ok"], ["warning"])


def test_a_clock_before_the_release_is_an_error(quiet: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SystemClock", lambda: ManualClock(datetime(2020, 1, 1, tzinfo=UTC)))
    assert "时钟" in [finding.subject for finding in of(examine(quiet), "error")]


@pytest.mark.parametrize(("synchronized", "level"), [(False, "warning"), (True, "ok"), (None, "ok")])
def test_a_clock_that_no_time_service_keeps_is_a_warning(
    quiet: Settings, monkeypatch: pytest.MonkeyPatch, synchronized: bool | None, level: str
) -> None:
    monkeypatch.setattr(doctor, "clock_synchronized", lambda: synchronized)
    (clock,) = [finding for finding in examine(quiet) if finding.subject == "时钟"]
    assert clock.level == level


@pytest.mark.parametrize(("state", "synchronized"), [(0, True), (1, True), (5, False), (-1, None)])
def test_the_kernel_tells_whether_the_clock_is_kept(
    monkeypatch: pytest.MonkeyPatch, state: int, synchronized: bool | None
) -> None:
    libc = SimpleNamespace(adjtimex=lambda question: state if not any(question.raw) else -1)
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: libc)
    assert clock_synchronized() is synchronized


def test_where_the_kernel_cannot_be_asked_the_clock_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())
    assert clock_synchronized() is None


def test_an_address_of_another_machine_is_no_port_that_is_taken(quiet: Settings) -> None:
    (error,) = of(examine(changed(quiet, "sip", address="192.0.2.1")), "error")
    assert "不是本机地址" in error.message
    assert "HOTLINE_SIP__ADDRESS" in error.hint


def test_busy_rtp_ports_are_counted_and_too_few_are_a_warning(quiet: Settings) -> None:
    with contextlib.ExitStack() as stack:
        first = next(base for base in range(40000, 60000, 20) if _take(stack, base, base + 2))
        ports = {"rtp_port_min": first, "rtp_port_max": first + 6}
        few = changed(changed(quiet, "media", **ports), "sip", max_calls=2)
        (finding,) = [finding for finding in examine(few) if finding.subject == "RTP 端口"]
        assert "4 个，2 个被占用" in finding.message
        assert finding.level == "ok"
        (finding,) = [found for found in examine(changed(few, "sip", max_calls=3)) if found.subject == "RTP 端口"]
        assert finding.level == "warning"
        assert "HOTLINE_MEDIA__RTP_PORT_MIN" in finding.hint


def test_each_media_process_is_examined(quiet: Settings) -> None:
    several = changed(changed(quiet, "media", processes=2), "sip", port=_two_free_ports())
    assert [finding.message for finding in examine(several)].count("空闲（media）") == 2
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", several.sip.port + 1))
        (error,) = of(examine(several), "error")
    assert str(several.sip.port + 1) in error.subject


def _two_free_ports() -> int:
    """A port that is free, as is the next."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
        ):
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                two.bind(("127.0.0.1", port + 1))
                return port


def _take(stack: contextlib.ExitStack, *ports: int) -> bool:
    """Holds the ports until the stack closes; whether they and the pairs up to two after them were free."""
    try:
        for port in range(ports[0], ports[-1] + 6):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with contextlib.closing(sock) if port not in ports else contextlib.nullcontext():
                sock.bind(("127.0.0.1", port))
            stack.callback(sock.close)
    except OSError:
        return False
    return True


def test_a_hard_limit_of_descriptors_below_what_calls_need_is_a_warning(
    quiet: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limits(kind: int) -> tuple[int, int]:
        return (512, 1024) if kind == resource.RLIMIT_NOFILE else (0, 0)

    monkeypatch.setattr(doctor.resource, "getrlimit", limits)
    for calls, level in ((90, "ok"), (200, "warning")):
        findings = examine(changed(quiet, "sip", max_calls=calls))
        (finding,) = [finding for finding in findings if finding.subject == "文件描述符"]
        assert finding.level == level
    assert "LimitNOFILE" in finding.hint


@pytest.mark.parametrize("process", ["media", "recognizer", "worker", "console", "kitchen"])
def test_a_process_that_does_not_run_is_an_error(quiet: Settings, process: str) -> None:
    finding = examine_process(process, quiet)
    assert finding.level == "error"
    assert finding.hint


@pytest.mark.parametrize(
    ("limit", "superuser", "granted"),
    [
        (0, False, False),
        (30, False, False),  # a nice of -10
        (34, False, False),
        (35, False, True),  # of -15
        (40, False, True),
        (resource.RLIM_INFINITY, False, True),
        (0, True, True),
    ],
)
def test_the_priority_is_granted_where_the_kernel_grants_it(limit: int, superuser: bool, granted: bool) -> None:
    assert may_raise_priority(limit, superuser=superuser) == granted


def test_the_service_may_have_the_priority_that_the_engine_asks_for() -> None:
    (limit,) = re.findall(r"^LimitNICE=(.+)$", UNIT.read_text("utf-8"), re.MULTILINE)
    assert may_raise_priority(20 - int(limit), superuser=False)


def test_the_hint_names_the_priority_that_the_engine_asks_for(quiet: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "may_raise_priority", lambda _limit, *, superuser: False)
    (warning,) = [finding for finding in examine(quiet) if finding.subject == "实时优先级"]
    assert f"LimitNICE={NICE}" in warning.hint


@pytest.mark.parametrize(
    ("enabled", "cgroups", "expected"),
    [
        ("1\n", "0::/\n", True),
        ("0\n", "0::/\n", False),
        ("1\n", "1:cpu:/\n0::/\n", True),
        ("1\n", "4:memory:/service\n1:cpu,cpuacct:/\n", True),
        ("1\n", "1:cpu,cpuacct:/service\n", False),
        ("1\n", "0::/with-weight\n", False),
        ("1\n", "0::/without-weight\n", True),  # the cpu controller is not enabled there
    ],
)
def test_priority_counts_for_all_only_outside_autogroups(
    tmp_path: Path, enabled: str, cgroups: str, expected: bool
) -> None:
    for name in ("with-weight", "without-weight"):
        (tmp_path / name).mkdir()
    (tmp_path / "with-weight/cpu.weight").write_text("100")
    assert in_autogroup(enabled, cgroups, root=tmp_path) is expected


def test_priority_that_counts_only_in_its_autogroup_is_a_warning(
    quiet: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "may_raise_priority", lambda _limit, *, superuser: True)
    for inside, level in ((True, "warning"), (False, "ok")):
        monkeypatch.setattr(doctor, "in_autogroup", lambda _enabled, _cgroups, inside=inside: inside)
        (finding,) = (one for one in examine(quiet) if one.subject == "实时优先级")
        assert finding.level == level
        assert ("sched_autogroup_enabled" in finding.hint) is inside


def test_the_model_of_the_second_pass_is_named(quiet: Settings) -> None:
    findings = examine(changed(quiet, "asr", second_pass_model_path=BUNDLED_MODEL))
    (finding,) = [finding for finding in findings if finding.subject == "第二遍识别模型"]
    assert (finding.level, finding.message) == ("ok", "zh_tiny（vosk）")


def test_a_classifier_that_cannot_be_read_is_a_warning(quiet: Settings) -> None:
    def told(settings: Settings) -> Finding:
        (finding,) = [one for one in examine(settings) if one.subject == "分类模型"]
        return finding

    assert told(quiet).level == "ok"
    named = changed(quiet, "tickets", classifier="20260101-000000")
    assert told(named).level == "warning"
    assert "hotline classify" in told(named).hint
