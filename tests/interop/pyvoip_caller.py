"""A pyVoIP phone that signs in, calls, plays a file of 8-bit audio and hangs up; prints what happened as JSON.

A process of its own: pyVoIP 1.6 needs the deprecated `audioop` module and leaves threads behind.
"""

import json
import sys
import time

from pyVoIP.VoIP.VoIP import CallState, PhoneStatus, VoIPPhone

host, port, extension, secret, own_host, own_port, rtp_port, audio_path = sys.argv[1:]
phone = VoIPPhone(
    host,
    int(port),
    extension,
    secret,
    myIP=own_host,
    sipPort=int(own_port),
    rtpPortLow=int(rtp_port),
    rtpPortHigh=int(rtp_port) + 10,
)
phone.start()
started = time.monotonic()
while phone.get_status() is not PhoneStatus.REGISTERED and time.monotonic() < started + 10:
    time.sleep(0.01)
registered = phone.get_status() is PhoneStatus.REGISTERED
started = time.monotonic()
call = phone.call("12345")
while call.state is CallState.DIALING and time.monotonic() < started + 10:
    time.sleep(0.01)
answered = call.state is CallState.ANSWERED
answer_ms = 1000 * (time.monotonic() - started)
heard = b""
if answered:
    with open(audio_path, "rb") as handle:
        audio = handle.read()
    call.write_audio(audio)
    until = time.monotonic() + 1.45 * len(audio) / 8000  # it falls behind
    while time.monotonic() < until:
        heard += call.read_audio(160, blocking=True)
    call.hangup()
    time.sleep(0.5)
told = {
    "registered": registered,
    "answered": answered,
    "answer_ms": answer_ms,
    "heard": len(heard),
    "loudest": max(abs(value - 128) for value in heard or [128]),
}
sys.stdout.write(json.dumps(told) + "\n")
sys.stdout.flush()
phone.stop()
