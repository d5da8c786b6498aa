"""Which program asks: the key of a request, its scopes and its rate; and the dependencies that guard operations."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from console import service
from console.api import key_repository, key_service
from console.api.models import ApiKey
from console.api.scopes import Scope
from console.context import ConsoleContext, client_address, context_of
from console.models import AuditEntry
from console.permissions import Permission, allowed
from console.throttle import Throttle
from hotline.errors import ForbiddenError
from tickets.access import Viewer
from tickets.roles import Actor

_bearer = HTTPBearer(scheme_name="key", description="`hotline apikey add` 给出的密钥", auto_error=False)
USE_NOTED_EVERY = timedelta(hours=1)
REFUSALS_LOGGED_EVERY_MINUTES = 60.0


@dataclass(frozen=True)
class ApiClient:
    """The program that asks."""

    key_id: int
    name: str
    role: str
    unit: str
    scopes: frozenset[str]
    address: str

    @property
    def username(self) -> str:
        """Its name in histories and in the audit log; no account can have it."""
        return f"api:{self.name}"

    @property
    def viewer(self) -> Viewer:
        """As whom it looks at tickets."""
        return Viewer(self.username, self.role, self.unit)

    @property
    def actor(self) -> Actor:
        """As whom it gives commands."""
        return Actor(self.username, self.role, self.unit, self.address)

    def check(self, scope: Scope) -> None:
        """Raises `ForbiddenError` where the key has not this scope."""
        if scope not in self.scopes:
            raise ForbiddenError(f"此密钥没有“{scope.label}”权限", hint=f"需要权限 {scope}")


def identify(request: Request, text: str) -> ApiClient:
    """The program whose key `text` is, counted against its rate. Raises `KeyRefusedError`, `TooManyRequestsError`.

    Failures are throttled by address and logged once an hour; a good key from the same address is not held up by
    them, since secrets cannot be guessed and proxies share an address.
    """
    context, address = context_of(request), client_address(request)
    now = context.clock.now()
    try:
        with context.database.reading() as session:
            key = key_service.check_key(session, text, now=now)
    except key_service.KeyRefusedError:
        failures: Throttle = request.app.state.key_failures
        failures.admit(address, now)
        _log_refusal(context, address)
        raise
    rates: Throttle = request.app.state.key_rates
    rates.admit(str(key.id), now, per_minute=key.per_minute)
    if key.last_used_at is None or key.last_used_at <= now - USE_NOTED_EVERY:
        with context.database.transaction() as session:
            key_repository.note_use(session, key.id, now)
    return _client(key, address)


def client_of(
    request: Request,
    scopes: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> ApiClient:
    """The dependency: a key with all the operation's scopes, of a role that may know what people told."""
    client = identify(request, credentials.credentials if credentials else "")
    if not allowed(client.role, Permission.CONTENT):
        raise ForbiddenError("此密钥的角色不能读取工单内容", hint="请用其他角色的密钥")
    for scope in scopes.scopes:
        client.check(Scope(scope))
    return client


def log_unmasking(session: Any, context: ConsoleContext, client: ApiClient, *, subject: str, reason: str) -> None:
    """Writes who saw the full personal data of what, and why; each time."""
    service.audit(
        session,
        at=context.clock.now(),
        username=client.username,
        action="unmask",
        subject=subject,
        address=client.address,
        reason=reason,
    )


def _client(key: ApiKey, address: str) -> ApiClient:
    return ApiClient(key.id, key.name, key.role, key.unit, frozenset(map(str, key.scopes)), address)


def _log_refusal(context: ConsoleContext, address: str) -> None:
    entry = AuditEntry(
        at=context.clock.now(), username="", action="api_refused", subject="", address=address, reason=""
    )
    with context.database.transaction() as session:
        service.log_once(session, entry, minutes=REFUSALS_LOGGED_EVERY_MINUTES)


AnyClient = Annotated[ApiClient, Security(client_of)]
Reader = Annotated[ApiClient, Security(client_of, scopes=[Scope.READ.value])]
Listener = Annotated[ApiClient, Security(client_of, scopes=[Scope.READ.value, Scope.TRANSCRIPTS.value])]
Creator = Annotated[ApiClient, Security(client_of, scopes=[Scope.CREATE.value])]
Commander = Annotated[ApiClient, Security(client_of, scopes=[Scope.COMMAND.value])]
