import contextlib
from pathlib import Path

import pytest
import sherpa_models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_writer import Network

from asr.engines.onnx_metadata import read_metadata
from hotline.errors import ConfigurationError


def test_what_a_model_says_of_itself_is_read(tmp_path: Path) -> None:
    path = sherpa_models.tdnn_ctc(tmp_path, metadata={"model_type": "tdnn", "注": "好" * 100}) / "model.onnx"
    assert read_metadata(path) == {"model_type": "tdnn", "注": "好" * 100}


def test_a_model_without_metadata_has_none(tmp_path: Path) -> None:
    Network().save(tmp_path / "model.onnx", {})
    assert read_metadata(tmp_path / "model.onnx") == {}


def test_a_model_cut_anywhere_is_refused_or_only_lacks_metadata(tmp_path: Path) -> None:
    path = sherpa_models.tdnn_ctc(tmp_path) / "model.onnx"
    whole = path.read_bytes()
    refused = 0
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            assert read_metadata(path) != read_metadata.__doc__
        except ConfigurationError:
            refused += 1
    assert refused >= len(range(0, len(whole), 7)) - 2


@pytest.mark.parametrize("name", ["absent.onnx", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no whole ONNX model"):
        read_metadata(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with contextlib.suppress(ConfigurationError):
        read_metadata(tmp_path / "model.onnx")
