"""Sets up structlog, for our own log lines and those of kopf and other libraries, in one format on one stream."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

QUIET: Final = {
    "kopf.objects": logging.WARNING,  # at INFO, kopf logs two lines for every event
    "httpcore": logging.WARNING,  # at a lower level, it logs a dozen lines for every probe, with the answer's headers
    "httpx": logging.WARNING,  # at INFO, it logs a line for every request
    "aiohttp.access": logging.WARNING,  # at INFO, it logs a line for every scrape
    "asyncio": logging.WARNING,
    "kubernetes": logging.WARNING,
}


def configure(log_format: str, level: str) -> None:
    """Set up logging of all lines to standard error.

    Args:
        log_format: "json" or "console".
        level: "debug", "info", "warning" or "error".
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _kubernetes_reference, structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))


def _kubernetes_reference(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keep only the object's reference of the extra data on kopf's log records, since it includes all of kopf's settings."""
    reference = getattr(event.get("_record"), "k8s_ref", None)
    if isinstance(reference, dict):
        event["namespace"], event["name"] = reference.get("namespace"), reference.get("name")
    return event
