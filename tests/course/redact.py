"""Takes out of a text what nobody else should know: whose account it is, how to reach it, and any key."""

import re

# In this order: what holds others comes first.
PATTERNS = [
    (r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|\Z)", "<PEM>"),
    (r"https?://[^\s\"'<>]*[?&][^\s\"'<>]*", "<URL with a query>"),  # a presigned one, whole
    (r"(?i)\bX-Amz-(Signature|Credential|Security-Token)[=:][^\s\"'&]*", "<part of a URL>"),
    (r"\barn:aws[a-z-]*:([a-z0-9-]+):[^\s\"',\]}]*", r"<ARN of \1>"),
    (r"\b[a-z0-9-]+\.([a-z-]+\.)?iot\.[a-z0-9-]+\.amazonaws\.com(\.cn)?", "<endpoint>"),
    (r"\b(?:A3T|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA|ASCA)[A-Z0-9]{12,}\b", "<access key or ID>"),
    (r"(?i)(secret[_ ]?(?:access[_ ]?)?key|session[_ ]?token)([\"']?\s*[=:]\s*[\"']?)[^\s\"',]+", r"\1\2<secret>"),
    (r"\b[0-9a-fA-F]{64}\b", "<certificate ID>"),
    (r"[A-Za-z0-9+/]{60,}={0,2}", "<base64>"),  # a line of a key without its frame, a signature, a token
    (r"(?<!\d)\d{12}(?!\d)", "<account>"),
    (r"(?<!\d)\d{4}-\d{4}-\d{4}(?!\d)", "<account>"),  # as the console writes it
    (r"\b\d{1,3}(\.\d{1,3}){3}\b", "<address>"),
]


def redact(text, known):
    """`known`: values to take out, such as this account's endpoint, by what is written in their place."""
    for name, value in sorted(known.items(), key=lambda one: -len(one[1] or "")):
        if value:
            text = text.replace(value, f"<{name}>")
    for pattern, instead in PATTERNS:
        text = re.sub(pattern, instead, text, flags=re.DOTALL)
    return text
