"""A pyVoIP phone that calls, speaks a file of 8-bit audio, listens, and hangs up; prints what happened as JSON.

A process of its own: pyVoIP 1.6 needs the deprecated `audioop` module and leaves threads behind.
"""

import json
import sys
import time

from pyVoIP.VoIP.VoIP import CallState, VoIPPhone

host, port, own_host, own_port, rtp_port, audio_path = sys.argv[1:]
phone = VoIPPhone(
    host,
    int(port),
    "13600000001",
    "",
    myIP=own_host,
    sipPort=int(own_port),
    rtpPortLow=int(rtp_port),
    rtpPortHigh=int(rtp_port) + 10,
)
phone.sip.register = lambda: True  # a trunk takes calls without registration
phone.start()
started = time.monotonic()
call = phone.call("12345")
while call.state is CallState.DIALING and time.monotonic() < started + 10:
    time.sleep(0.01)
answered = call.state is CallState.ANSWERED
answer_ms = 1000 * (time.monotonic() - started)
heard = b""
if answered:
    with open(audio_path, "rb") as handle:
        call.write_audio(handle.read())
    until = time.monotonic() + 6
    while time.monotonic() < until:
        heard += call.read_audio(160, blocking=True)
    call.hangup()
    time.sleep(0.5)
loudest = max(abs(value - 128) for value in heard or [128])
told = {"answered": answered, "answer_ms": answer_ms, "heard": len(heard), "loudest": loudest}
sys.stdout.write(json.dumps(told) + "\n")
sys.stdout.flush()
phone.stop()
