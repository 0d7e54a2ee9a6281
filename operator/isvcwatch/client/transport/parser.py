"""From bytes to an answer, free of I/O: httptools behind bounds. Any split of the bytes gives the same outcome."""

from __future__ import annotations

from typing import Final

import httptools

from isvcwatch.client.transport.errors import InvalidAnswerError, LostError

HEADER_LIMIT: Final = 32 * 1024
"""Bytes before the body, interim (1xx) answers included: what common servers take, and hold, themselves."""

FRAMING: Final = 8
"""Times the body's bound that may come over the wire for it: chunks of a byte each take six, and extensions and trailers have no end."""

LINE_ENDS: Final = b"\r\n"
"""May come after an answer, and mean nothing: httptools calls an empty one complete a byte before its end."""

FINAL: Final = 200
"""The first status that is not interim."""

BODILESS: Final = frozenset({204, 304})
"""Statuses without a body, whatever their headers say."""


class AnswerParser:
    """Reads one answer at a time; `reset` makes it ready for the next on the same connection.

    Attributes:
        done: the answer is complete.
        keep: the connection can carry another request.
        status: of the final answer; 0 until its headers are complete.
        headers: names and values as they came, in order.
        body: what has come of it.
    """

    __slots__ = (
        "_body_limit",
        "_came",
        "_cut",
        "_ends_by_eof",
        "_framed",
        "_head",
        "_head_only",
        "_parser",
        "body",
        "done",
        "headers",
        "keep",
        "status",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.reset(0)

    def reset(self, body_limit: int, *, cut: bool = False, head_only: bool = False) -> None:
        """Be ready for an answer.

        Args:
            body_limit: bytes of body that are read at most; 0 for any number.
            cut: take the beginning of a longer body for the whole, instead of refusing it.
            head_only: the request was a HEAD: its answer has no body, whatever its headers say.
        """
        self._body_limit = body_limit
        self._cut = cut
        self._head_only = head_only
        self._head = self._came = 0
        self._framed = self._ends_by_eof = self.done = self.keep = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()

    def release(self) -> None:
        """Let go of httptools' parser, which calls us and so would keep both: there will be no answer any more."""
        del self._parser

    def feed(self, data: bytes) -> bool:
        """Take in what has come; True once the answer is complete.

        Raises:
            InvalidAnswerError: it is not HTTP, or more than is read.
        """
        if self.done:
            if data.strip(LINE_ENDS):
                self.keep = False  # more than was asked for
            return True
        try:
            if not self.status:
                data = self._feed_head(data)
            if data:
                self._came += len(data)
                if self._body_limit and self._came > FRAMING * self._body_limit and not self._cut:
                    raise InvalidAnswerError("its body has no end")
                self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, InvalidAnswerError) else InvalidAnswerError("what came is not HTTP") from error
        except httptools.HttpParserUpgrade:
            raise InvalidAnswerError("the server switched to another protocol, which was not asked for") from None
        except httptools.HttpParserError as error:
            if not self.done:
                raise InvalidAnswerError(f"what came is not HTTP: {error}") from error
            self.keep = False
        return self.done

    def end(self) -> None:
        """The connection has ended: where nothing else ends the body, that does.

        Raises:
            LostError: the answer is not complete.
        """
        if not self.done:
            if not self._ends_by_eof:
                raise LostError("the connection was closed before the answer was complete")
            self.done = True
        self.keep = False

    def _feed_head(self, data: bytes) -> bytes:
        """Feed what may still belong to the head; the rest of the data."""
        room = HEADER_LIMIT - self._head
        first, rest = (data, b"") if len(data) <= room else (data[:room], data[room:])
        self._head += len(first)
        self._parser.feed_data(first)
        if not self.status and rest:
            raise InvalidAnswerError(f"its headers are longer than {HEADER_LIMIT // 1024} KiB")
        return b"" if self.done else rest

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Another answer begins: the final one after an interim one, or one that nobody asked for."""
        if self.done:
            self.keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: those are left out."""
        if self.status:
            return
        self.headers.append((name, value))
        lower = name.lower()
        if lower == b"content-length" or (lower == b"transfer-encoding" and value.lower().endswith(b"chunked")):
            self._framed = True

    def on_headers_complete(self) -> None:
        """The head is complete, of an interim answer or the final one."""
        if self.done:
            return
        status = self._parser.get_status_code()
        if status < FINAL:
            self.headers.clear()
            self._framed = False
            return
        self.status = status
        self._ends_by_eof = not (self._framed or status in BODILESS)
        if self._head_only:
            self.done = True  # and not kept: the parser waits for a body

    def on_body(self, data: bytes) -> None:
        """Some of the body."""
        if self.done:
            return
        self.body += data
        if self._body_limit and len(self.body) > self._body_limit:
            if self._cut:
                del self.body[self._body_limit :]
                self.done = True  # and not kept: the rest is still on its way
                return
            raise InvalidAnswerError(f"its body is longer than {self._body_limit // 1024} KiB")

    def on_message_complete(self) -> None:
        """An answer is complete."""
        if self.status and not self.done:
            self.done = True
            self.keep = self._parser.should_keep_alive()
