# SPDX-License-Identifier: BSD-2-Clause
"""The pages: files of this package, without a build and without anything from elsewhere."""

import mimetypes
from importlib import resources

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from spago_jax.serve.engine.problems import Unknown
from spago_jax.serve.pages.assemble import assembled

_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


def page_routes() -> APIRouter:
    """Returns the routes of the pages, below ``/ui/``."""
    router = APIRouter()
    files = {
        each.name: each.read_bytes()
        for each in resources.files("spago_jax.serve.pages").iterdir()
        if each.name.endswith(tuple(_TYPES)) and not each.name.endswith(".html")
    } | {f"{name}.html": text.encode() for name, text in assembled().items()}

    def reply(name: str) -> Response:
        if name not in files:
            raise Unknown("no such page", hint="the home page, /ui/, lists them")
        kind = _TYPES.get(f".{name.rpartition('.')[2]}") or mimetypes.guess_type(name)[0]
        return Response(files[name], media_type=kind, headers={"cache-control": "no-cache"})

    @router.get("/ui/", include_in_schema=False)
    async def home(request: Request) -> Response:
        return reply("home.html")

    @router.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return reply("docs.html")

    @router.get("/ui/{name}", include_in_schema=False)
    async def page(request: Request, name: str) -> Response:
        return reply(name if "." in name else f"{name}.html")

    return router
