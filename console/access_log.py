"""The end of old entries of the access log, for retention."""

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from console.models import AuditEntry


def purge_log(session: Session, before: datetime) -> dict[str, Any] | None:
    """Deletes the entries before a moment: how many (`size_bytes` is of their text) and the SHA-256 over them."""
    digest, size, count = hashlib.sha256(), 0, 0
    for entry in session.scalars(select(AuditEntry).where(AuditEntry.at < before).order_by(AuditEntry.id)):
        said = (entry.username, entry.action, entry.subject, entry.address, entry.reason)
        line = json.dumps([entry.id, entry.at.isoformat(), *said]).encode()
        digest.update(line)
        size, count = size + len(line), count + 1
    if not count:
        return None
    session.execute(delete(AuditEntry).where(AuditEntry.at < before))
    return {"name": f"{count} entries before {before.isoformat()}", "sha256": digest.hexdigest(), "size_bytes": size}
