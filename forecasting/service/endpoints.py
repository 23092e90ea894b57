"""What the routes do: bytes in, an answer or a problem out."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from forecasting.service.asgi import Receive, Scope, Send, respond
from forecasting.service.aside import Aside
from forecasting.service.asking import Ask, diagnose_asked, parsed_query, predict_asked
from forecasting.service.batching import Worker
from forecasting.service.examples import Examples
from forecasting.service.jobs import Job
from forecasting.service.limits import Limits
from forecasting.service.problems import Problem, stopping
from forecasting.service.reading import read_upload
from forecasting.service.schemas import ReadQuery
from forecasting.service.shelf import Served, Shelf
from forecasting.service.taking import Gone, Memory, Taken, awaited
from forecasting.service.writing import ARROW, JSON, diagnosed_json, predicted_arrow, predicted_json
from forecasting.version import __version__

Result = TypeVar("Result")
AT_ONCE = 1 << 16
"""[bytes] of a body that is parsed at once; larger ones are parsed aside, while others are served."""
READS = 8
"""Files that may wait to be read."""
GIVEN_UP = 2
"""Threads that may go on with a file after its time is over."""


class Endpoints:
    """The routes of one service, each an ASGI application.

    Args:
        shelf: of packages; limits: of requests.
    """

    def __init__(self, shelf: Shelf, limits: Limits) -> None:
        self.shelf, self.limits = shelf, limits
        self.examples = Examples(shelf)
        self.workers = {each.address: Worker(each, limits.queue) for each in shelf.served}
        self.memory = Memory(limits.memory)
        self.stopping = False
        self._aside = Aside("parser")
        self._reader = Aside("reader")
        self._given_up: list[Aside] = []
        self._reads = 0

    def leave(self) -> None:
        """Say at `/ready` that the service will stop."""
        self.stopping = True

    def stop(self) -> None:
        """Take no more; nobody waits for what is still being done."""
        self.leave()
        for worker in self.workers.values():
            worker.stop()
        for thread in (self._aside, self._reader):
            thread.shutdown(wait=False, cancel_futures=True)

    async def predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /predict`."""
        headers = dict(scope["headers"])
        kind = _kind(headers, (JSON, ARROW))
        accepted = headers.get(b"accept", b"").decode("latin-1")
        answer = ARROW if ARROW in accepted or (kind == ARROW and JSON not in accepted) else JSON
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)) if scope["query_string"] else {}
        written = predicted_arrow if answer == ARROW else predicted_json
        ask = partial(predict_asked, kind=kind, query=query, shelf=self.shelf, limits=self.limits)
        await self._answer(scope, receive, send, ask, written, answer)

    async def diagnose(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /diagnose`."""
        _kind(dict(scope["headers"]), (JSON,))
        await self._answer(
            scope, receive, send, partial(diagnose_asked, shelf=self.shelf, limits=self.limits), diagnosed_json, JSON
        )

    async def read(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /read`."""
        query = parsed_query(ReadQuery, dict(parse_qsl(scope["query_string"].decode("latin-1"))))
        served = None if query.package is None else self.shelf.find(query.package)
        kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
        with Taken(scope, self.memory, self.limits) as taken:
            try:
                body = await taken.body(receive)
            except Gone:
                return
            answer = await self._read_aside(partial(read_upload, body, kind, query, served, self.limits))
        await respond(send, 200, answer, JSON)

    async def _read_aside(self, work: Callable[[], Result]) -> Result:
        """The result of work on files, one at a time, while requests are answered."""
        if self._reads >= READS:
            raise Problem(429, f"{READS} files wait to be read; come again", {"retry-after": "2"})
        self._reads += 1
        result = self._reader.submit(work)
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await asyncio.wrap_future(result)
        except TimeoutError:
            if result.running():
                self._replace_reader()
            raise Problem(
                503, f"the file was not read within {self.limits.seconds:g} s; send less at a time", {"retry-after": "5"}
            ) from None
        finally:
            self._reads -= 1

    def _replace_reader(self) -> None:
        """Let others' files be read by another thread, if not too many are busy with what nobody waits for any more."""
        busy = [each for each in self._given_up if each.working]
        if len(busy) < GIVEN_UP:
            self._reader.shutdown(wait=False)
            self._given_up, self._reader = [*busy, self._reader], Aside("reader")

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /models`."""
        await _plain(send, self.shelf.plain())

    async def list_examples(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /examples`."""
        await _plain(send, await self._read_aside(self.examples.plain))

    async def example(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /examples/{name}`."""
        await _plain(send, await self._read_aside(partial(self.examples.find, scope["path_params"]["name"])))

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /health`."""
        await respond(send, 200, b'{"status":"ok"}', JSON)

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /ready`."""
        if self.stopping:
            raise stopping()
        await respond(send, 200, b'{"status":"ready"}', JSON)

    async def version(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /version`."""
        await _plain(send, {"version": __version__})

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        ask: Callable[[bytes], Ask],
        written: Callable[[Job, Served], bytes],
        kind: str,
    ) -> None:
        """Take a body, ask the worker of its package, and send the answer, unless the client left meanwhile."""
        answer = await self._answered(scope, receive, ask, written)
        if answer is not None:
            await respond(send, 200, answer, kind)

    async def _answered(
        self, scope: Scope, receive: Receive, ask: Callable[[bytes], Ask], written: Callable[[Job, Served], bytes]
    ) -> bytes | None:
        """The answer; None where the client left."""
        with Taken(scope, self.memory, self.limits) as taken:
            try:
                body = await taken.body(receive)
            except Gone:
                return None
            asked = (
                ask(body) if len(body) <= AT_ONCE else await asyncio.get_running_loop().run_in_executor(self._aside, ask, body)
            )
            del body
            taken.hold(asked.room)
            worker = self.workers[asked.served.address]
            done = worker.submit(asked.job, asked.size, lambda job: written(job, asked.served))
            try:
                return await awaited(done, receive, self.limits.seconds)
            except Gone:
                return None
            finally:
                asked.job.left = True
                done.cancel()


async def _plain(send: Send, value: Mapping[str, Any]) -> None:
    await respond(send, 200, json.dumps(value).encode(), JSON)


def _kind(headers: Mapping[bytes, bytes], taken: tuple[str, ...]) -> str:
    found = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if found not in taken:
        raise Problem(415, f"the body is {found or 'of no content type'}; send {' or '.join(taken)}")
    return found
