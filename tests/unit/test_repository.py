"""What the repository promises around the code: lock files, scripts, the example configuration, the wheel."""

import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel, SecretStr

from hotline.errors import ConfigurationError
from hotline.settings import CONFIG_VARIABLE, Settings, load_settings
from hotline.settings_sections import PACKAGE_ROOT

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("requirements-build.lock", "requirements.lock", "requirements-dev.lock")
EXAMPLE = ROOT / "hotline.example.toml"


def _pins(lock: str) -> list[tuple[Requirement, int]]:
    """Each pinned requirement of a lock file with the number of its hashes."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / lock).read_text("utf-8"), flags=re.MULTILINE)
    logical = text.replace("\\\n", " ").splitlines()
    return [(Requirement(line.split(" --hash=")[0]), line.count("--hash=sha256:")) for line in logical if line.strip()]


def _extra(name: str) -> list[str]:
    return list(PROJECT["project"]["optional-dependencies"][name])


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements-build.lock", PROJECT["build-system"]["requires"]),
        ("requirements.lock", [*PROJECT["project"]["dependencies"], *_extra("postgres")]),
        ("requirements-dev.lock", [*PROJECT["project"]["dependencies"], *_extra("dev")]),
    ],
)
def test_lock_pins_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    pinned: dict[str, list[str]] = {}
    for requirement, _ in _pins(lock):
        pinned.setdefault(canonicalize_name(requirement.name), []).append(str(requirement.specifier))
    for requirement in map(Requirement, wanted):
        versions = [version.removeprefix("==") for version in pinned.get(canonicalize_name(requirement.name), [])]
        assert versions, f"{requirement} is not in {lock}: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_index_is_named(lock: str) -> None:
    pins = _pins(lock)
    assert pins
    assert [str(requirement) for requirement, hashes in pins if hashes == 0] == []
    assert "://" not in (ROOT / lock).read_text("utf-8")


def test_locks_agree_on_each_version() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for requirement, _ in _pins(lock):
            key = f"{canonicalize_name(requirement.name)} {requirement.marker or ''}"
            versions.setdefault(key, set()).add(str(requirement.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_every_module_of_the_tests_has_a_name_of_its_own() -> None:
    """They are imported by that name alone: two of one name are an error, but only in a run of both."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name, count in names.items() if count > 1 and name != "conftest.py"] == []


def _scripts() -> list[Path]:
    candidates = [*(ROOT / "tools").iterdir(), *(ROOT / "deploy").iterdir(), ROOT / ".ci/run"]
    return [path for path in candidates if path.is_file() and path.read_bytes().startswith((b"#!/bin/sh", b"#!/usr"))]


@pytest.mark.parametrize("script", _scripts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_script_is_executable_and_parses(script: Path) -> None:
    assert script.stat().st_mode & 0o111, f"{script} is not executable"
    shell = script.read_text("utf-8").splitlines()[0].split("/")[-1].removeprefix("env ")
    if shell in ("sh", "bash"):
        subprocess.run([shell, "-n", script], check=True)


def _uncommented() -> str:
    """The example with every setting switched on."""
    return re.sub(r"^# (?=[a-z_]+ = )", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)


def _leaves(model: type[BaseModel] | BaseModel, prefix: str = "") -> dict[str, Any]:
    """Dotted setting name -> value (of an instance) or field (of a class)."""
    found: dict[str, Any] = {}
    for name, field in (model if isinstance(model, type) else type(model)).model_fields.items():
        value = field if isinstance(model, type) else getattr(model, name)
        nested = field.annotation if isinstance(model, type) else value
        is_section = isinstance(nested, BaseModel) or (isinstance(nested, type) and issubclass(nested, BaseModel))
        found |= _leaves(nested, f"{prefix}{name}.") if is_section else {prefix + name: value}
    return found


def test_example_configuration_lists_every_setting_and_no_other() -> None:
    tables = tomllib.loads(_uncommented())
    listed = {
        f"{key}.{inner}" if isinstance(value, dict) else key
        for key, value in tables.items()
        for inner in (value if isinstance(value, dict) else [key])
    }
    assert listed == set(_leaves(Settings))


def test_example_configuration_is_valid_and_shows_the_defaults(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "hotline.toml"
    config.write_text(_uncommented(), "utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))
    shown, defaults = _leaves(load_settings()), _leaves(Settings.model_construct())
    for name, default in defaults.items():
        value = shown[name]
        if isinstance(value, SecretStr):
            value, default = value.get_secret_value(), default.get_secret_value()
        if isinstance(default, Path) and default.is_relative_to(PACKAGE_ROOT):
            value = PACKAGE_ROOT / value
        if default is not None and name != "node":  # unset, or the machine's own
            assert value == default, name


def test_example_configuration_as_shipped_changes_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(EXAMPLE))
    assert load_settings() == Settings.model_construct()


def test_service_is_installed_with_the_configuration_it_names() -> None:
    unit = (ROOT / "deploy/hotline.service").read_text("utf-8")
    (config,) = re.findall(rf"^Environment=.*\b{CONFIG_VARIABLE}=(\S+)$", unit, re.MULTILINE)
    assert re.search(rf"^#   install .* {EXAMPLE.name} {re.escape(config)}\b", unit, re.MULTILINE)


def test_misspelt_setting_is_named(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "hotline.toml"
    config.write_text(_uncommented().replace("max_calls =", "max_call ="), "utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))
    with pytest.raises(ConfigurationError, match=r"sip\.max_call\b"):
        load_settings()


def test_wheel_carries_the_data_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert on_disk - packed == set()
    assert not any(name.startswith(("tests/", "bench/")) for name in packed)
