"""How much of an answer is read, and how long it may take, whichever client reads it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from airflow_provider_minimax.api.http.encodings import EncodingError, can_undo, codings_of, undone
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.exceptions import MinimaxError, MinimaxUnavailableError
from airflow_provider_minimax.text.redaction import redact

# Of a body, as it comes over the network and once it is decoded. A list of fifty tasks has some 200 KB.
LONGEST_ANSWER = 8 * 1024 * 1024
# Of a body's JSON: a few bytes of it may take a kilobyte once they are read. What is short needs no counting.
MOST_OBJECTS = 10_000
MOST_VALUES = 200_000
_SHORT = 64 * 1024
# In place of nothing, which would allow any coding (RFC 9110, 12.5.3): what needs no other package to be decoded.
ACCEPTED_CODINGS = "gzip, deflate"
# Bytes of a request in a second, on the whole; far below what any worker's network does.
SLOWEST = 16 * 1024

# Not more: for each of a body's compressed parts, of which there may be many, the rest of such a piece is copied.
_PIECE = 16 * 1024
_BEGINNING = 10


def time_to_send(length: int) -> float:
    """
    Return how many seconds a request may take to be sent, besides the connection's time-out.

    :param length: how many bytes it has.
    """
    return length / SLOWEST


def time_to_answer(timeout: float) -> float:
    """
    Return how many seconds all of an answer may take, from when its request was sent.

    :param timeout: the connection's time-out, which holds for its beginning and for each part of it.
    """
    return 2 * timeout


class Answer:
    """
    An answer that is being read.

    :param request: what it answers.
    :param status: its HTTP status.
    :param headers: its header fields.
    """

    def __init__(self, request: HttpRequest, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.status = status
        # What comes with a redirect is of no use, unless it names a task that was bought.
        self.is_read = request.buys or not 300 <= status < 400
        self.headers = {name.lower(): value for name, value in headers}
        self._body = bytearray()

    def takes(self, piece: bytes) -> bool:
        """
        Keep a piece of the body.

        :param piece: the piece, as it came over the network.
        :return: whether to go on reading.
        """
        self._body += piece
        return len(self._body) <= LONGEST_ANSWER

    def reply(self, cut_off_by: MinimaxError | None = None) -> HttpReply:
        """
        Return what came, decoded.

        :param cut_off_by: why not all of it came, if that is known.
        """
        problem = None
        if self._body and (codings := codings_of(self.headers)):
            body, problem = self._decoded(codings)
        else:
            body = bytes(self._body)
        if max(len(body), len(self._body)) > LONGEST_ANSWER:
            problem = self._error(f"the answer is longer than {LONGEST_ANSWER // 1024**2} MiB, which none should be")
        elif len(body) > _SHORT and (body.count(b"{") > MOST_OBJECTS or body.count(b",") > MOST_VALUES):
            problem = self._error("the answer has more in it than any should have")
        return HttpReply(self.status, self.headers, body, cut_off_by or problem)

    def _decoded(self, codings: tuple[str, ...]) -> tuple[bytes, MinimaxError | None]:
        """Return what can be decoded, or else the body as it came, and what is wrong with it."""
        if not can_undo(codings):
            return bytes(self._body), self._undecodable(codings, "no such coding was asked for")
        decoded, error = _undone(self._body, codings, _PIECE)
        if error is None:
            return bytes(decoded), None
        # A step that fails gives nothing: small ones get further, and a task that was bought may be named there.
        decoded, _ = _undone(self._body[:_PIECE], codings, 1)
        return bytes(decoded or self._body), self._undecodable(codings, str(error))

    def _undecodable(self, codings: tuple[str, ...], why: str) -> MinimaxError:
        named = redact(", ".join(codings), limit=80)
        return self._error(f"the answer is encoded as {named}, and cannot be decoded ({why})")

    def _error(self, what: str) -> MinimaxError:
        return MinimaxUnavailableError(what, http_status=self.status)


def _undone(body: bytearray, codings: tuple[str, ...], step: int) -> tuple[bytearray, EncodingError | None]:
    """Return as much of a body as an answer may have and can be decoded, and what stopped that."""
    # Its codings are told apart by how it begins.
    steps = (bytes(body[start : start + step]) for start in range(_BEGINNING, len(body), step))
    decoded = bytearray()
    try:
        for piece in undone(chain([bytes(body[:_BEGINNING])], steps), codings):
            decoded += piece
            if len(decoded) > LONGEST_ANSWER:
                break
    except EncodingError as error:
        return decoded, error
    return decoded, None
