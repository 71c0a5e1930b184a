"""Rules over build contexts."""

from __future__ import annotations

from hardening.model import Severity
from hardening.rules.rule import Rule

_IGNORE = "https://docs.docker.com/build/concepts/context/#dockerignore-files"

RULES = (
    Rule(
        "RP-X001",
        "a sensitive file gets into an image",
        "COPY or ADD takes it in, and .dockerignore, as the builder applies it, does not keep it "
        "out. A later RUN rm leaves it in the layer below.",
        "Name it in .dockerignore, or copy the needed paths instead of a folder. If the image was "
        "ever pushed, change the credential.",
        (_IGNORE, "CIS Docker Benchmark 4.10"),
        Severity.CRITICAL,
    ),
    Rule(
        "RP-X002",
        "a whole build context is copied without a .dockerignore",
        "Whatever anybody puts beside the Dockerfile tomorrow, keys and dumps among it, is in the "
        "next image.",
        "Write a .dockerignore that begins with * and takes back (!path) what the image needs.",
        (_IGNORE,),
        Severity.MEDIUM,
    ),
)
