"""A caller who chose a language hears its prompts, and the site's where it has none."""

import wave
from pathlib import Path
from unittest.mock import Mock

import pytest

from hotline.clock import ManualClock
from ivr.announcements.prompts import load_languages
from ivr.calls.flow_run import FlowHost, FlowRun, Languages
from ivr.menu.events import Answered
from ivr.menu.loader import load_flow
from ivr.menu.machine import MenuMachine

FLOW = """\
name: own
start: greet
variables: {language: LANGUAGE}
states:
  greet: {kind: play, play: [hello, bye], next: {done: end}}
  end: {kind: hangup}
"""


def prompts(folder: Path, **texts: str) -> None:
    folder.mkdir()
    rows = "".join(f"{name}\t{text}\n" for name, text in texts.items())
    (folder / "prompts.tsv").write_text(f"name\ttext\n{rows}", encoding="utf-8")
    for name in texts:
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(b"\x00\x10" * 800)


@pytest.mark.parametrize(("language", "said"), [("zh", "您好再见"), ("en", "Hello再见"), ("fr", "您好再见")])
def test_what_a_language_lacks_is_said_in_the_sites_own(tmp_path: Path, language: str, said: str) -> None:
    prompts(tmp_path / "zh", hello="您好", bye="再见")
    prompts(tmp_path / "en", hello="Hello")
    libraries = load_languages(tmp_path / "zh")
    path = tmp_path / "own.yaml"
    path.write_text(FLOW.replace("LANGUAGE", language), encoding="utf-8")
    machine = MenuMachine(load_flow(path, prompts=frozenset({"hello", "bye"})))
    host = Mock(spec=FlowHost)
    host.offset_ms.return_value = 0
    run = FlowRun(host, machine, Languages(libraries["zh"], libraries), ManualClock())
    run.step(Answered())
    run.finish(500)
    ((text, *_),) = (call.args for call in host.announced.call_args_list)
    assert text.replace(" ", "") == said
