# SPDX-License-Identifier: MIT
"""Options of uvicorn's for which there is one way here, or none yet: the end of the table of options."""

from __future__ import annotations

from cuvee.kinds import Flag, Text, Whole
from cuvee.one_way import NO_TLS, Nothing, Reasoned
from cuvee.option import Option
from cuvee.option_kinds import MOST

PROTOCOLS = "protocols"
TLS = "TLS, which is not there yet"

ONE_WAY_OPTIONS = (
    Option(
        "http",
        Reasoned(("auto", "h11", "httptools", "zttp"), "which all mean cuvee's own parser"),
        PROTOCOLS,
        "uvicorn's choice of a parser: there is one",
    ),
    Option(
        "http2",
        Nothing(Flag(), False, "HTTP/2 is not there yet"),
        PROTOCOLS,
        "HTTP/2, which is not there yet",
    ),
    Option(
        "h11_max_incomplete_event_size",
        Whole(1, MOST, "BYTES", optional=True),
        PROTOCOLS,
        "the value of --limit-request-line and --limit-request-head where they are not given",
    ),
    Option("ssl_keyfile", Nothing(Text("FILE", optional=True), None, NO_TLS), TLS, "the key"),
    Option(
        "ssl_certfile", Nothing(Text("FILE", optional=True), None, NO_TLS), TLS, "the certificates"
    ),
    Option(
        "ssl_keyfile_password",
        Nothing(Text(optional=True), None, NO_TLS),
        TLS,
        "what the key is encrypted with",
    ),
    Option("ssl_version", Nothing(Whole(0, MOST), 17, NO_TLS), TLS, "a number of module ssl"),
    Option("ssl_cert_reqs", Nothing(Whole(0, MOST), 0, NO_TLS), TLS, "a number of module ssl"),
    Option(
        "ssl_ca_certs",
        Nothing(Text("FILE", optional=True), None, NO_TLS),
        TLS,
        "who signs clients' certificates",
    ),
    Option(
        "ssl_ciphers",
        Nothing(Text("LIST", optional=True), None, NO_TLS),
        TLS,
        "the ciphers, as OpenSSL writes them",
    ),
)
