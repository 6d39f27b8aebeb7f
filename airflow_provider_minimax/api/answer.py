"""How much of an answer is read, and how long it may take, whichever client reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from airflow_provider_minimax.api.encodings import EncodingError, can_undo, codings_of, undone
from airflow_provider_minimax.api.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.exceptions import MinimaxError, MinimaxUnavailableError

# Of a body, as it comes over the network and once it is decoded. A list of fifty tasks has some 200 KB.
LONGEST_ANSWER = 8 * 1024 * 1024
# In place of nothing, which would allow any coding (RFC 9110, 12.5.3): what needs no other package to be decoded.
ACCEPTED_CODINGS = "gzip, deflate"
# Bytes of a request in a second, on the whole; far below what any worker's network does.
SLOWEST = 16 * 1024

_PIECE = 16 * 1024


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
        self._headers = {name.lower(): value for name, value in headers}
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
        body, problem = bytes(self._body), None
        if codings := codings_of(self._headers):
            body, problem = self._decoded(body, codings)
        if max(len(body), len(self._body)) > LONGEST_ANSWER:
            problem = self._error(f"the answer is longer than {LONGEST_ANSWER // 1024**2} MiB, which none should be")
        return HttpReply(self.status, self._headers, body, cut_off_by or problem)

    def _decoded(self, body: bytes, codings: tuple[str, ...]) -> tuple[bytes, MinimaxError | None]:
        """Return what can be decoded, or else the body as it came, and what is wrong with it."""
        named = redact(", ".join(codings), limit=80)
        if not can_undo(codings):
            return body, self._error(f"the answer is encoded as {named}, which was not asked for and cannot be decoded")
        decoded = bytearray()
        try:
            for piece in undone(_pieces_of(body), codings):
                decoded += piece
                if len(decoded) > LONGEST_ANSWER:
                    break
        except EncodingError as error:
            problem = self._error(f"the answer should be encoded as {named}, and cannot be decoded ({error})")
            return bytes(decoded) or body, problem
        return bytes(decoded), None

    def _error(self, what: str) -> MinimaxError:
        return MinimaxUnavailableError(what, http_status=self.status)


def _pieces_of(body: bytes) -> Iterator[bytes]:
    # Small ones: for each of its compressed parts, of which there may be many, what follows it is copied.
    return (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))
