"""How a process hands its settings on to another."""

import json

from pydantic import BaseModel, SecretStr

from hotline.settings import PREFIX, Settings


def settings_environment(settings: Settings) -> dict[str, str]:
    """The environment variables from which a child process builds the very same settings."""
    environment: dict[str, str] = {}

    def walk(prefix: str, model: BaseModel) -> None:
        for name in type(model).model_fields:
            value = getattr(model, name)
            key = f"{prefix}{name.upper()}"
            if isinstance(value, BaseModel):
                walk(f"{key}__", value)
            elif isinstance(value, SecretStr):
                environment[key] = value.get_secret_value()
            elif isinstance(value, tuple):
                environment[key] = json.dumps([_plain(item) for item in value])
            elif value is not None:
                environment[key] = str(value)

    walk(PREFIX, settings)
    return environment


def _plain(item: object) -> object:
    """A member of a list setting for JSON, its secrets readable."""
    if not isinstance(item, BaseModel):
        return item
    values = {name: getattr(item, name) for name in type(item).model_fields}
    return {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in values.items()}
