"""structlog for our own lines and for those of kopf and its libraries: one format, one stream, one line each."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

QUIET: Final = {
    "kopf.objects": logging.WARNING,  # two INFO lines for every event otherwise
    "httpcore": logging.WARNING,  # a dozen lines for every probe, the answer's headers among them
    "httpx": logging.WARNING,  # a line for every request
    "aiohttp.access": logging.WARNING,  # a line for every scrape
    "asyncio": logging.WARNING,
    "kubernetes": logging.WARNING,
}


def configure(log_format: str, level: str) -> None:
    """Send every line to standard error.

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
    """Take over which object a kopf line is about, and nothing else: its records carry all of kopf's settings."""
    reference = getattr(event.get("_record"), "k8s_ref", None)
    if isinstance(reference, dict):
        event["namespace"], event["name"] = reference.get("namespace"), reference.get("name")
    return event
