"""Who comes in: trunks at 127.0.0.2 call our number, phones sign in at 127.0.0.1, scanners learn nothing."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from peer_rig import SECRET, Peer

from demo.media_process import HOST, MediaProcess
from demo.sip import SipMessage
from ivr.access.extensions import ExtensionFile

TRUNK, SCANNER, GUESSER, FLOODER = "127.0.0.2", "127.0.0.66", "127.0.0.67", "127.0.0.2"
MEDIA_SETTINGS = {
    "HOTLINE_SIP__ALLOWED_PEERS": '["127.0.0.2/32"]',
    "HOTLINE_EXTENSIONS__NETWORKS": '["127.0.0.0/8"]',
    "HOTLINE_DIAL_PLAN__FROM_TRUNK": '["12345"]',
    "HOTLINE_LIMITS__CALLS_PER_PEER": "2",
    "HOTLINE_LIMITS__OFFENCES": "5",
    "HOTLINE_EXTENSIONS__MAX_CONTACTS": "50",
}


@pytest.fixture(scope="module", autouse=True)
def _extension(media: MediaProcess) -> None:
    """While the process runs: it reads the file when it needs it."""
    extensions = ExtensionFile(media.data_dir / "extensions.json", realm="hotline")
    extensions.add("8001", display_name="一号座席", password=SECRET)


@pytest.fixture
def at(media: MediaProcess) -> Iterator[Callable[[str], Peer]]:
    opened: list[Peer] = []

    def peer(host: str) -> Peer:
        opened.append(Peer(media, host))
        return opened[-1]

    yield peer
    for each in opened:
        each.close()


Peers = Callable[[str], Peer]


def placed(media: MediaProcess) -> set[str]:
    """The Call-IDs of all calls; one that was refused is not among them, however late another's journal is written."""
    return {call.first("opened")["sip_call_id"] for call in media.calls() if call.first("opened")}


def test_a_phone_signs_in_calls_and_signs_out(media: MediaProcess, at: Peers) -> None:
    phone = at(HOST)
    answer = phone.sign_in(("Expires", "120"))
    assert answer.status == 200
    assert answer.header("contact") == f"<sip:8001@{HOST}:{phone.port}>;expires=120"
    challenge = phone.ask("INVITE")
    assert challenge is not None
    assert challenge.status == 401
    taken = phone.ask("INVITE", phone.signed(challenge, "INVITE"))
    assert taken is not None
    assert taken.status == 200
    phone.hang_up(taken)
    assert media.wait_for_calls(1)[-1].first("opened")["caller"] == "8001"
    assert phone.call_id in placed(media)
    assert phone.sign_in(("Expires", "0")).status == 200
    challenge = phone.ask("INVITE")
    assert challenge is not None
    refused = phone.ask("INVITE", phone.signed(challenge, "INVITE"))
    assert refused is not None
    assert refused.status == 403, "a phone that is not registered places no call"


def test_an_interval_too_brief_is_told(at: Peers) -> None:
    answer = at(HOST).sign_in(("Expires", "10"))
    assert (answer.status, answer.header("min-expires")) == (423, "60")


def test_a_recorded_message_works_no_second_time(at: Peers) -> None:
    phone = at(HOST)
    challenge = phone.ask("REGISTER")
    assert challenge is not None
    signed = phone.signed(challenge, "REGISTER")
    first, again = phone.ask("REGISTER", signed), phone.ask("REGISTER", signed)
    assert first is not None
    assert again is not None
    assert (first.status, again.status) == (200, 401)
    assert "stale=true" in again.header("www-authenticate")


def test_an_extension_cannot_be_another_one(at: Peers) -> None:
    phone = at(HOST)
    challenge = phone.ask("REGISTER", user="8002")
    assert challenge is not None
    answer = phone.ask("REGISTER", phone.signed(challenge, "REGISTER", user="8001"), user="8002")
    assert answer is not None
    assert answer.status == 403


@pytest.mark.parametrize("called", ["0015551234", "13800138000", "8001", "12345678"])
def test_a_relay_attempt_gets_403(media: MediaProcess, at: Peers, called: str) -> None:
    trunk = at(TRUNK)
    answer = trunk.ask("INVITE", called=called)
    assert answer is not None
    assert answer.status == 403
    phone = at(HOST)
    assert phone.sign_in().status == 200
    challenge = phone.ask("INVITE", called=called)
    assert challenge is not None
    assert challenge.status == 401
    signed = phone.signed(challenge, "INVITE")
    refused = phone.ask("INVITE", signed, called=called)
    assert refused is not None
    assert refused.status == 403
    assert not {trunk.call_id, phone.call_id} & placed(media)


def test_a_trunk_does_not_register(at: Peers) -> None:
    answer = at(TRUNK).ask("REGISTER")
    assert answer is not None
    assert answer.status == 403


def test_a_trunk_has_so_many_calls_and_no_more(at: Peers) -> None:
    calls = []
    for _ in range(2):
        peer = at(TRUNK)
        answer = peer.ask("INVITE", user="13500000001")
        assert answer is not None
        assert answer.status == 200
        calls.append((peer, answer))
    refused = at(TRUNK).ask("INVITE", user="13500000001")
    assert refused is not None
    assert (refused.status, int(refused.header("retry-after")) > 0) == (503, True)
    for peer, answer in calls:
        peer.hang_up(answer, user="13500000001")


def test_strangers_see_no_difference_between_extensions(at: Peers) -> None:
    shapes = set()
    for user in ("8001", "8999", "admin"):
        stranger = at("127.0.0.68")
        for secret in (None, "wrong guess"):
            challenge = stranger.ask("REGISTER", user=user)
            assert challenge is not None
            answer = challenge
            if secret is not None:
                signed = stranger.signed(challenge, "REGISTER", user=user, secret=secret)
                again = stranger.ask("REGISTER", signed, user=user)
                assert again is not None
                answer = again
            names = tuple(name.lower() for name, _ in answer.headers)
            shape = re.sub(r'nonce="[^"]*"', "", answer.header("www-authenticate"))
            shapes.add((answer.status, names, shape))
    assert len(shapes) == 1, "unknown extension and wrong secret look the same"


def test_whoever_guesses_is_banned_and_others_are_not(at: Peers) -> None:
    guesser = at(GUESSER)
    heard = 0
    for number in range(12):
        challenge = guesser.ask("REGISTER", patience_s=1.0)
        if challenge is None:
            break
        guesser.ask("REGISTER", guesser.signed(challenge, "REGISTER", secret=f"guess {number}"), patience_s=1.0)
        heard += 1
    assert heard == 5
    assert guesser.ask("OPTIONS", patience_s=0.3) is None
    assert at(HOST).sign_in().status == 200


def test_a_flood_with_the_trunks_address_does_not_shut_the_trunk_out(at: Peers) -> None:
    forged = at(FLOODER)
    for _ in range(30):
        forged.ask("REGISTER", agent="friendly-scanner", patience_s=1.0)
        forged.send(b"INVITE nonsense SIP/2.0\r\n\r\n")
    trunk = at(TRUNK)
    answer = trunk.ask("INVITE", user="13500000002")
    assert answer is not None
    assert answer.status == 200
    trunk.hang_up(answer, user="13500000002")


SVMAP = (  # sipvicious' svmap and svwar, as they stand on the wire
    "OPTIONS sip:100@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-{n};rport\r\n"
    'Content-Length: 0\r\nFrom: "sipvicious"<sip:100@1.1.1.1>;tag=3763{n}\r\nAccept: application/sdp\r\n'
    'User-Agent: {agent}\r\nTo: "sipvicious"<sip:100@1.1.1.1>\r\nContact: sip:100@{host}:{port}\r\n'
    "CSeq: 1 OPTIONS\r\nCall-ID: {n}\r\nMax-Forwards: 70\r\n\r\n"
)
SVWAR = (
    "{method} sip:{user}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-{n};rport\r\n"
    'Content-Length: 0\r\nFrom: "{user}"<sip:{user}@{server}>;tag={n}\r\nAccept: application/sdp\r\n'
    'User-Agent: {agent}\r\nTo: "{user}"<sip:{user}@{server}>\r\nContact: sip:{user}@{server}\r\n'
    "CSeq: 1 {method}\r\nCall-ID: {n}\r\nMax-Forwards: 70\r\n\r\n"
)


@pytest.mark.parametrize(("agent", "host"), [("friendly-scanner", SCANNER), ("Zoiper", "127.0.0.69")])
def test_sipvicious_finds_no_extension_and_places_no_call(
    media: MediaProcess, at: Peers, agent: str, host: str
) -> None:
    scanner = at(host)
    server = f"{media.address[0]}:{media.address[1]}"
    answers: dict[str, set[int]] = {}
    for number, user in enumerate(["100", "8001", "12345", "8999"] * 30):
        for method, text in (("OPTIONS", SVMAP), ("REGISTER", SVWAR), ("INVITE", SVWAR)):
            given = {"method": method, "server": server, "host": host, "port": scanner.port, "user": user}
            scanner.send(text.format(**given, n=f"{number}{method}", agent=agent).encode())
    scanner._socket.settimeout(0.5)
    try:
        while True:
            message = SipMessage.parse(scanner._socket.recv(65536))
            user = re.search(r"sip:([^@]+)@", message.header("to"))[1]  # type: ignore[index]
            answers.setdefault(user, set()).add(message.status or 0)
    except TimeoutError:
        pass
    assert answers == {} or set.union(*answers.values()) <= {100, 401}
    if agent == "friendly-scanner":
        assert answers == {}
    assert not {call_id for call_id in placed(media) if call_id.endswith("INVITE")}
    assert scanner.ask("OPTIONS", patience_s=0.3) is None


def test_the_log_holds_no_secret(media: MediaProcess, tmp_path: Path) -> None:
    assert SECRET not in media.log()
    assert "friendly-scanner" not in media.log()
    assert "banned" in media.log()
