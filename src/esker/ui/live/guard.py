"""Who may look at the page, and what a browser may do with it: nothing but show it to the user who started it.

The page listens on the loopback interface, which other users of the machine and every web page in the user's browser
can reach. So each answer is given only to a request that names this machine as its host (against DNS rebinding), only
reads, does not come from another site, and carries the cookie that the link with the token gave.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
METHODS = ("GET", "HEAD")
TOKEN_BYTES = 32

# No script and no style but from the package's own files, no request to anywhere else, no text that becomes HTML
# (trusted types), no frame around the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

# Not a redirect: to a browser that would still be the request of the site the link was on, and the cookie, which is
# for requests of this site only, would not go with it.
_ENTER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<link rel="icon" href="/page/icon.svg"><title>esker</title><p><a href="/">Open the page</a></p></html>"""


class Guard:
    """Middleware that answers for the application what it must not be asked.

    The token is in the link that is printed; the cookie holds another secret, so that a link and a cookie do not give
    each other away. Both are compared in a time that does not depend on where they differ.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()
        self._session = secrets.token_urlsafe(TOKEN_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is not let through, or None."""
        headers = Headers(scope=scope)
        if host_of(headers.get("host", "")) not in HOSTS:
            return PlainTextResponse("this page is at 127.0.0.1 only", 400)
        if scope["method"] not in METHODS:
            return PlainTextResponse("this page can only be looked at", 405, {"Allow": ", ".join(METHODS)})
        token = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20).get("token") if (
            scope["path"] == "/" and b"token=" in scope["query_string"]
        ) else None  # fmt: skip
        if token is not None:
            return self._enter(token[0], scope)
        own = f"http://{headers['host']}"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") or headers.get("origin", own) != own:
            return PlainTextResponse("not for other sites", 403)
        if not secrets.compare_digest(self._cookie(headers, scope).encode(), self._session.encode()):
            return PlainTextResponse("open the link that `esker ui` printed", 403)
        return None

    def _enter(self, token: str, scope: Scope) -> Response:
        if not secrets.compare_digest(token.encode(), self._token):
            return PlainTextResponse("open the link that `esker ui` printed: this one is of another run", 403)
        response = HTMLResponse(_ENTER)
        response.set_cookie(_cookie_name(scope), self._session, httponly=True, samesite="strict", path="/")
        return response

    def _cookie(self, headers: Headers, scope: Scope) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(scope))
        except CookieError:
            return ""
        return found.value if found is not None else ""


def host_of(header: str) -> str:
    """The host of a Host header, without its port.

    >>> host_of("127.0.0.1:8080"), host_of("evil.example"), host_of("localhost.evil.example:1"), host_of("")
    ('127.0.0.1', 'evil.example', 'localhost.evil.example', '')
    """
    name, colon, port = header.rpartition(":")
    return (name if colon and port.isdigit() else header).lower()


def _cookie_name(scope: Scope) -> str:
    """Cookies are shared between ports: pages of two runs keep theirs apart."""
    return f"esker-{(scope.get('server') or ('', 0))[1]}"
