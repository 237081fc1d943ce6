"""A small client of the simple repository API: finds one file by its name and gets its bytes.

It reads the JSON form (PEP 691) and the HTML form (PEP 503) over http, https and file, and plain
folders and pages of links. It only gets bytes; nothing in an archive is ever run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import posixpath
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

from .locations import Locations

_ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
    "text/html;q=0.1"
)
_MOST_BYTES = 64 << 20
_TRIES = 3


class NotFoundError(Exception):
    """One location does not have the file, or cannot be read; the text says why."""


def _check_tls(locations: Locations, host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for path in locations.certificates:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        elif os.path.isfile(path):
            context.load_verify_locations(cafile=path)
    try:  # the authorities that pip itself trusts, for machines that have none installed
        from pip._vendor import certifi
    except ImportError:
        pass
    else:
        context.load_verify_locations(cafile=certifi.where())
    names = {name.rpartition("@")[2].partition(":")[0] for name in locations.trusted_hosts}
    if host in names:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _without_login(url: str) -> tuple[str, str | None]:
    """Split the user and password off a URL, since urllib takes them for a part of the host."""
    parts = urllib.parse.urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    plain = urllib.parse.unquote(login)
    if ":" not in plain:
        plain += ":"
    token = base64.b64encode(plain.encode()).decode()
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), f"Basic {token}"


def show(url: str) -> str:
    """The URL as it may stand in a message: without the password."""
    return _without_login(url)[0]


def _get_http(url: str, locations: Locations) -> tuple[str, str, bytes]:
    plain, login = _without_login(url)
    host = urllib.parse.urlsplit(plain).hostname or ""
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPSHandler(context=_check_tls(locations, host))
    ]
    if locations.proxy:
        proxies = {"http": locations.proxy, "https": locations.proxy}
        handlers.append(urllib.request.ProxyHandler(proxies))
    opener = urllib.request.build_opener(*handlers)
    request = urllib.request.Request(plain, headers={"Accept": _ACCEPT, "User-Agent": "cuvee"})
    if login:
        request.add_unredirected_header("Authorization", login)
    for left in reversed(range(_TRIES)):
        try:
            with opener.open(request, timeout=locations.timeout) as answer:
                body: bytes = answer.read(_MOST_BYTES + 1)
                return answer.url, answer.headers.get_content_type(), body
        except urllib.error.HTTPError as error:
            if error.code < 500 or not left:
                raise NotFoundError(f"{show(url)}: HTTP status {error.code}") from error
        except (OSError, EOFError) as error:
            if not left:
                reason = getattr(error, "reason", None) or error
                raise NotFoundError(f"{show(url)}: {reason}") from error
        except Exception as error:  # what http.client raises for an answer that is no HTTP
            raise NotFoundError(f"{show(url)}: {type(error).__name__} {error}") from error
    raise AssertionError("unreachable")


def _local_path(url: str) -> Path | None:
    """The path that a file URL or a bare path names; None for anything else."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    if not parts.scheme:
        return Path(os.path.expanduser(url))
    return None


def _get(url: str, locations: Locations) -> tuple[str, str, bytes]:
    """Return the final URL, the content type and the body."""
    path = _local_path(url)
    if path is None:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise NotFoundError(f"{show(url)}: not an http, https or file address")
        return _get_http(url, locations)
    try:
        if path.is_dir():
            path /= "index.html"
            url = path.absolute().as_uri()
        return url, "text/html", path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror}") from error


class _Links(HTMLParser):
    """Collects the href of every anchor, and the base."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if href and tag == "a":
            self.hrefs.append(href)
        elif href and tag == "base":
            self.base = href


def links_of_page(url: str, content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Give (file name, address) of each file on an index page or a page of links."""
    if content_type.endswith("+json") or content_type == "application/json":
        try:
            for entry in json.loads(body)["files"]:
                yield entry["filename"], urllib.parse.urljoin(url, entry["url"])
        except (ValueError, KeyError, TypeError) as error:
            raise NotFoundError(f"{show(url)}: not a page of an index") from error
        return
    parser = _Links()
    parser.feed(body.decode("utf-8", "replace"))
    base = urllib.parse.urljoin(url, parser.base)
    for href in parser.hrefs:
        target = urllib.parse.urljoin(base, href)
        name = posixpath.basename(urllib.parse.unquote(urllib.parse.urlsplit(target).path))
        yield name, urllib.parse.urldefrag(target).url


def _get_linked(page: str, archive: str, locations: Locations) -> bytes:
    """Follow the link to the archive on a page."""
    for name, target in links_of_page(*_get(page, locations)):
        if name == archive:
            return _get(target, locations)[2]
    raise NotFoundError(f"{show(page)}: has no {archive}")


def _get_from_links(place: str, archive: str, locations: Locations) -> bytes:
    """Look into a folder of archives, or onto a page of links."""
    path = _local_path(place)
    if path is not None and path.is_dir():
        try:
            return (path / archive).read_bytes()
        except OSError:
            raise NotFoundError(f"{path}: has no {archive}") from None
    return _get_linked(place, archive, locations)


def fetch(project: str, archive: str, sha256: str, locations: Locations) -> bytes:
    """Return the bytes of the archive from the first location that has it with the right hash."""
    reasons: list[str] = []
    getters: list[tuple[Callable[[str, str, Locations], bytes], str]] = []
    getters += [(_get_from_links, place) for place in locations.find_links]
    getters += [(_get_linked, f"{url.rstrip('/')}/{project}/") for url in locations.indexes]
    for get, place in getters:
        try:
            content = get(place, archive, locations)
        except NotFoundError as error:
            reasons.append(str(error))
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == sha256:
            return content
        reasons.append(f"{show(place)}: {archive} has SHA-256 {found}, wanted {sha256}")
    raise NotFoundError("; ".join(reasons) or "no index and no find-links folder is configured")
