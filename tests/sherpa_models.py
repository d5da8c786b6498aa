"""Tiny sherpa-onnx models of random weights, each of the shape and with the metadata that its loader reads.

They make no sense of speech; they prove that the real library loads and runs each kind.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx_writer import FLOAT, INT32, INT64, Network

TOKENS = ("<blk>", "<unk>", *"您好我姓张住在延庆区路灯坏了水电气暖")
VOCABULARY = len(TOKENS)
LFR_WINDOW, LFR_SHIFT = 7, 6
BLANK_BIAS = -20.0


def random(*shape: int, seed: int = 1, scale: float = 0.3) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def folder(path: Path, name: str, **manifest: object) -> Path:
    """A model's directory with its tokens, and a manifest where something is to be said."""
    model = path / name
    model.mkdir()
    (model / "tokens.txt").write_text("".join(f"{token} {index}\n" for index, token in enumerate(TOKENS)), "utf-8")
    if manifest:
        (model / "model.json").write_text(json.dumps({"name": name, **manifest}))
    return model


def tdnn_ctc(path: Path, *, metadata: dict[str, object] | None = None) -> Path:
    """Offline CTC at 8 kHz over 23 banks."""
    model = folder(path, "tdnn", kind="tdnn_ctc", sample_rate=8000, feature_dim=23)
    net = Network()
    x = net.input("x", ("N", "T", 23))
    scores = net.add("MatMul", [x, net.weight("w", random(23, VOCABULARY))], "scores")
    net.add("LogSoftmax", [scores], "log_probs", axis=-1)
    net.output("log_probs", ("N", "T", VOCABULARY))
    net.save(model / "model.onnx", {"model_type": "tdnn", "vocab_size": VOCABULARY} if metadata is None else metadata)
    return model


def _lfr_metadata() -> dict[str, object]:
    size = 80 * LFR_WINDOW
    return {
        "vocab_size": VOCABULARY,
        "lfr_window_size": LFR_WINDOW,
        "lfr_window_shift": LFR_SHIFT,
        "neg_mean": ",".join(["8.0"] * size),
        "inv_stddev": ",".join(["0.3"] * size),
    }


def sense_voice(path: Path) -> Path:
    """Offline CTC at 16 kHz over stacked frames, with the language in front: its first four outputs are tags."""
    model = folder(path, "sense-voice")
    net = Network()
    x = net.input("x", ("N", "T", 80 * LFR_WINDOW))
    net.input("x_length", ("N",), INT32)
    language = net.input("language", ("N",), INT32)
    norm = net.input("text_norm", ("N",), INT32)
    scores = net.add("MatMul", [x, net.weight("w", random(80 * LFR_WINDOW, VOCABULARY, scale=0.1))], "scores")
    used = net.add("Add", [language, norm], "used")
    zero = net.add(
        "Mul", [net.add("Cast", [used], "as_float", to=1), net.weight("nil", np.zeros(1, np.float32))], "zero"
    )
    mixed = net.add("Add", [scores, zero], "mixed")
    tags = net.weight("tags", np.zeros((1, 4, VOCABULARY), np.float32))
    net.add("Concat", [tags, mixed], "logits", axis=1)
    net.output("logits", ("N", "T4", VOCABULARY))
    languages = {f"lang_{name}": index for index, name in enumerate(("auto", "zh", "en", "ja", "ko", "yue"))}
    net.save(
        model / "model.int8.onnx",
        {
            "model_type": "sense_voice_ctc",
            "comment": "iic/SenseVoiceSmall",
            "normalize_samples": 0,
            "with_itn": 14,
            "without_itn": 15,
            **languages,
            **_lfr_metadata(),
        },
    )
    return model


CHUNK, CHUNK_FRAMES, DIMENSION, LEFT, KERNEL = 32, 45, 8, 4, 3
ZIPFORMER = {
    "model_type": "zipformer2",
    "comment": "streaming zipformer2",
    "decode_chunk_len": CHUNK,
    "T": CHUNK_FRAMES,
    "num_encoder_layers": 1,
    "encoder_dims": DIMENSION,
    "cnn_module_kernels": KERNEL,
    "left_context_len": LEFT,
    "query_head_dims": 4,
    "value_head_dims": 4,
    "num_heads": 1,
}
STATES: list[tuple[str, tuple[int | str, ...], int]] = [
    ("cached_key_0", (LEFT, "N", 4), FLOAT),
    ("cached_nonlin_attn_0", (1, "N", LEFT, 6), FLOAT),
    ("cached_val1_0", (LEFT, "N", 4), FLOAT),
    ("cached_val2_0", (LEFT, "N", 4), FLOAT),
    ("cached_conv1_0", ("N", DIMENSION, KERNEL // 2), FLOAT),
    ("cached_conv2_0", ("N", DIMENSION, KERNEL // 2), FLOAT),
    ("embed_states", ("N", 128, 3, 19), FLOAT),
    ("processed_lens", ("N",), INT64),
]


def _chunk(net: Network) -> str:
    """Every fourth frame of a chunk: a Zipformer's rate."""
    x = net.input("x", ("N", CHUNK_FRAMES, 80))
    bounds = zip(("from", "to", "axis", "step"), (0, CHUNK, 1, 4), strict=True)
    return net.add("Slice", [x, *(net.weight(name, np.array([at], np.int64)) for name, at in bounds)], "frames")


def _pass_states(net: Network) -> None:
    for name, shape, kind in STATES:
        net.add("Identity", [net.input(name, shape, kind)], f"new_{name}")
        net.output(f"new_{name}", shape, kind)


def streaming_zipformer(path: Path) -> Path:
    """Streaming transducer at 16 kHz: one layer, whose states pass through."""
    model = folder(path, "zipformer")
    net = Network()
    net.add("MatMul", [_chunk(net), net.weight("w", random(80, DIMENSION, scale=0.1))], "encoder_out")
    net.output("encoder_out", ("N", CHUNK // 4, DIMENSION))
    _pass_states(net)
    net.save(model / "encoder-epoch-20-avg-1-chunk-16-left-128.onnx", ZIPFORMER)
    _decoder_and_joiner(model)
    return model


def streaming_ctc(path: Path) -> Path:
    """Streaming CTC at 16 kHz that says nothing in silence."""
    model = folder(path, "zipformer-ctc")
    weights = random(80, VOCABULARY, scale=0.1)
    weights[:, 0] = -0.05  # the blank: the quieter, the surer
    net = Network()
    scores = net.add("MatMul", [_chunk(net), net.weight("w", weights)], "scores")
    biased = net.add(
        "Add", [scores, net.weight("bias", np.eye(1, VOCABULARY, dtype=np.float32) * BLANK_BIAS)], "biased"
    )
    net.add("LogSoftmax", [biased], "log_probs", axis=-1)
    net.output("log_probs", ("N", CHUNK // 4, VOCABULARY))
    _pass_states(net)
    net.save(model / "ctc-epoch-20-avg-1-chunk-16-left-128.onnx", ZIPFORMER | {"comment": "streaming ctc zipformer2"})
    return model


def _decoder_and_joiner(model: Path) -> None:
    net = Network()
    y = net.input("y", ("N", 2), INT64)
    embedded = net.add("Gather", [net.weight("table", random(VOCABULARY, DIMENSION, seed=2)), y], "embedded")
    net.add("ReduceMean", [embedded], "decoder_out", axes=[1], keepdims=0)
    net.output("decoder_out", ("N", DIMENSION))
    net.save(model / "decoder-epoch-20-avg-1-chunk-16-left-128.onnx", {"vocab_size": VOCABULARY, "context_size": 2})
    net = Network()
    a, b = net.input("encoder_out", ("N", DIMENSION)), net.input("decoder_out", ("N", DIMENSION))
    joint = net.add("Tanh", [net.add("Sub", [a, b], "sum")], "joint")
    net.add("MatMul", [joint, net.weight("w", random(DIMENSION, VOCABULARY, seed=3, scale=1.0))], "logit")
    net.output("logit", ("N", VOCABULARY))
    net.save(model / "joiner-epoch-20-avg-1-chunk-16-left-128.onnx", {"joiner_dim": DIMENSION})


def streaming_paraformer(path: Path) -> Path:
    """Streaming Paraformer at 16 kHz: the predictor fires on every frame, one decoder block's cache passes through."""
    model = folder(path, "paraformer")
    size, dim, kernel = 80 * LFR_WINDOW, 8, 3
    net = Network()
    speech = net.input("speech", ("N", "T", size))
    length = net.input("speech_lengths", ("N",), INT32)
    net.add("MatMul", [speech, net.weight("w", random(size, dim, scale=0.1))], "enc")
    net.add("Identity", [length], "enc_len")
    mean = net.add("ReduceMean", [speech], "mean", axes=[2], keepdims=0)
    nothing = net.add("Mul", [mean, net.weight("nil", np.zeros(1, np.float32))], "nothing")
    net.add("Add", [nothing, net.weight("rate", np.array([0.3], np.float32))], "alphas")
    net.output("enc", ("N", "T", dim))
    net.output("enc_len", ("N",), INT32)
    net.output("alphas", ("N", "T"))
    net.save(
        model / "encoder.int8.onnx",
        {
            "model_type": "paraformer",
            "encoder_output_size": dim,
            "decoder_num_blocks": 1,
            "decoder_kernel_size": kernel,
            **_lfr_metadata(),
        },
    )
    net = Network()
    enc = net.input("enc", ("N", "T", dim))
    net.input("enc_len", ("N",), INT32)
    embeds = net.input("acoustic_embeds", ("N", "U", dim))
    net.input("acoustic_embeds_len", ("N",), INT32)
    cache = net.input("in_cache_0", ("N", dim, kernel - 1))
    used = net.add("ReduceMean", [enc], "used", axes=[1], keepdims=1)
    mixed = net.add("Add", [embeds, used], "mixed")
    logits = net.add("MatMul", [mixed, net.weight("w", random(dim, VOCABULARY, seed=4, scale=1.0))], "logits")
    net.add("ArgMax", [logits], "sample_ids", axis=-1, keepdims=0)
    net.add("Identity", [cache], "out_cache_0")
    net.output("logits", ("N", "U", VOCABULARY))
    net.output("sample_ids", ("N", "U"), INT64)
    net.output("out_cache_0", ("N", dim, kernel - 1))
    net.save(model / "decoder.int8.onnx", {})
    return model
