# SPDX-License-Identifier: MIT
"""The servers that the libraries talk to: each is started once, by the first test that needs it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

import cuvee
from tests.support import services

if TYPE_CHECKING:
    import trustme

S = TypeVar("S", bound=services.Service)


@pytest.fixture(scope="session", autouse=True)
def _first_loop() -> None:
    """Open what a process has once and keeps: libuv's pipe for signals."""
    cuvee.new_event_loop().close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who has signed the certificates of all servers."""
    pytest.importorskip("trustme")
    import trustme

    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of that, for libraries that want a file."""
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    """What all servers say of themselves."""
    return authority.issue_cert("localhost", "127.0.0.1")


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context, which trusts the servers here."""
    return services.client_context(authority)


@pytest.fixture
def server_tls(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A server's context."""
    return services.server_context(certificate)


def _running(kind: type[S], certificate: trustme.LeafCert) -> Iterator[S]:
    try:
        service = kind(certificate)
    except services.MissingError as missing:
        pytest.skip(str(missing))
    with service:
        yield service


@pytest.fixture(scope="session")
def postgresql(certificate: trustme.LeafCert) -> Iterator[services.PostgreSQL]:
    """A PostgreSQL server."""
    yield from _running(services.PostgreSQL, certificate)


@pytest.fixture(scope="session")
def redis_server(certificate: trustme.LeafCert) -> Iterator[services.Redis]:
    """A Redis server."""
    yield from _running(services.Redis, certificate)


@pytest.fixture(scope="session")
def rabbitmq(certificate: trustme.LeafCert) -> Iterator[services.RabbitMQ]:
    """A RabbitMQ broker."""
    yield from _running(services.RabbitMQ, certificate)
