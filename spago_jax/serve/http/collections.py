# SPDX-License-Identifier: BSD-2-Clause
"""The routes of collections: passages are found, read for answers, added and removed."""

import asyncio
from collections.abc import Sequence
from typing import Self

import numpy as np
from fastapi import APIRouter
from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from spago_jax.core.section import PositiveInt, Section
from spago_jax.serve.collections import Collection, Hit, Mode
from spago_jax.serve.engine.problems import Refused
from spago_jax.serve.http.bodies import read
from spago_jax.serve.http.gate import need_write
from spago_jax.serve.http.native import one, outcomes_of, timeout_of
from spago_jax.serve.http.replies import JsonReply
from spago_jax.serve.http.shared import Shared
from spago_jax.tasks.passage_search.index import Passage


class SearchAsk(Section):
    """The body of a search."""

    query: str = Field(min_length=1, description="a question, in any words")
    top_k: int = Field(default=5, ge=1, le=100, description="how many passages are listed")
    min_score: float | None = Field(default=None, ge=-1, le=1, description="less similar passages are left out")
    filter: dict[str, str | list[str]] = Field(default={}, description="fields, and the values that they may have")
    mode: Mode = Field(default="dense", description="by vectors, by words (BM25), or by both rankings joined")

    @model_validator(mode="after")
    def _of_cosines(self) -> Self:
        if self.min_score is not None and self.mode != "dense":
            raise ValueError(f"min_score is of cosines, and the mode is {self.mode}; leave one out")
        return self


class AnswerAsk(Section):
    """The body of a question to a collection."""

    question: str = Field(min_length=1, description="the question")
    top_k_passages: int = Field(default=10, ge=1, le=32, description="how many passages are read")
    max_answers: PositiveInt = Field(default=3, description="how many answers are listed")
    min_score: float | None = Field(default=None, description="answers whose logit over no answer is less are left out")
    filter: dict[str, str | list[str]] = Field(default={}, description="as for a search")
    mode: Mode = Field(default="dense", description="as for a search")


class GivenPassage(Section):
    """A passage that is added."""

    id: str = Field(min_length=1, description="its name")
    text: str = Field(pattern=r"\S", description="the passage")
    title: str = Field(default="", description="a title, which is not searched")
    metadata: dict[str, str] = Field(default={}, description="fields by which searches may be narrowed")


class AddAsk(Section):
    """The body that adds passages."""

    passages: list[GivenPassage] = Field(min_length=1, description="all are added, or none")
    replace: bool = Field(default=False, description="passages with these ids give way")


def collection_routes(shared: Shared) -> APIRouter:
    """Returns the routes of collections."""
    router, engine = APIRouter(), shared.engine

    async def _found(
        request: Request, found: Collection, question: str, count: int, body: SearchAsk | AnswerAsk
    ) -> Sequence[Hit]:
        outcome = None
        if body.mode != "words":
            outcome = await one(request, found.ask(engine, question, timeout_of(request)))
        least = body.min_score if isinstance(body, SearchAsk) else None
        return await asyncio.to_thread(found.nearest, question, outcome, count, least, body.filter, body.mode)

    @router.get("/v1/collections", tags=["collections"], summary="Lists the collections.")
    async def collections(request: Request) -> Response:
        return JsonReply({"data": [each.about() for each in shared.collections.values()]})

    @router.post("/v1/collections/{collection}:search", tags=["collections"], summary="Finds passages.")
    async def search(request: Request, collection: str) -> Response:
        found = shared.collection(collection)
        body = await read(request, engine.limits, SearchAsk)
        hits = await _found(request, found, body.query, body.top_k, body)
        return JsonReply({"query": body.query, "passages": [hit.to_dict() for hit in hits]})

    @router.post("/v1/collections/{collection}:answer", tags=["collections"], summary="Answers from passages.")
    async def read_answer(request: Request, collection: str) -> Response:
        found = shared.collection(collection)
        body = await read(request, engine.limits, AnswerAsk)
        timeout = timeout_of(request)
        hits = await _found(request, found, body.question, body.top_k_passages, body)
        reading = found.read(engine, body.question, hits, body.max_answers, timeout)
        outcomes = await outcomes_of(request, reading) if reading is not None else []
        answers = found.best(hits, outcomes, body.max_answers, body.min_score)
        return JsonReply({"question": body.question, "answers": answers, "passages_read": len(hits)})

    @router.post("/v1/collections/{collection}/passages", tags=["collections"], summary="Adds passages.")
    async def add(request: Request, collection: str) -> Response:
        need_write(request)
        found = shared.collection(collection)
        found.check_changes(engine)
        body = await read(request, engine.limits, AddAsk)
        texts = [each.text for each in body.passages]
        outcomes = await outcomes_of(
            request, engine.submit(found.encoder, texts, timeout=timeout_of(request), truncate=True)
        )
        for place, outcome in enumerate(outcomes):
            if outcome.problem is not None:  # all are added, or none
                outcome.problem.field = f"passages.{place}.text"
                raise outcome.problem
        vectors = np.stack([np.asarray(getattr(each.answer, "vector"), np.float32) for each in outcomes])  # noqa: B009
        passages = [Passage(each.text, each.id, each.title, each.metadata) for each in body.passages]
        gone = await asyncio.to_thread(found.add, passages, vectors, replace=body.replace)
        cut = sum(1 for each in outcomes if each.dropped)
        return JsonReply({"added": len(passages), "replaced": gone, "truncated": cut, "passages": len(found.index)})

    @router.delete("/v1/collections/{collection}/passages", tags=["collections"], summary="Removes passages.")
    async def remove(request: Request, collection: str) -> Response:
        need_write(request)
        found = shared.collection(collection)
        found.check_changes(engine)
        ids = request.query_params.getlist("id")
        if not ids:
            raise Refused("no id", field="id", hint="name the passages: ?id=ONE&id=ANOTHER")
        removed = await asyncio.to_thread(found.remove, ids)
        return JsonReply({"removed": removed, "passages": len(found.index)})

    return router
