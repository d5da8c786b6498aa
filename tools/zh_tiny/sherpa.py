"""Writes a character network as a streaming CTC model that stock sherpa-onnx loads.

    python -m zh_tiny.sherpa TRAINED.pt OUT_DIR

The loader is `OnlineRecognizer.from_zipformer2_ctc`, whose contract is plain: 80 filter banks at 16 kHz, chunks of `T`
frames every `decode_chunk_len` frames, six states a layer and two more, named in the model's metadata. This network
is no Zipformer: it keeps the frames of its left context in the state that a Zipformer uses for its first
convolutions, and hands the other states through.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .network import Layer, Shape, load

TELEPHONE_BINS = 60
"""Bins below the 4 kHz of a telephone; what a resampler leaves above is not to be heard."""
CHUNK = 32
"""Frames from one chunk to the next."""
LAYER_STATES = ((1, 1, 1), (1, 1, 1, 3), (1, 1, 1), (1, 1, 1), (1, 4, 1), (1, 4, 1))
"""The least states that a Zipformer of one layer may have: keys, non-linear attention, values, values, convolutions."""
LAYER_STATE_BATCH = (1, 1, 1, 1, 0, 0)
CONVOLUTION_STATE = (1, 128, 3, 19)
METADATA = {
    "model_type": "zipformer2",
    "version": "1",
    "comment": "streaming ctc, a small convolutional network for tests",
    "encoder_dims": "4",
    "query_head_dims": "1",
    "value_head_dims": "1",
    "num_heads": "1",
    "num_encoder_layers": "1",
    "cnn_module_kernels": "3",
    "left_context_len": "1",
}


class Graph:
    """Collects nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, value: NDArray[np.float32]) -> str:
        """Stored in half precision, used in full."""
        return self.node("Cast", [self.constant(f"{name}_half", value.astype(np.float16))], name, to=TensorProto.FLOAT)

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def build(layers: list[Layer], shape: Shape, floor: NDArray[np.float32]) -> onnx.ModelProto:
    """The streaming model. `floor` [inputs] is the feature of a quiet line: what was heard before the first frame."""
    context, inputs = shape.context, shape.inputs
    window = CHUNK - shape.step + 2 * context + 1
    length = window - context
    stored = context * inputs
    room = int(np.prod(CONVOLUTION_STATE[1:]))
    if stored > room:
        raise ValueError(f"a context of {context} frames does not fit into the state of {room} numbers")

    graph = Graph()
    floor_name = graph.constant("floor", floor.reshape(1, 1, inputs).astype(np.float32))

    def integers(name: str, *values: int) -> str:
        return graph.constant(name, np.array(values, np.int64))

    audible = (np.arange(inputs) < TELEPHONE_BINS).astype(np.float32).reshape(1, 1, inputs)
    above = graph.node("Sub", ["x", floor_name], "above_floor_in_all_bins")
    above = graph.node("Mul", [above, graph.constant("audible", audible)], "above_floor")
    flat = graph.node("Reshape", ["embed_states", integers("flat_shape", 0, room)], "flat_state")
    one = integers("axis_1", 1)
    kept = graph.node("Slice", [flat, integers("from_0", 0), integers("stored", stored), one], "kept_flat")
    past = graph.node("Reshape", [kept, integers("past_shape", 0, context, inputs)], "past")
    heard = graph.node("Concat", [past, above], "heard_above_floor", axis=1)
    last = graph.node("Slice", [heard, integers("chunk", CHUNK), integers("chunk_end", CHUNK + context), one], "last")
    last_flat = graph.node("Reshape", [last, integers("last_shape", 0, stored)], "last_flat")
    rest = graph.node("Slice", [flat, "stored", integers("room", room), one], "rest")
    state = graph.node("Concat", [last_flat, rest], "state_flat", axis=1)
    graph.node("Reshape", [state, integers("state_shape", 0, *CONVOLUTION_STATE[1:])], "new_embed_states")

    hidden = graph.node("Transpose", [graph.node("Add", [heard, floor_name], "heard")], "hidden", perm=[0, 2, 1])
    for index, layer in enumerate(layers):
        hidden = graph.node(
            "Conv",
            [hidden, graph.weight(f"weight_{index}", layer.weight), graph.constant(f"bias_{index}", layer.bias)],
            f"layer_{index}",
            dilations=[layer.dilation],
            strides=[layer.stride],
        )
        if index < len(layers) - 1:
            hidden = graph.node("Relu", [hidden], f"active_{index}")
    scores = graph.node("Transpose", [hidden], "scores", perm=[0, 2, 1])
    graph.node("LogSoftmax", [scores], "log_probs", axis=2)

    floats, outputs = TensorProto.FLOAT, len(layers[-1].bias)
    entries = [helper.make_tensor_value_info("x", floats, ["N", length, inputs])]
    exits = [helper.make_tensor_value_info("log_probs", floats, ["N", CHUNK // shape.step, outputs])]
    for index, (dimensions, batch_axis) in enumerate(zip(LAYER_STATES, LAYER_STATE_BATCH, strict=True)):
        sizes: list[int | str] = list(dimensions)
        sizes[batch_axis] = "N"
        entries.append(helper.make_tensor_value_info(f"state_{index}", floats, sizes))
        exits.append(helper.make_tensor_value_info(f"new_state_{index}", floats, sizes))
        graph.node("Identity", [f"state_{index}"], f"new_state_{index}")
    convolution = ["N", *CONVOLUTION_STATE[1:]]
    entries.append(helper.make_tensor_value_info("embed_states", floats, convolution))
    exits.append(helper.make_tensor_value_info("new_embed_states", floats, convolution))
    entries.append(helper.make_tensor_value_info("processed_lens", TensorProto.INT64, ["N"]))
    exits.append(helper.make_tensor_value_info("new_processed_lens", TensorProto.INT64, ["N"]))
    graph.node("Add", ["processed_lens", integers("outputs_a_chunk", CHUNK // shape.step)], "new_processed_lens")

    model = helper.make_model(
        helper.make_graph(graph.nodes, "zh_tiny_characters", entries, exits, graph.constants),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    helper.set_model_props(model, METADATA | {"T": str(length), "decode_chunk_len": str(CHUNK)})
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trained", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    network, extra = load(str(arguments.trained))
    model = build(network.folded(), network.shape, np.asarray(extra["floor"], np.float32))
    arguments.out.mkdir(parents=True, exist_ok=True)
    onnx.save(model, arguments.out / "model.onnx")
    names = extra["names"]
    assert isinstance(names, tuple)
    tokens = "".join(f"{name} {number}\n" for number, name in enumerate(names))
    (arguments.out / "tokens.txt").write_text(tokens, "utf-8")
    sizes = {name: (arguments.out / name).stat().st_size for name in ("model.onnx", "tokens.txt")}
    manifest = {"name": "zh_tiny_sherpa", "demo": True, "kind": "streaming_zipformer_ctc", "files": sizes}
    (arguments.out / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")
    size = (arguments.out / "model.onnx").stat().st_size
    print(f"{arguments.out}: {len(names)} characters, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
