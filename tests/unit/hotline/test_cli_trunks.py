"""`hotline trunks` and the doctor tell an operator how the carriers are, as the media processes told a real Valkey."""

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from pydantic import SecretStr
from typer.testing import CliRunner

from hotline.bus import ValkeyBus
from hotline.cli import app
from hotline.doctor import examine
from hotline.findings import Finding
from hotline.settings import Settings
from hotline.settings_sections import TrunkSettings
from ivr.trunks.status import Trouble, TrunkState, TrunkStatus

AT = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
CITY = TrunkStatus(
    "city",
    TrunkState.REGISTERED,
    servers=("203.0.113.10:5060", "203.0.113.11:5070"),
    silent=("203.0.113.10:5060",),
    registered_at="203.0.113.11:5070",
    last_error=Trouble("203.0.113.10:5060 is silent", AT),
)
MOBILE = TrunkStatus("mobile", TrunkState.UP, servers=("198.51.100.20:5060",))
LOST = TrunkStatus("lost", TrunkState.DOWN, last_error=Trouble("DNS does not tell SRV of lost.example", AT))


@pytest.fixture
def bus(valkey: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ValkeyBus]:
    for name in [key for key in os.environ if key.startswith("HOTLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOTLINE_VALKEY_URL", valkey)
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(ValkeyBus(valkey)) as opened:
        yield opened


def tell(bus: ValkeyBus, node: str, *trunks: TrunkStatus) -> None:
    bus.put_state("trunks", node, {"trunks": [trunk.to_data() for trunk in trunks]}, ttl_s=60)


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ("trunks", *arguments))


def findings(settings: Settings, valkey: str) -> list[Finding]:
    """What the doctor says of trunks where the site has one."""
    trunks = (TrunkSettings(name="city", domain="carrier.example"),)
    own = settings.model_copy(update={"valkey_url": SecretStr(valkey), "trunks": trunks})
    return [finding for finding in examine(own) if finding.subject.startswith("中继")]


def test_every_trunk_of_every_node_is_listed(bus: ValkeyBus) -> None:
    tell(bus, "n1", CITY, MOBILE)
    tell(bus, "n2", LOST)
    lines = run().output.splitlines()
    city, mobile, lost = (next(line for line in lines if name in line) for name in ("city", "mobile", "lost"))
    for shown in ("n1", "已注册", "203.0.113.10:5060 !", "203.0.113.10:5060 is silent"):
        assert shown in city
    assert any("203.0.113.11:5070 *" in line for line in lines)
    assert "可用" in mobile
    for shown in ("n2", "不通", "DNS does not tell"):
        assert shown in lost


def test_trunks_as_json(bus: ValkeyBus) -> None:
    tell(bus, "n1", CITY)
    assert json.loads(run("--json").output) == {"trunks": [{"node": "n1", **CITY.to_data()}]}


def test_the_doctor_names_a_trunk_that_is_down_and_a_server_that_is_silent(
    settings: Settings, bus: ValkeyBus, valkey: str
) -> None:
    tell(bus, "n1", CITY, MOBILE)
    tell(bus, "n2", LOST)
    silent, up, down = findings(settings, valkey)
    assert (silent.level, up.level, down.level) == ("warning", "ok", "error")
    assert silent.subject == "中继 city（n1）"
    assert "203.0.113.10:5060" in silent.message
    assert "DNS does not tell SRV of lost.example" in down.message
    assert "hotline trunks" in down.hint


def test_the_doctor_says_nothing_of_trunks_while_no_media_process_runs(settings: Settings, bus: ValkeyBus) -> None:
    assert findings(settings, os.environ["HOTLINE_VALKEY_URL"]) == []
