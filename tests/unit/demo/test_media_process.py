import json
import os
import socket
import wave
from pathlib import Path

import pytest

from demo.media_process import MediaProcess, cpu_seconds, free_port, options
from demo.sip import SipMessage
from hotline.errors import ProtocolError, UnavailableError


def write_call(
    directory: Path, name: str, kinds: list[str], *, channels: int = 2, torn: str = "", caller: str = ""
) -> None:
    folder = directory / "spool" / "node"
    folder.mkdir(parents=True, exist_ok=True)
    opened = [{"kind": "opened", "caller": caller}] if caller else []
    lines = "".join(json.dumps(line) + "\n" for line in [*opened, *({"kind": kind} for kind in kinds)])
    (folder / f"{name}.jsonl").write_text(lines + torn)
    with wave.open(str(folder / f"{name}.wav"), "wb") as wav:
        wav.setparams((channels, 2, 8000, 0, "NONE", ""))
        wav.writeframes(b"\1\0\2\0" * 10)


def test_calls_are_read_from_the_spool_without_a_torn_line(tmp_path: Path) -> None:
    write_call(tmp_path, "one", ["opened", "ended", "closed"])
    write_call(tmp_path, "two", ["opened"], torn='{"kind": "clo')
    calls = {call.audio_path.stem: call for call in MediaProcess(tmp_path).calls()}
    assert calls["one"].closed
    assert not calls["two"].closed
    assert calls["two"].first("ended") == {}
    assert calls["one"].channels().tolist() == [[1, 2]] * 10


def test_a_recording_that_is_not_stereo_is_refused(tmp_path: Path) -> None:
    write_call(tmp_path, "one", [], channels=1)
    with pytest.raises(ProtocolError, match="not stereo"):
        MediaProcess(tmp_path).calls()[0].channels()


def test_calls_that_do_not_close_are_told_of(tmp_path: Path) -> None:
    write_call(tmp_path, "one", ["opened"])
    (tmp_path / "media.log").write_text("what went wrong")
    with pytest.raises(UnavailableError, match="what went wrong"):
        MediaProcess(tmp_path).wait_for_calls(1, timeout_s=0)


def test_a_process_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    media = MediaProcess(tmp_path, HOTLINE_MEDIA__RTP_PORT_MIN="many")
    with pytest.raises(UnavailableError, match="rtp_port_min"), media:
        pass
    assert not media.running


def test_calls_of_a_caller_are_awaited_until_they_are_closed(tmp_path: Path) -> None:
    write_call(tmp_path, "one", ["closed"], caller="13500000001")
    write_call(tmp_path, "two", ["closed"], caller="13500000002")
    write_call(tmp_path, "three", [], caller="13500000002")
    media = MediaProcess(tmp_path)
    assert [call.audio_path.stem for call in media.calls_of("13500000001")] == ["one"]
    assert len(media.calls_of("13500000002")) == 2
    (tmp_path / "media.log").write_text("what went wrong")
    with pytest.raises(UnavailableError, match="what went wrong"):
        media.calls_of("13500000002", count=2, timeout_s=0)


def test_free_ports_in_a_row_can_be_bound_and_are_never_handed_out_by_the_system() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        first = free_port(count=2)
        one.bind(("127.0.0.1", first))
        other.bind(("127.0.0.1", first + 1))
    assert first < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def test_cpu_time_is_that_of_the_process() -> None:
    own = cpu_seconds(os.getpid())
    assert abs(own - sum(os.times()[:2])) < 0.2


def test_the_probe_is_proper_sip() -> None:
    assert SipMessage.parse(options(4000, 5060)).method == "OPTIONS"
