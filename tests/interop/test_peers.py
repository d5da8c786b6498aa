"""Who is heard: the trunk's addresses, and this machine when it only asks whether the process is well."""

from typing import Any

from demo.media_process import HOST, MediaProcess
from hotline.bus import MemoryBus
from hotline.probes import probe
from hotline.settings import Settings

MEDIA_SETTINGS = {"HOTLINE_SIP__ADDRESS": "0.0.0.0", "HOTLINE_SIP__ALLOWED_PEERS": '["203.0.113.0/24"]'}


def test_the_health_check_is_answered_whoever_the_peers_are(media: MediaProcess, settings: Settings) -> None:
    for address in (MEDIA_SETTINGS["HOTLINE_SIP__ADDRESS"], HOST):
        sip = settings.sip.model_copy(update={"address": address, "port": media.sip_port})
        probe("media", settings.model_copy(update={"sip": sip}), MemoryBus())


def test_a_call_from_this_machine_is_not_heard_where_it_is_no_peer(media: MediaProcess, line: Any) -> None:
    line.send(line.request("INVITE"))
    assert line.receive(timeout_s=1.5) is None
    line.send(line.request("OPTIONS"))
    assert line.final("OPTIONS").status == 200
    assert media.calls() == []
