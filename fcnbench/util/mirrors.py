"""Connections to mirrors: sessions, failures in words, and a check of a mirror without a download.

requests is imported on first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fcnbench.util.archive import Archive
from fcnbench.util.http_response import OK

if TYPE_CHECKING:
    import requests

TIMEOUT = (15.0, 60.0)
"""Timeouts in seconds: for a connection, and for the next bytes on it."""


@dataclass(frozen=True)
class MirrorStatus:
    """The response of a mirror to a HEAD request for an archive.

    Attributes:
        url: the requested address.
        sound: whether the mirror offers the archive.
        answer: size and type, or the reason why the mirror can't be used.
    """

    url: str
    sound: bool
    answer: str


def check_mirror(url: str, archive: Archive) -> MirrorStatus:
    """Send a HEAD request for an archive to a mirror; downloads nothing."""
    import requests

    try:
        with open_session() as session:
            response = session.head(url, allow_redirects=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        return MirrorStatus(url, False, describe_failure(error))
    if response.status_code != OK:
        return MirrorStatus(url, False, f"HTTP {response.status_code}")
    kind, size = response.headers.get("Content-Type", ""), response.headers.get("Content-Length", "")
    if "html" in kind:
        return MirrorStatus(url, False, "sends an HTML page")
    if archive.exact_size is not None and size.isdecimal() and int(size) != archive.exact_size:
        return MirrorStatus(url, False, f"{size} bytes, expected {archive.exact_size}")
    return MirrorStatus(url, True, f"{size or 'unknown'} bytes, {kind or 'no type'}")


def open_session() -> requests.Session:
    """Return an HTTP session that requests files as they are, without a content encoding."""
    import requests

    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"
    session.max_redirects = 10
    return session


def describe_failure(error: Exception) -> str:
    """Return a short description of a network error."""
    import requests

    kinds = {
        requests.TooManyRedirects: "redirects in a circle",
        requests.ConnectTimeout: "does not respond",
        requests.ReadTimeout: "stopped sending",
        requests.ConnectionError: "can't be reached",
    }
    words = next((text for kind, text in kinds.items() if isinstance(error, kind)), type(error).__name__)
    return f"{words} ({error})" if words == type(error).__name__ else words
