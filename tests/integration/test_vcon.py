"""The vCons that we write, read by the `vcon` package of PyPI and held against the draft's table of parameters.

The package pins an old pytest as a requirement of its own, so it cannot stand in our locks: it gets an environment of
its own, once, in the user's cache (`XDG_CACHE_HOME`). Without network and cache that test skips.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from console_browser import add_users, browse, make_context
from console_seed import seed_heating_call

from hotline.db import Database
from hotline.settings import Settings

PACKAGE = "vcon==0.3.10"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hotline-tests"
READ = """
import json, sys
from vcon import Vcon
text = sys.stdin.read()
valid, errors = Vcon.validate_json(text)
read = Vcon.build_from_json(text)
print(json.dumps({"valid": valid, "errors": errors, "uuid": read.uuid, "subject": read.subject,
    "parties": [party.to_dict() for party in read.parties], "dialogs": len(read.dialog),
    "transcript": read.find_analysis_by_type("transcript"), "ticket": read.find_attachment_by_type("ticket")}))
"""
FILE = {
    "mediatype": {"type": "string", "pattern": "^[a-z]+/[a-z0-9.+-]+$"},
    "encoding": {"enum": ["json", "none", "base64url"]},
    "url": {"type": "string", "pattern": "^https://"},
    "content_hash": {"type": "string", "pattern": "^sha512-[A-Za-z0-9_-]{86}$"},
}
INLINE_OR_EXTERNAL = {"oneOf": [{"required": ["body", "encoding"]}, {"required": ["url", "content_hash"]}]}
INDEX = {"type": "integer", "minimum": 0}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
SCHEMA = {  # draft-ietf-vcon-vcon-core-04, sections 4.1 to 4.5, as far as we write it
    "type": "object",
    "required": ["vcon", "uuid", "created_at", "parties", "dialog", "analysis", "attachments"],
    "properties": {
        "vcon": {"const": "0.4.0"},
        "uuid": {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"},
        "created_at": TIME,
        "subject": {"type": "string"},
        "parties": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "tel": {"type": "string"},
                    "name": {"type": "string"},
                    "type": {"enum": ["person", "bot", "organization"]},
                },
                "additionalProperties": False,
            },
        },
        "dialog": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "start", "parties", "mediatype"],
                "properties": {
                    **FILE,
                    "type": {"const": "recording"},
                    "start": TIME,
                    "duration": {"type": "number", "minimum": 0},
                    "parties": {"type": "array", "items": INDEX},
                    "originator": INDEX,
                },
                **INLINE_OR_EXTERNAL,
            },
        },
        "analysis": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "vendor", "dialog"],
                "properties": {**FILE, "type": {"const": "transcript"}, "dialog": INDEX},
                **INLINE_OR_EXTERNAL,
            },
        },
        "attachments": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["purpose", "start", "party", "dialog"],
                "properties": {**FILE, "start": TIME, "party": INDEX, "dialog": INDEX},
                **INLINE_OR_EXTERNAL,
            },
        },
    },
}


@pytest.fixture
async def exported(settings: Settings, database: Database) -> list[dict[str, Any]]:
    """A ticket's vCons: masked with the recording by address, and whole with the recording in it."""
    context = make_context(settings, database)
    add_users(context)
    with database.transaction() as session:
        number = seed_heating_call(session, context.store, now=context.clock.now()).number
    async with browse(context) as browser:
        await browser.sign_in("admin")
        masked = (await browser.get(f"/tickets/{number}/transcript.vcon")).json()
        await browser.post(f"/tickets/{number}/unmask", reason="移交办理")
        whole = (await browser.get(f"/tickets/{number}/transcript.vcon?audio=inline")).json()
    return [masked, whole]


def test_vcons_are_as_the_draft_has_them(exported: list[dict[str, Any]]) -> None:
    for vcon in exported:
        jsonschema.validate(vcon, SCHEMA)
    assert ["url" in vcon["dialog"][0] for vcon in exported] == [True, False]


def test_vcons_are_read_by_the_vcon_package(exported: list[dict[str, Any]]) -> None:
    python = reader()
    for vcon in exported:
        done = subprocess.run(
            [python, "-c", READ], input=json.dumps(vcon), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)
        assert (read["valid"], read["errors"]) == (True, [])
        assert (read["uuid"], read["subject"]) == (vcon["uuid"], vcon["subject"])
        assert [party["name"] for party in read["parties"]] == [party["name"] for party in vcon["parties"]]
        assert read["dialogs"] == 1
        assert read["transcript"]["body"]["segments"]
        assert read["ticket"]["body"]["number"] == vcon["attachments"][0]["body"]["number"]


def reader() -> Path:
    """A Python that has the package, made once; skips where it cannot be had."""
    home = CACHE / f"{PACKAGE.replace('==', '-')}-{sys.version_info.major}.{sys.version_info.minor}"
    python, ready = home / "bin" / "python", home / "ready"
    if not ready.exists():
        venv.create(home, clear=True, with_pip=True)
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", PACKAGE],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"{PACKAGE} cannot be installed: {done.stderr.strip()[-200:]}")
        ready.touch()
    return python
