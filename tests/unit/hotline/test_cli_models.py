"""`hotline models` as a person uses it."""

import hashlib
from pathlib import Path

import model_archives
import pytest
import sherpa_models
import yaml
from model_archives import web
from typer.testing import CliRunner

from asr import catalogue
from hotline.cli import app
from hotline.doctor import examine
from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from hotline.settings import load_settings

runner = CliRunner()


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.delenv("HOTLINE_ASR__MODEL_PATH", raising=False)


def run(*arguments: str) -> str:
    result = runner.invoke(app, ["models", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, archive: Path, url: str) -> None:
    """A catalogue of one model."""
    entry = {
        "name": "tiny",
        "engine": "sherpa",
        "about": "小",
        "url": f"{url}/tiny.tar.bz2",
        "size": archive.stat().st_size,
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "licence": None,
        "sample_rate": 8000,
        "streaming": False,
        "memory_mb": None,
        "cer": None,
        "source": "",
    }
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"models": [entry]}))
    monkeypatch.setattr(catalogue, "CATALOGUE", tmp_path / "models.yaml")


def test_the_list_says_what_is_unknown_and_what_is_in_use() -> None:
    text = run("list")
    assert "vosk-model-cn-0.22" in text
    assert "公布的字错率 未知" in text
    assert "使用中：zh_tiny（vosk）" in text


def test_a_model_is_fetched_verified_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = model_archives.model_tar(tmp_path)
    with web(archive.read_bytes()) as server:
        known(monkeypatch, tmp_path, archive, server.url)
        assert "已安装 tiny" in run("fetch", "tiny")
    assert "3 个文件无误" in run("verify")
    assert "下次启动时生效" in run("use", "tiny")
    assert "tiny 使用中" in run("list")
    (finding,) = [item for item in examine(load_settings()) if item.subject == "识别模型"]
    assert (finding.level, finding.message) == ("ok", "tdnn（sherpa）")
    assert "zh_tiny" in run("use", "zh_tiny")
    assert load_settings().effective_model_path().name == "zh_tiny"
    assert list((tmp_path / "var/models/.downloads").iterdir()) == []


def test_without_internet_a_file_is_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = model_archives.model_tar(tmp_path)
    known(monkeypatch, tmp_path, archive, "http://127.0.0.1:1")
    (tmp_path / "other").write_bytes(archive.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidInputError, match="has the hash"):
        run("fetch", "tiny", "--from", str(tmp_path / "other"))
    with pytest.raises(NotFoundError):
        run("fetch", "tiny", "--from", str(tmp_path / "absent"))
    run("fetch", "tiny", "--from", str(archive))
    with pytest.raises(ConflictError):
        run("fetch", "tiny")


def test_a_directory_is_imported(tmp_path: Path) -> None:
    assert "已安装 mine" in run("import", str(sherpa_models.tdnn_ctc(tmp_path)), "--name", "mine")
    assert "mine: 3 个文件无误" in run("verify", "mine")


def test_a_model_path_in_the_configuration_goes_before_a_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLINE_ASR__MODEL_PATH", str(tmp_path))
    with pytest.raises(ConflictError, match="goes before any choice"):
        run("use", "zh_tiny")
