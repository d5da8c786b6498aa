"""What is said at both ends of a call, by kind of session, with names filled in. Pure but for the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hotline.errors import ConfigurationError
from tickets.datafile import Table, load_data_file

PLACEHOLDERS = {"leader_name": "领导姓名", "leader_post": "领导职务", "seat": "座席", "site": "热线名称"}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class _Script(Table):
    label: str
    greeting: str
    closing: str


class _File(Table):
    version: int
    scripts: dict[str, _Script]


@dataclass(frozen=True)
class Script:
    """Both texts of a kind of session, and how people call the kind."""

    kind: str
    label: str
    greeting: str
    closing: str

    def filled(self, values: Mapping[str, str]) -> "Script":
        """With names in their places; what is not known stays as its label in brackets, for the person to say."""

        def fill(text: str) -> str:
            return _PLACEHOLDER.sub(lambda found: values.get(found[1]) or f"（{PLACEHOLDERS[found[1]]}）", text)

        return Script(self.kind, self.label, fill(self.greeting), fill(self.closing))


def load_scripts(path: Path) -> dict[str, Script]:
    """Kind of session -> its script; raises `ConfigurationError` naming file and key, also for unknown placeholders."""
    scripts = load_data_file(path, _File).scripts
    faults = [
        f"{path}: scripts.{kind}.{part}: {problem}"
        for kind, script in scripts.items()
        for part in ("greeting", "closing")
        for problem in _problems(getattr(script, part))
    ]
    if "call" not in scripts:
        faults.append(f"{path}: scripts: there must be one for `call`")
    if faults:
        raise ConfigurationError("; ".join(faults))
    return {kind: Script(kind, each.label, each.greeting, each.closing) for kind, each in scripts.items()}


def _problems(text: str) -> list[str]:
    found = [f"unknown placeholder {{{name}}}" for name in _PLACEHOLDER.findall(text) if name not in PLACEHOLDERS]
    if not text.strip():
        found.append("empty")
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        found.append("a brace without its other")
    return found
