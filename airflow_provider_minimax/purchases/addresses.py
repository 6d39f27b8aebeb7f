"""
What a receipt keeps of an address, and what of it identifies a picture. Pure.

The two are decided apart. Kept is only what is known to be harmless, because a signed address lets its reader fetch
what is behind it. For the fingerprint, only what is known to be a signature is left out: an address that is signed
again leads to the same picture, and no two pictures may be taken for one.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)

# The size and form in which a server is to draw a picture, and its version.
_HARMLESS = re.compile(
    r"(?:(?:w|width|h|height|q|quality|dpr|v|version)=[0-9.]{1,12}|(?:format|fm|fit|alt)=[a-z0-9]{1,12})",
    re.ASCII | re.IGNORECASE,
)

# The parameters with which S3, GCS, Azure, OSS, COS, TOS, OBS, CloudFront, Akamai and Alibaba's CDN sign a URL: they
# change whenever the URL is signed again, and the picture behind it does not.
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html,
# https://cloud.google.com/storage/docs/authentication/signatures, https://learn.microsoft.com/rest/api/storageservices/create-service-sas
_SIGNING = frozenset(
    {
        *("awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "security-token", "signature", "expires"),
        *("key-pair-id", "policy", "se", "sig", "sip", "ske", "skoid", "sks", "skt", "sktid", "skv", "sp", "spr"),
        *("sr", "st", "sv"),
        *("q-ak", "q-header-list", "q-key-time", "q-sign-algorithm", "q-sign-time", "q-signature", "q-url-param-list"),
        *("hdnea", "hdntl", "hdnts", "auth_key"),
    }
)
_SIGNING_PREFIXES = ("x-amz-", "x-cos-", "x-goog-", "x-obs-", "x-oss-", "x-tos-")
# Names that may be those of a picture elsewhere, so they are signatures only where the host and path are known for it,
# and name the picture: Supabase, Bunny, Backblaze, Cloudflare Images, imgix, Discord.
_SIGNING_AT = (
    (re.compile(r"[^/]+/storage/v1/(?:object|render/image)/sign/"), ("token",)),
    (re.compile(r"[^/]+\.b-cdn\.net/"), ("token", "token_path")),
    (re.compile(r"[^/]+\.backblazeb2\.com/file/"), ("authorization",)),
    (re.compile(r"imagedelivery\.net/"), ("exp",)),
    (re.compile(r"[^/]+\.imgix\.net/"), ("s",)),
    (re.compile(r"(?:cdn|media)\.discordapp\.(?:com|net)/"), ("ex", "is", "hm")),
)


def address_to_keep(text: str) -> str:
    """
    Return an address as it may be kept where others read it: without user, signature or anything that may be one.

    :param text: the address; any other text is returned as it is.
    :return: the address up to its path, which is trusted. A query stays if all of it is harmless: a picture's size,
        form or version.
    """
    if not _ADDRESS.match(text):
        return text
    address, _, query = text.partition("#")[0].partition("?")
    scheme, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    kept = f"?{query}" if query and all(_HARMLESS.fullmatch(part) for part in query.split("&")) else ""
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}{kept}"


def picture_behind(text: str) -> str:
    """
    Return what is the same of an address however often it is signed, and of no other picture's.

    :param text: the address; any text that is none is returned as it is.
    """
    if not text.startswith(("https://", "http://")):
        return text
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    here = f"{host.lower()}{parts.path}"
    signing = _SIGNING.union(*(names for pattern, names in _SIGNING_AT if pattern.match(here)))
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name.lower() not in signing and not name.lower().startswith(_SIGNING_PREFIXES)
    ]
    return parts._replace(netloc=host, query=urlencode(kept)).geturl()
