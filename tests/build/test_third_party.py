# SPDX-License-Identifier: MIT
"""How the build gets the third-party sources, and what it says when it cannot."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from build_support import index, sources
from build_support.errors import BuildError
from build_support.locations import (
    Locations,
    find_locations,
    parse_default_index,
    parse_pip_config,
)
from build_support.pins import LIBUV, LLHTTP, PINS, Pin
from build_support.switches import Switches

ROOT = Path(__file__).parents[2]
CONTENT = b"an archive"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Site(ThreadingHTTPServer):
    """A web server that answers with prepared pages and remembers the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Page(BaseHTTPRequestHandler):
    """Answers GET."""

    server: Site

    def do_GET(self) -> None:
        """Send the page, or 404."""
        headers = self.headers
        self.server.seen.append(
            (self.path, headers.get("Accept", ""), headers.get("Authorization", ""))
        )
        kind, body = self.server.pages.get(self.path, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        site.shutdown()
        thread.join()


def json_page(*files: tuple[str, str]) -> tuple[str, bytes]:
    entries = [{"filename": name, "url": url} for name, url in files]
    return "application/vnd.pypi.simple.v1+json", json.dumps({"files": entries}).encode()


def test_json_index_with_relative_link(site: Site) -> None:
    site.pages["/simple/p/"] = json_page(
        ("p-2.tar.gz", "/no"), ("p-1.tar.gz", "../../f/p-1.tar.gz")
    )
    site.pages["/f/p-1.tar.gz"] = ("application/octet-stream", CONTENT)
    places = Locations(indexes=[f"{site.url}/simple"])
    assert index.fetch("p", "p-1.tar.gz", SHA256, places) == CONTENT
    assert "application/vnd.pypi.simple.v1+json" in site.seen[0][1]


def test_html_index_with_base_and_fragment(site: Site) -> None:
    page = f'<base href="/files/"><a href="p-1.tar.gz#sha256={SHA256}">p-1.tar.gz</a>'
    site.pages["/simple/p/"] = ("text/html", page.encode())
    site.pages["/files/p-1.tar.gz"] = ("application/octet-stream", CONTENT)
    places = Locations(indexes=[f"{site.url}/simple/"])
    assert index.fetch("p", "p-1.tar.gz", SHA256, places) == CONTENT


def test_login_in_the_address_is_sent_and_never_shown(site: Site) -> None:
    url = site.url.replace("//", "//me:s%40crt@")
    with pytest.raises(index.NotFoundError) as caught:
        index.fetch("p", "p-1.tar.gz", SHA256, Locations(indexes=[url]))
    assert site.seen[0][2] == "Basic bWU6c0BjcnQ="
    assert "crt" not in str(caught.value)
    assert "404" in str(caught.value)


def test_file_index_and_folder_of_archives(tmp_path: Path) -> None:
    project = tmp_path / "simple" / "p"
    project.mkdir(parents=True)
    (project / "index.html").write_text('<a href="../../p-1.tar.gz">p</a>')
    (tmp_path / "p-1.tar.gz").write_bytes(CONTENT)
    by_index = Locations(indexes=[(tmp_path / "simple").as_uri()])
    by_folder = Locations(find_links=[str(tmp_path)])
    by_folder_url = Locations(find_links=[tmp_path.as_uri()])
    for places in (by_index, by_folder, by_folder_url):
        assert index.fetch("p", "p-1.tar.gz", SHA256, places) == CONTENT


def test_a_wrong_hash_is_passed_over_and_named(tmp_path: Path) -> None:
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    for folder, content in ((wrong, b"something else"), (right, CONTENT)):
        folder.mkdir()
        (folder / "p-1.tar.gz").write_bytes(content)
    places = Locations(find_links=[str(wrong), str(right)])
    assert index.fetch("p", "p-1.tar.gz", SHA256, places) == CONTENT
    with pytest.raises(index.NotFoundError, match="wanted " + SHA256):
        index.fetch("p", "p-1.tar.gz", SHA256, Locations(find_links=[str(wrong)]))


def test_an_unreachable_index_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PIP_INDEX_URL", site.url)
    monkeypatch.setenv("CUVEE_CACHE_DIR", str(tmp_path))
    with pytest.raises(BuildError) as caught:
        sources.read_archive(LIBUV)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("uvloop-0.23.0.tar.gz", "libuv 1.52.1", "404", str(tmp_path), "CUVEE_BUILD_SYS"):
        assert part in message


def test_a_cached_archive_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = replace(LIBUV, archive="p-1.tar.gz", sha256=SHA256)
    links = tmp_path / "links"
    links.mkdir()
    (links / pin.archive).write_bytes(CONTENT)
    cached = tmp_path / "cache" / "archives" / pin.archive
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"spoilt")
    monkeypatch.setenv("CUVEE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    assert sources.read_archive(pin) == CONTENT
    assert cached.read_bytes() == CONTENT
    (links / pin.archive).unlink()
    assert sources.read_archive(pin) == CONTENT


def archive_of(*members: tuple[str, bytes | str]) -> bytes:
    """A tar.gz; bytes make a file, a string makes a symbolic link to it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_only_wanted_regular_files_are_unpacked(tmp_path: Path) -> None:
    pin = replace(LLHTTP, root="p/lib", wanted=("*.h", "src/*.c"))
    content = archive_of(
        ("p/setup.py", b"no"),
        ("p/lib/a.h", b"a"),
        ("p/lib/src/b.c", b"b"),
        ("p/lib/src/deep/c.c", b"no"),
        ("p/lib/link.h", "/etc/passwd"),
        ("p/lib/../up.h", b"no"),
        ("../p/lib/up.h", b"no"),
        ("/p/lib/top.h", b"no"),
    )
    sources.unpack(pin, content, tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"llhttp/a.h", "llhttp/src/b.c"}


def test_an_archive_without_the_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="holds no sources of llhttp"):
        sources.unpack(LLHTTP, archive_of(("other/x.c", b"")), tmp_path)


@pytest.mark.parametrize(
    ("pin", "text"),
    [(LIBUV, "LICENSE.libuv"), (LIBUV, "LICENSE-extra.libuv"), (LLHTTP, "LICENSE.llhttp")],
)
def test_shipped_licence_is_the_pinned_release_s(pin: Pin, text: str, tmp_path: Path) -> None:
    try:
        archive = sources.read_archive(pin)
    except BuildError as error:
        pytest.skip(str(error))
    sources.unpack(pin, archive, tmp_path)
    released = tmp_path / pin.library / text.partition(".")[0]
    assert (ROOT / "licenses" / text).read_bytes() == released.read_bytes()


def test_pip_configuration_is_read_by_rank() -> None:
    text = "\n".join(
        [
            ":env:.index-url='from-env'",
            "global.index-url='from-global'",
            "global.extra-index-url='one two\\nthree'",
            "install.cert='/ca'",
            "global.cert='/other'",
            "freeze.timeout='3'",
            "no line of this kind",
        ]
    )
    assert parse_pip_config(text) == {
        "index-url": "from-env",
        "extra-index-url": "one two\nthree",
        "cert": "/ca",
    }


def test_default_index_is_what_pip_s_help_says() -> None:
    text = """
      -i, --index-url <url>       Base URL of the package index (default
                                  https://index.test/simple). This should point
      --extra-index-url <url>     Extra URLs
    """
    assert parse_default_index(text) == "https://index.test/simple"
    assert parse_default_index("--index-url <url>  Base URL") is None


def test_locations_follow_the_environment() -> None:
    env = {
        "PIP_INDEX_URL": "https://a.test/simple",
        "PIP_EXTRA_INDEX_URL": "https://b.test/simple https://c.test",
        "PIP_FIND_LINKS": "/wheels",
        "PIP_CERT": "/ca.pem",
        "PIP_DEFAULT_TIMEOUT": "7",
        "UV_INDEX": "named=https://d.test https://e.test",
        "UV_FIND_LINKS": "/more,/most",
    }
    found = find_locations(env)
    assert found.indexes == [
        "https://a.test/simple",
        "https://b.test/simple",
        "https://c.test",
        "https://d.test",
        "https://e.test",
    ]
    assert found.find_links == ["/wheels", "/more", "/most"]
    assert found.certificates[0] == "/ca.pem"
    assert find_locations({**env, "PIP_NO_INDEX": "1"}).indexes == []
    assert find_locations({"UV_DEFAULT_INDEX": "https://u.test"}).indexes[0] == "https://u.test"


def test_switches() -> None:
    assert Switches.from_env({}) == Switches()
    switches = Switches.from_env({"CUVEE_SANITIZE": "address, undefined", "CUVEE_WERROR": "1"})
    assert switches.sanitize == ("address", "undefined")
    assert {"-UNDEBUG", "-Werror", "-fsanitize=address,undefined"} <= set(switches.own_flags())
    assert "-DNDEBUG" in Switches().own_flags()
    for env in ({"CUVEE_SANITIZE": "adress"}, {"CUVEE_DEBUG": "maybe"}):
        with pytest.raises(BuildError):
            Switches.from_env(env)


def test_no_pin_is_taken_twice() -> None:
    assert len({pin.archive for pin in PINS}) == len({pin.library for pin in PINS}) == len(PINS)
