"""Parses bytes into an answer by httptools, with limits and free of I/O. The outcome does not depend on how the bytes are split."""

from __future__ import annotations

from typing import Final

import httptools

from isvcwatch.client.transport.errors import InvalidAnswerError, LostError, too_long

HEADER_LIMIT: Final = 32 * 1024
"""The most bytes before the body, interim (1xx) answers included, about as many as common servers allow."""

FRAMING: Final = 8
"""The most bytes on the wire for a body, as a multiple of the body's limit: chunks of one byte take six times the limit, but chunk
extensions and trailers could go on without end."""

LINE_ENDS: Final = b"\r\n"
"""Bytes that may follow an answer without a meaning: httptools calls an answer without a body complete one byte before its end."""

FINAL: Final = 200
"""The lowest status of a final answer, which is not an interim one."""

BODILESS: Final = frozenset({204, 304})
"""Statuses without a body, whatever their headers say."""


class AnswerParser:
    """Parses one answer at a time: `expect` comes before each, and `clear` between two.

    Attributes:
        done: whether the answer is complete.
        keep: whether the connection can carry another request.
        status: the final answer's status; 0 until its headers are complete.
        headers: the names and values as they came, in order.
        body: the part of the body that has come so far.
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
        self.clear()
        self.expect(0)

    def expect(self, body_limit: int, *, cut: bool = False, head_only: bool = False) -> None:
        """Prepare for an answer.

        Args:
            body_limit: the most bytes of the body that are read; 0 for any number.
            cut: whether to keep the beginning of a longer body instead of raising an error.
            head_only: whether the request was a HEAD, whose answer has no body, whatever its headers say.
        """
        self._body_limit = body_limit
        self._cut = cut
        self._head_only = head_only

    def clear(self) -> None:
        """Forget the answer."""
        self._head = self._came = 0
        self._framed = self._ends_by_eof = self.done = self.keep = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()

    def release(self) -> None:
        """Drop httptools' parser when no more answers come, since it and this object refer to each other."""
        del self._parser

    def feed(self, data: bytes) -> bool:
        """Take in bytes; True once the answer is complete.

        Raises:
            InvalidAnswerError: the bytes are not HTTP, or exceed a limit.
        """
        if self.done:
            if data.strip(LINE_ENDS):
                self.keep = False  # bytes follow that do not belong to the answer
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
        """Take note that the connection has ended, which completes a body without a length.

        Raises:
            LostError: the answer is not complete.
        """
        if not self.done:
            if not self._ends_by_eof:
                raise LostError("the connection was closed before the answer was complete")
            self.done = True
        self.keep = False

    def _feed_head(self, data: bytes) -> bytes:
        """Parse the bytes that may still belong to the head, and return the others."""
        room = HEADER_LIMIT - self._head
        first, rest = (data, b"") if len(data) <= room else (data[:room], data[room:])
        self._head += len(first)
        self._parser.feed_data(first)
        if not self.status and rest:
            raise InvalidAnswerError(f"its headers are longer than {HEADER_LIMIT // 1024} KiB")
        return b"" if self.done else rest

    # Methods that httptools calls.

    def on_message_begin(self) -> None:
        """Begin another answer: the final one after an interim one, or one that no request asked for."""
        if self.done:
            self.keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers, which httptools also passes here, are dropped."""
        if self.status:
            return
        self.headers.append((name, value))
        lower = name.lower()
        if lower == b"content-length" or (lower == b"transfer-encoding" and value.lower().endswith(b"chunked")):
            self._framed = True

    def on_headers_complete(self) -> None:
        """Complete the head of an interim or final answer."""
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
            self.done = True  # the connection is not kept, since the parser waits for a body

    def on_body(self, data: bytes) -> None:
        """Take some of the body."""
        if self.done:
            return
        self.body += data
        if self._body_limit and len(self.body) > self._body_limit:
            if self._cut:
                del self.body[self._body_limit :]
                self.done = True  # the connection is not kept, since the rest of the body is still on its way
                return
            raise too_long(self._body_limit)

    def on_message_complete(self) -> None:
        """Complete an answer."""
        if self.status and not self.done:
            self.done = True
            self.keep = self._parser.should_keep_alive()


class Parsers:
    """Lends parsers to the connections that wait for an answer, the latest returned first.

    Most connections are idle and need none; and what was used a moment ago is still in the processor's caches, unlike what one of ten
    thousand connections keeps for itself.
    """

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free: list[AnswerParser] = []

    def lend(self) -> AnswerParser:
        """A parser for one answer."""
        return self._free.pop() if self._free else AnswerParser()

    def take_back(self, parser: AnswerParser) -> None:
        """Take back a parser after its answer. It is dropped if the connection is: bytes of what it read may be left in it."""
        if parser.keep:
            parser.clear()
            self._free.append(parser)
        else:
            parser.release()

    def release(self) -> None:
        """Drop all parsers that are not lent."""
        while self._free:
            self._free.pop().release()
