"""Where the package index is, as pip and uv were told.

No address stands in this file: the default index is the one that pip itself names in its help,
and everything else comes from the environment and from pip's configuration.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Locations:
    """The places to look for an archive, in order, and how to talk to them."""

    find_links: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)
    trusted_hosts: list[str] = field(default_factory=list)
    proxy: str | None = None
    timeout: float = 30.0


def _run_pip(*arguments: str) -> str:
    """Return what pip prints, or nothing where there is no pip."""
    command = [sys.executable, "-m", "pip", *arguments]
    env = {**os.environ, "COLUMNS": "200", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def parse_pip_config(text: str) -> dict[str, str]:
    """Read `pip config list`: the environment wins over a command, that over global."""
    rank = {"global": 0, "install": 1, "download": 2, ":env:": 3}
    found: dict[str, tuple[int, str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if not equals or section not in rank:
            continue
        try:
            parsed = str(ast.literal_eval(value))
        except (SyntaxError, ValueError):
            continue
        option = option.replace("_", "-")
        if option not in found or found[option][0] <= rank[section]:
            found[option] = (rank[section], parsed)
    return {option: value for option, (_, value) in found.items()}


def parse_default_index(text: str) -> str | None:
    """Find the default of --index-url in pip's help."""
    match = re.search(r"--index-url\b.*?\(default:? ?(\S+?)\)", " ".join(text.split()))
    return match.group(1) if match else None


def _is_true(value: str) -> bool:
    return value.strip().lower() in ("1", "true", "yes", "y", "on", "t")


def _uv_index(entry: str) -> str:
    """Take the name off an entry of UV_INDEX, which is URL or NAME=URL."""
    name, equals, url = entry.partition("=")
    return url if equals and re.fullmatch(r"[\w.-]+", name) else entry


def _unique(values: list[str]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))


def find_locations(env: Mapping[str, str] = os.environ) -> Locations:
    """Collect the locations from the environment and pip's configuration."""
    config = parse_pip_config(_run_pip("config", "list"))

    def option(name: str) -> str:
        return env.get("PIP_" + name.upper().replace("-", "_"), config.get(name, ""))

    links = option("find-links").split() + re.split(r"[,\s]+", env.get("UV_FIND_LINKS", ""))
    indexes: list[str] = []
    if not _is_true(option("no-index") or "0") and not _is_true(env.get("UV_NO_INDEX", "0")):
        first = option("index-url")
        if not first:
            first = env.get("UV_DEFAULT_INDEX", "") or env.get("UV_INDEX_URL", "")
        if not first:
            first = parse_default_index(_run_pip("--isolated", "download", "--help")) or ""
        indexes.append(_uv_index(first))
        indexes += option("extra-index-url").split()
        indexes += [_uv_index(entry) for entry in env.get("UV_INDEX", "").split()]
        indexes += env.get("UV_EXTRA_INDEX_URL", "").split()
    certificates = [option("cert"), env.get("REQUESTS_CA_BUNDLE", ""), env.get("SSL_CERT_FILE", "")]
    try:
        timeout = float(option("timeout") or option("default-timeout") or 30)
    except ValueError:
        timeout = 30.0
    return Locations(
        find_links=_unique(links),
        indexes=_unique(indexes),
        certificates=_unique(certificates),
        trusted_hosts=_unique(option("trusted-host").split()),
        proxy=option("proxy") or None,
        timeout=timeout,
    )
