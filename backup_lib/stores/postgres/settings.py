"""The settings of ``[store.NAME]`` with ``kind = "postgres"``."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from restoreproof.config.model import ConfigPath, Duration, Settings
from restoreproof.secrets import SecretRef

SslMode: TypeAlias = Literal["require", "verify-ca", "verify-full"]


class PostgresTls(Settings):
    """``tls = { … }``: how the connection is encrypted, and what proves who is at its other end."""

    mode: SslMode | None = None
    """libpq's ``sslmode``; ``verify-full`` where ``ca`` is given, else ``require``."""
    ca: Literal["system"] | ConfigPath | None = None
    """File of the authorities to trust, or ``system`` for those of the machine."""
    cert: ConfigPath | None = None
    """The client's certificate."""
    key: ConfigPath | None = None
    """Its private key, without a passphrase, readable by its owner only."""
    crl: ConfigPath | None = None
    """File of revoked certificates."""
    server_name: str | None = None
    """The name the server's certificate must have, where it is not ``host``."""

    @model_validator(mode="after")
    def _whole(self) -> PostgresTls:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together: give both or neither")
        if self.ca is None and self.mode in {"verify-ca", "verify-full"}:
            raise ValueError(f"mode {self.mode} needs ca: a file, or the word system")
        return self


class PostgresSettings(Settings):
    """One PostgreSQL database.

    Either ``dsn``, or ``service``, or ``host`` and its companions say where it is; what none of
    them says comes from libpq's own environment variables and defaults.
    """

    dsn: SecretRef | None = None
    """Reference to a connection string (``postgresql://…`` or ``host=… dbname=…``)."""
    service: str | None = Field(default=None, min_length=1)
    """Name in libpq's service file."""
    host: str | None = Field(default=None, min_length=1)
    """Name, address, or the folder of a Unix socket; several, separated by commas."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """TCP port; part of a socket's name too."""
    dbname: str | None = Field(default=None, min_length=1)
    """The database."""
    user: str | None = Field(default=None, min_length=1)
    """The role to connect as."""
    password: SecretRef | None = None
    """Reference to its password; ``.pgpass`` is looked into where there is none."""
    passfile: ConfigPath | None = None
    """Password file instead of ``~/.pgpass``."""
    tls: Literal["off"] | PostgresTls | None = None
    """How to encrypt, or ``off``; where nothing is said, only loopback and sockets go without."""
    format: Literal["custom", "directory"] = "custom"
    """``custom`` is one stream; ``directory`` is dumped by several jobs, and needs room."""
    jobs: int | None = Field(default=None, ge=1, le=64)
    """Connections that dump (``directory``) and fingerprint at the same time."""
    globals: bool = True
    """Back up the roles and tablespaces of the cluster too."""
    lock_timeout: Duration = timedelta(minutes=1)
    """How long pg_dump may wait for its locks on the tables."""
    max_snapshot_age: Duration | None = None
    """The dump is broken off when its snapshot is older than this."""
    programs: ConfigPath | None = None
    """Folder of pg_dump, pg_dumpall and pg_restore."""

    @model_validator(mode="after")
    def _one_address(self) -> PostgresSettings:
        if self.dsn is not None:
            for name in ("service", "host", "port", "dbname", "user", "password", "passfile"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is given beside dsn: put it into the dsn")
        return self
