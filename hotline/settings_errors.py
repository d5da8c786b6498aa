"""What is wrong with a setting, in words that name it as its author wrote it."""

import os
import re
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel
from pydantic_settings import SettingsError

from hotline.errors import ConfigurationError


def not_json(error: SettingsError, settings: type[BaseModel], *, prefix: str) -> ConfigurationError:
    """A variable of a table or list that should hold JSON: pydantic-settings names the field in its message only."""
    found = re.search(r'field "(\w+)"', str(error))
    name = found[1] if found else ""
    if name not in settings.model_fields:
        return ConfigurationError(str(error))
    variable = f"{prefix}{name.upper()}"
    section = settings.model_fields[name].annotation
    if not (isinstance(section, type) and issubclass(section, BaseModel)):
        return ConfigurationError(f"{variable}: not JSON", hint=f"a list is written as JSON: {variable}='[...]'")
    key = next(iter(section.model_fields))
    return ConfigurationError(
        f"{variable}: not JSON",
        hint=f"a table is written as JSON, {variable}='{{\"{key}\": ...}}', or setting by setting, "
        f"{variable}__{key.upper()}=...; its settings: {', '.join(section.model_fields)}",
    )


def explain(item: Any, *, prefix: str, secret: Collection[str]) -> str:
    """One of pydantic's errors, with the variable that it came from. Values of `secret` settings are not repeated."""
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"unknown setting {name}"
    if not name:  # a rule between settings, whose message names them
        return str(item["msg"])
    variable = f"{prefix}{'__'.join(str(part) for part in item['loc'])}".upper()
    source = f"{name} ({variable})" if variable in os.environ else name
    if item["type"] == "model_type":
        return f"{source}: a table of settings is awaited"
    value = "***" if name in secret or name.startswith("trunks") else repr(item["input"])
    return f"{source}: {item['msg']} (got {value})"
