"""A model's directory: what it says of itself, and whether its files are whole.

It may carry `model.json`: {"name": str, "engine": "vosk" | "sherpa", "demo": bool, "files": {path: bytes}} and what its
engine reads besides. Without one the model is named after its directory and is no demo.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hotline.errors import ConfigurationError

MANIFEST = "model.json"
HINT = "choose a model with `hotline models use`, or set HOTLINE_ASR__MODEL_PATH to the directory of one"


class Manifest(BaseModel):
    """`model.json` of a model directory."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    engine: str = ""
    demo: bool = False
    files: dict[str, int] = {}
    kind: str = ""
    """Which of its engine's model types this is; empty: its files tell."""
    sample_rate: int = Field(0, ge=0, le=48_000)
    """Hz; 0: the engine's rule."""
    feature_dim: int = Field(0, ge=0, le=1024)
    """Filter banks of a frame; 0: the engine's rule."""


def read_manifest(path: Path) -> Manifest:
    """The manifest of a model directory; raises `ConfigurationError` where it or the directory is unusable."""
    if not path.is_dir():
        raise ConfigurationError(f"no model directory at {path}", hint=HINT)
    file = path / MANIFEST
    if not file.exists():
        return Manifest(name=path.resolve().name)
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigurationError(f"{file} is damaged: {error}") from error


def file_sizes(path: Path) -> dict[str, int]:
    """The files below a model directory by their paths in it, in bytes."""
    return {file.relative_to(path).as_posix(): file.stat().st_size for file in path.rglob("*") if file.is_file()}


def check_listed(path: Path, manifest: Manifest, sizes: dict[str, int]) -> None:
    """Raises `ConfigurationError` where a file that the manifest lists is missing or not of its size.

    Engines accept damaged files and crash on the first utterance.
    """
    for name, size in manifest.files.items():
        if sizes.get(name) != size:
            found = "is missing" if name not in sizes else f"has {sizes[name]} bytes instead of {size}"
            raise ConfigurationError(f"the model in {path} is damaged: {name} {found}", hint="install the model again")


def check_allowed(manifest: Manifest, *, allow_demo_model: bool) -> None:
    """Raises `ConfigurationError` for a demo model where the site wants none."""
    if manifest.demo and not allow_demo_model:
        raise ConfigurationError(
            f"{manifest.name} is a demo model: it does not understand real people",
            hint=f"{HINT}, or allow it with HOTLINE_ASR__ALLOW_DEMO_MODEL=true",
        )
