"""The site's trained models: `classifier/<version>/model.npz` and `card.json` below the data directory; `in-use` names
the one that tickets are made with. A model is written whole or not at all, and never changed."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hotline.errors import ConflictError, DamagedError, NotFoundError
from tickets.classifier.model import Model
from tickets.classifier.modelfile import read_model, write_model

FOLDER = "classifier"
MODEL, CARD, IN_USE = "model.npz", "card.json", "in-use"
_VERSION = re.compile(r"[0-9]{8}-[0-9]{6}(-[0-9]+)?")


class ModelStore:
    """The models of a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / FOLDER

    def versions(self) -> tuple[str, ...]:
        """All models, oldest first."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.folder.iterdir() if _VERSION.fullmatch(path.name)))

    def new_version(self, now: datetime) -> str:
        """A name that no model has."""
        name = f"{now:%Y%m%d-%H%M%S}"
        known = self.versions()
        return next(
            version for version in (name, *(f"{name}-{number}" for number in range(2, 1000))) if version not in known
        )

    def in_use(self) -> str:
        """The version that tickets are made with; empty for none."""
        try:
            return (self.folder / IN_USE).read_text("utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise DamagedError(f"{self.folder / IN_USE}: {error}", hint="hotline classify use VERSION") from error

    def save(self, model: Model, card: Mapping[str, Any]) -> Path:
        """Keeps a new model and its card; raises `ConflictError` where the version is taken."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
        try:
            (made / MODEL).write_bytes(write_model(model))
            (made / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", "utf-8")
            made.chmod(0o750)
            place = self.folder / model.version
            if place.exists():
                raise ConflictError(f"已有模型 {model.version}")
            os.replace(made, place)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return place

    def use(self, version: str) -> None:
        """Takes a model into use, an older one too; empty: none. Raises where it is not there or cannot be read."""
        if version:
            self.load(version)
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self.folder / f".{IN_USE}-{os.getpid()}"
        made.write_text(version + "\n", "utf-8")
        os.replace(made, self.folder / IN_USE)

    def load(self, version: str) -> Model:
        """The model; raises `NotFoundError`, or `DamagedError` naming the file and what to do."""
        path = self._place(version) / MODEL
        try:
            return read_model(path.read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError(f"没有分类模型 {version}", hint="hotline classify models 列出已有的模型") from error
        except (DamagedError, OSError) as error:
            hint = "hotline classify use 换一个模型，或 hotline classify train 重新训练"
            raise DamagedError(f"{path}: {error}", hint=hint) from error

    def card(self, version: str) -> dict[str, Any]:
        """The model's card; raises `NotFoundError`, or `DamagedError`."""
        path = self._place(version) / CARD
        try:
            card = json.loads(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise NotFoundError(f"没有分类模型 {version}", hint="hotline classify models 列出已有的模型") from error
        except (OSError, ValueError) as error:
            raise DamagedError(f"{path}: {error}") from error
        if not isinstance(card, dict):
            raise DamagedError(f"{path}: not a card")
        return card

    def _place(self, version: str) -> Path:
        if not _VERSION.fullmatch(version):
            raise NotFoundError(f"没有分类模型 {version!r}", hint="hotline classify models 列出已有的模型")
        return self.folder / version
