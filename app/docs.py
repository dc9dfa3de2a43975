"""`/openapi.json`, and `/docs`: the document for people to try, by Swagger UI, from here alone.

FastAPI's own page loads Swagger UI from another host, and runs a script in the page: neither is
allowed here.
"""

import asyncio
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

__all__ = ["routes"]

_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Employee attrition: the API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({ url: "openapi.json", dom_id: "#page", deepLinking: false });
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    # Swagger UI sets styles on its elements.
    "style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def routes(document: Callable[[], dict[str, Any]]) -> Sequence[Route]:
    """Return the routes of the API's `document`, of the page, and of what it loads."""

    async def openapi(_request: Request) -> Response:
        # Making it takes longer than the event loop may be kept from others.
        return JSONResponse(await asyncio.to_thread(document))

    return (
        Route("/openapi.json", openapi, include_in_schema=False),
        Route("/docs", _page, include_in_schema=False),
        Route("/docs/{name}", _file, include_in_schema=False),
    )


async def _page(_request: Request) -> Response:
    return _response(_PAGE.encode(), "text/html")


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "start.js":
        return _response(_START.encode(), "text/javascript")
    if name not in _FILES:
        raise HTTPException(404)
    # Read when asked for: the script is a megabyte, and hardly ever wanted.
    content = files("fastapi_swagger.resources").joinpath(name).read_bytes()
    return _response(content, _FILES[name])


def _response(content: bytes, media_type: str) -> Response:
    return Response(content, headers={"Content-Security-Policy": _POLICY}, media_type=media_type)
