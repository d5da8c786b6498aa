"""A trained model as bytes and back: a NumPy archive of plain arrays and one JSON text. Nothing in it can run.

Whatever the bytes are, reading gives a model that works or raises `DamagedError`.
"""

import io
import json
import zipfile
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hotline.errors import DamagedError
from tickets.classifier.calibration import Blend
from tickets.classifier.features import Features, View
from tickets.classifier.label_words import LabelWords
from tickets.classifier.model import Head, Model

FORMAT = 1
MAX_BYTES = 500_000_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _HeadTable(_Strict):
    labels: list[str] = Field(min_length=1)
    words: list[tuple[Annotated[int, Field(ge=0)], Annotated[str, Field(min_length=1)], float]]
    sharpness: float
    words_weight: float


class _ModelTable(_Strict):
    format: Literal[1]
    version: str
    title: list[str]
    body: list[str]
    first: _HeadTable
    second: dict[str, _HeadTable]
    threshold: float
    first_threshold: float
    only: dict[str, str]


def write_model(model: Model) -> bytes:
    """The model as a file."""
    second = sorted(model.second)
    table = {
        "format": FORMAT,
        "version": model.version,
        "title": list(model.features.title.places),
        "body": list(model.features.body.places),
        "first": _head_table(model.first),
        "second": {name: _head_table(model.second[name]) for name in second},
        "threshold": model.threshold,
        "first_threshold": model.first_threshold,
        "only": dict(model.only),
    }
    heads: dict[str, Any] = {f"second_{number}": model.second[name].weights for number, name in enumerate(second)}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        table=np.frombuffer(json.dumps(table, ensure_ascii=False).encode(), np.uint8),
        title=model.features.title.weights,
        body=model.features.body.weights,
        first=model.first.weights,
        **heads,
    )
    return buffer.getvalue()


def read_model(data: bytes) -> Model:
    """The model of a file; raises `DamagedError` where it is not one, or one of another version of the program."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise DamagedError("the model file is too large")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        table = _ModelTable.model_validate_json(arrays["table"].tobytes())
        return _model(table, arrays)
    except ValidationError as error:
        fault = error.errors()[0]
        raise DamagedError(f"the model file: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
    except DamagedError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds over damaged bytes
        raise DamagedError(f"not a model file, or a damaged one: {error}") from error


def _head_table(head: Head) -> dict[str, Any]:
    return {
        "labels": head.labels,
        "words": head.words.words,
        "sharpness": head.blend.sharpness,
        "words_weight": head.blend.words_weight,
    }


def _model(table: _ModelTable, arrays: dict[str, NDArray[Any]]) -> Model:
    features = Features(_view(table.title, arrays["title"]), _view(table.body, arrays["body"]))
    names = sorted(table.second)
    if not set(names) | set(table.only) <= set(table.first.labels):
        raise ValueError("second levels without their first")
    second = {
        name: _head(table.second[name], arrays[f"second_{number}"], features.size) for number, name in enumerate(names)
    }
    first = _head(table.first, arrays["first"], features.size)
    return Model(table.version, features, first, second, table.threshold, table.first_threshold, table.only)


def _view(names: list[str], weights: NDArray[Any]) -> View:
    places = {name: place for place, name in enumerate(names)}
    if len(places) != len(names) or weights.shape != (len(names),) or not np.isfinite(weights).all():
        raise ValueError("weights do not fit the n-grams")
    return View(places, weights.astype(np.float32))


def _head(table: _HeadTable, weights: NDArray[Any], size: int) -> Head:
    if weights.shape != (size, len(table.labels)) or not np.isfinite(weights).all():
        raise ValueError("weights do not fit the labels")
    if any(place >= len(table.labels) for place, _, _ in table.words):
        raise ValueError("words of no label")
    words = LabelWords(tuple(table.words), len(table.labels))
    return Head(tuple(table.labels), weights.astype(np.float16), words, Blend(table.sharpness, table.words_weight))
