"""Which sherpa-onnx model a directory holds: its kind, its files, the audio it takes.

The kind is the manifest's where it names one. Otherwise the files tell: an encoder, a decoder and a joiner are a
transducer, an encoder and a decoder a streaming Paraformer, and a single network says what it is in its metadata.
Source: sherpa-onnx's loaders (github.com/k2-fsa/sherpa-onnx, sherpa-onnx/csrc) and the metadata its exporters write.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asr.engines.directory import HINT, check_listed, file_sizes, read_manifest
from asr.engines.onnx_metadata import read_metadata
from hotline.errors import ConfigurationError

TOKENS = "tokens.txt"
ROLES = ("encoder", "decoder", "joiner")


@dataclass(frozen=True)
class Kind:
    """What a kind of model can do. `loader`: the factory of sherpa-onnx's recognizer."""

    loader: str
    streaming: bool
    word_times: bool = True
    confidence: bool = False
    hotwords: bool = False
    sample_rate: int = 16_000
    feature_dim: int = 80


KINDS = {
    "streaming_transducer": Kind("from_transducer", streaming=True, confidence=True, hotwords=True),
    "streaming_paraformer": Kind("from_paraformer", streaming=True, word_times=False),
    "streaming_zipformer_ctc": Kind("from_zipformer2_ctc", streaming=True),
    "transducer": Kind("from_transducer", streaming=False, hotwords=True),
    "paraformer": Kind("from_paraformer", streaming=False),
    "sense_voice": Kind("from_sense_voice", streaming=False),
    "zipformer_ctc": Kind("from_zipformer_ctc", streaming=False),
    "wenet_ctc": Kind("from_wenet_ctc", streaming=False),
    "nemo_ctc": Kind("from_nemo_ctc", streaming=False),
    "tdnn_ctc": Kind("from_tdnn_ctc", streaming=False, sample_rate=8000, feature_dim=23),
}
SINGLE = {
    "sense_voice_ctc": "sense_voice",
    "paraformer": "paraformer",
    "zipformer2_ctc": "zipformer_ctc",
    "wenet_ctc": "wenet_ctc",
    "tdnn": "tdnn_ctc",
    "EncDecCTCModelBPE": "nemo_ctc",
    "EncDecCTCModel": "nemo_ctc",
}
"""Kinds of models that are one network, by their metadata's `model_type`."""


@dataclass(frozen=True)
class SherpaModel:
    """A model that can be loaded. `networks`: absolute paths by role, "model" for a single one."""

    name: str
    demo: bool
    kind: str
    networks: dict[str, str]
    tokens: str
    sample_rate: int
    feature_dim: int

    @property
    def can(self) -> Kind:
        return KINDS[self.kind]


def looks_like(files: frozenset[str]) -> bool:
    """Whether these are the files of a sherpa-onnx model."""
    return TOKENS in files and any(name.endswith(".onnx") for name in files)


def read_model(path: Path) -> SherpaModel:
    """The model in a directory, none of it loaded; raises `ConfigurationError` saying what is missing or broken."""
    manifest = read_manifest(path)
    sizes = file_sizes(path)
    check_listed(path, manifest, sizes)
    if not sizes.get(TOKENS):
        raise ConfigurationError(f"the model in {path} has no {TOKENS}", hint=HINT)
    networks = _networks(path, [name for name in sizes if name.endswith(".onnx") and "/" not in name])
    metadata = {role: read_metadata(Path(file)) for role, file in networks.items()}
    kind = manifest.kind or _kind(networks, metadata)
    if kind not in KINDS:
        raise ConfigurationError(
            f"it does not show what kind of model is in {path}",
            hint=f'write model.json with {{"name": ..., "kind": ...}}; kinds: {", ".join(KINDS)}',
        )
    return SherpaModel(
        name=manifest.name,
        demo=manifest.demo,
        kind=kind,
        networks=networks,
        tokens=str(path / TOKENS),
        sample_rate=manifest.sample_rate or KINDS[kind].sample_rate,
        feature_dim=manifest.feature_dim or KINDS[kind].feature_dim,
    )


def _networks(path: Path, names: list[str]) -> dict[str, str]:
    found = {role: [name for name in names if role in name] for role in ROLES}
    if not found["encoder"]:
        single = [name for name in names if not any(role in name for role in ROLES)]
        if not single:
            raise ConfigurationError(f"the model in {path} has no .onnx network", hint=HINT)
        return {"model": str(path / _preferred(single))}
    if not found["decoder"]:
        raise ConfigurationError(f"the model in {path} has an encoder and no decoder", hint=HINT)
    # a transducer's decoder is small and loses by quantisation, which sherpa-onnx's manual advises against
    quantised = {role: not (role == "decoder" and found["joiner"]) for role in ROLES}
    return {role: str(path / _preferred(files, quantised=quantised[role])) for role, files in found.items() if files}


def _preferred(names: Iterable[str], *, quantised: bool = True) -> str:
    """Of a network in several precisions the 8-bit one, which a CPU runs fastest."""
    return min(names, key=lambda name: ((".int8." in name) != quantised, name))


def _kind(networks: dict[str, str], metadata: dict[str, dict[str, str]]) -> str:
    if "joiner" in networks:
        return "streaming_transducer" if "decode_chunk_len" in metadata["encoder"] else "transducer"
    if "encoder" in networks:
        return "streaming_paraformer" if metadata["encoder"].get("model_type") == "paraformer" else ""
    said = metadata["model"]
    if "decode_chunk_len" in said and said.get("model_type") == "zipformer2":
        return "streaming_zipformer_ctc"
    if "lang_auto" in said:  # written by every exporter of it, unlike the type
        return "sense_voice"
    return SINGLE.get(said.get("model_type", ""), "")
