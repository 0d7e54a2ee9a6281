"""The API server's audit log: who asked for what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Metadata of everything but the API server's own housekeeping and readiness polls. ResponseStarted stays in:
# it is the only sign of a watch that has not ended.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - level: None
    users: ["system:apiserver"]
  - level: None
    nonResourceURLs: ["/readyz*", "/livez*", "/healthz*"]
  - level: Metadata
"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request. `resource` is empty for paths such as `/version`; `code` is None while a watch is open and its answer not logged."""

    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: str
    user_agent: str
    code: int | None
    request_uri: str
    time: datetime

    @property
    def is_write(self) -> bool:
        return self.verb in {"create", "update", "patch", "delete", "deletecollection"}


def read(log: Path) -> Iterator[AuditEntry]:
    """The requests in `log`, oldest first, each once."""
    if not log.exists():
        return
    seen: set[str] = set()
    with log.open() as file:
        for line in file:
            if not line.endswith("\n"):
                return  # being written now
            record = json.loads(line)
            if record["auditID"] not in seen:
                seen.add(record["auditID"])
                yield _entry(record)


def _entry(record: dict[str, Any]) -> AuditEntry:
    about = record.get("objectRef", {})
    return AuditEntry(
        verb=record["verb"],
        resource=about.get("resource", ""),
        subresource=about.get("subresource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        user=record["user"].get("username", ""),
        user_agent=record.get("userAgent", ""),
        code=record.get("responseStatus", {}).get("code"),
        request_uri=record["requestURI"],
        time=datetime.fromisoformat(record["requestReceivedTimestamp"]),
    )
