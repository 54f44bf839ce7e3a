"""The intake's certificate: is it trusted, and if not, what is it that a person has to know?

A certificate that is not trusted is looked at once more with itself as the only authority, and with its times
left out of account: so OpenSSL decodes it for us, and nothing is sent.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from socket import socket
from typing import Any, Final

from loghttp._verdict import visible
from loghttp.cli._check_step import Step

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, openssl/x509_vfy.h
_EXPIRED, _NOT_YET, _WRONG_NAME = 10, 9, (62, 64)  # X509_V_ERR_*, the same file
_SOON: Final = 14 * 86_400.0
"""Seconds before its end from which on a certificate is worth a word; renewals are usually due before."""

Reach = Callable[[], socket]


def look(reach: Reach, host: str, verify: bool | str, cert: str | tuple[str, str] | None) -> Step:
    """Shake hands as the handler does; where that fails, find out why."""
    began = time.monotonic()
    try:
        shown = _shake_hands(reach, _trusting(verify, cert), host)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(reach, host, error, time.time())
    except ssl.SSLError as error:
        return Step("certificate", "failed", f"{host} does not speak TLS as we do: {_words(error)}", _of_tls(error))
    except TimeoutError:
        advice = "Check that the port is one for https."
        return Step("certificate", "failed", f"{host} was silent when TLS began", advice)
    except OSError as error:
        advice = "Something between us and the intake cuts TLS, or the port is not one for https."
        return Step("certificate", "failed", f"{host} ended the connection when TLS began: {error}", advice)
    seconds, ends, now = time.monotonic() - began, _end(shown), time.time()
    text = f"for {_names(shown)}, by {_issuer(shown)}, until {_day(ends)} ({_span(ends - now)})"
    if ends - now < _SOON:
        return Step("certificate", "note", text, "It ends soon: is its renewal on the way?", seconds)
    return Step("certificate", "ok", text, seconds=seconds)


def _shake_hands(reach: Reach, context: ssl.SSLContext, host: str) -> dict[str, Any]:
    with reach() as connected, context.wrap_socket(connected, server_hostname=host) as secured:
        return dict(secured.getpeercert() or {})


def _trusting(verify: bool | str, cert: str | tuple[str, str] | None) -> ssl.SSLContext:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415 - as in `_check_probe`

    bundle = DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
    folder = Path(bundle).is_dir()
    context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    if cert is not None:
        pair = (cert, None) if isinstance(cert, str) else cert
        with suppress(ssl.SSLError, OSError):  # the handler will tell
            context.load_cert_chain(*pair)
    return context


def _untrusted(reach: Reach, host: str, error: ssl.SSLCertVerificationError, now: float) -> Step:
    code = error.verify_code
    shown = _decoded(reach, host)
    if code == _EXPIRED and shown and _end(shown) < now:
        text = f"of {host} expired on {_day(_end(shown))}, {_span(now - _end(shown))} ago"
        advice = "Whoever runs the intake has to renew it."
    elif code == _NOT_YET and shown:
        text = f"of {host} is valid from {_time_of(shown['notBefore'])} on only"
        advice = f"Is this machine's clock right? It says {_moment(now)}."
    elif code in _WRONG_NAME and shown:
        text = f"is for {_names(shown)}, not for {host}"
        advice = "Use a name in the URL that the certificate is for."
    else:
        who = f", signed by {_issuer(shown)}," if shown else ""
        text = f"of {host}{who} is not trusted: {error.verify_message}"
        advice = (
            "If that is your company's own CA, name its file: --ca here, verify= on the handler, or REQUESTS_CA_BUNDLE."
        )
    return Step("certificate", "failed", text, advice)


def _of_tls(error: ssl.SSLError) -> str:
    words = _words(error).lower()
    if "wrong version number" in words or "http request" in words or "record layer" in words:
        return "The port may be one for http: check the URL's scheme and port."
    if "certificate required" in words or "handshake failure" in words or "bad certificate" in words:
        return "It may want a client certificate: --cert here, cert= on the handler."
    return "Check the URL's port, and what stands between here and the intake."


def _decoded(reach: Reach, host: str) -> dict[str, Any]:
    """The certificate that the server shows, whatever is wrong with it; empty where it cannot be read."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    with suppress(OSError, ValueError):  # ssl.SSLError is an OSError
        with reach() as connected, blind.wrap_socket(connected, server_hostname=host) as secured:
            own = ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True) or b"")
        reading = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        reading.check_hostname = False
        reading.load_verify_locations(cadata=own)
        reading.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        return _shake_hands(reach, reading, host)
    return {}


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def _end(shown: Mapping[str, Any]) -> float:
    return float(ssl.cert_time_to_seconds(shown["notAfter"]))


def _time_of(text: str) -> str:
    return _moment(float(ssl.cert_time_to_seconds(text)))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _day(seconds: float) -> str:
    return _moment(seconds)[:10]


def _span(seconds: float) -> str:
    """`3 days`, `5 hours`."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number:,} {unit}{'s' * (number != 1)}"
    return "less than a minute"


def _names(shown: Mapping[str, Any]) -> str:
    names = [str(value) for _, value in shown.get("subjectAltName", ())] or _parts(shown, "subject", "commonName")
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return visible(", ".join(names[:3]) or "nobody") + more


def _issuer(shown: Mapping[str, Any]) -> str:
    names = _parts(shown, "issuer", "organizationName") or _parts(shown, "issuer", "commonName")
    return visible(names[0]) if names else "an unnamed issuer"


def _parts(shown: Mapping[str, Any], whose: str, part: str) -> list[str]:
    return [str(value) for group in shown.get(whose, ()) for name, value in group if name == part]
