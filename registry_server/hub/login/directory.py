"""An LDAP directory (RFC 4511): whose name and password that is, and in which groups they are.

    encrypt -> bind as who looks up -> find the one entry with that name -> its groups
    -> bind as that entry, with the password

The password goes to the directory and nowhere else, and never in clear unless the settings say so.
An empty one is refused here: directories take a bind without a password for one of nobody, and say
yes.  Names are escaped, referrals to other servers are not followed, and every step has a time
limit.  LDAP's library blocks, so it has a few threads of its own.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import (
    LDAPException,
    LDAPResponseTimeoutError,
    LDAPSocketOpenError,
    LDAPSocketReceiveError,
)
from ldap3.core.results import (
    RESULT_INVALID_CREDENTIALS,
    RESULT_SIZE_LIMIT_EXCEEDED,
    RESULT_SUCCESS,
)
from ldap3.utils.conv import escape_filter_chars

from registry_server.auth.access import TooManyLogins
from registry_server.hub.accounts.identities import ExternalIdentity
from registry_server.hub.errors import Unavailable
from registry_server.settings.hub import DirectorySettings
from registry_storage.errors import ConfigurationInvalid

THREADS: Final = 4
MAX_WAITING: Final = 64
"""Logins that wait for a thread, in this process; more are asked to come back."""
CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 5
PAUSE_SECONDS: Final = 5.0
"""How long a directory that was silent is not asked again: nobody else waits for it meanwhile."""
MAX_GROUPS: Final = 1000
MAX_NAME: Final = 255

_PORTS: Final = {"ldap": 389, "ldaps": 636}
_IDS: Final = ("entryUUID", "objectGUID", "ipaUniqueID", "nsUniqueId")
"""What stays with an entry and never comes again, by kinds of servers."""
_NAMES: Final = ("uid", "sAMAccountName")
_FULL_NAMES: Final = ("displayName", "cn")
_MAIL: Final = "mail"
_GROUP_NAME: Final = "cn"

_SILENCES: Final = (LDAPSocketOpenError, LDAPSocketReceiveError, LDAPResponseTimeoutError)
_AWAY: Final = "the directory of users cannot be asked now; the hub's log says why"

Entry = Mapping[str, Any]

log = logging.getLogger(__name__)


class LdapDirectory:
    """The directory of the settings.  Making one connects to nothing.

    Raises `ConfigurationInvalid` where its certificates cannot be read.
    """

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self._issuer = f"ldap:{settings.base.lower()}"
        self._server = _server(settings)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ldap")
        self._waiting = 0
        self._away_until = 0.0
        if not self._server.ssl and not settings.starttls:
            log.warning("auth.hub.ldap.starttls: passwords go to the directory in clear")

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def verify(self, name: str, password: str) -> ExternalIdentity | None:
        """Who has that name and password there.  Raises `Unavailable`, `TooManyLogins`."""
        if not name or not password or len(name) > MAX_NAME or "\0" in password:
            return None
        if monotonic() < self._away_until:
            raise Unavailable(_AWAY)
        if self._waiting >= MAX_WAITING:
            raise TooManyLogins(1)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._verify, name, password)
        finally:
            self._waiting -= 1

    # In a thread

    def _verify(self, name: str, password: str) -> ExternalIdentity | None:
        with self._connected() as connection:
            entry = self._find(connection, name)
            groups = self._groups(connection, entry["dn"]) if entry is not None else ()
            # Nobody's name takes as long as somebody's.
            dn = entry["dn"] if entry is not None else f"uid=nobody,{self.settings.base}"
            if not _is_password(connection, dn, password) or entry is None:
                return None
        return self._identity(entry, name, groups)

    @contextmanager
    def _connected(self) -> Iterator[ldap3.Connection]:
        """A connection, bound as whoever looks users up."""
        try:
            connection = self._connection()
            try:
                yield connection
            finally:
                connection.unbind()
        except _SILENCES as error:
            self._away_until = monotonic() + PAUSE_SECONDS
            raise self._unavailable(error) from None
        except (LDAPException, OSError) as error:
            raise self._unavailable(error) from None

    def _connection(self) -> ldap3.Connection:
        secret = self.settings.bindpassword
        connection = ldap3.Connection(
            self._server,
            user=self.settings.binddn or None,
            password=secret.get_secret_value() if secret is not None else None,
            auto_bind=ldap3.AUTO_BIND_NONE,
            auto_referrals=False,
            check_names=False,
            read_only=True,
            receive_timeout=ANSWER_SECONDS,
        )
        connection.open()
        if not self._server.ssl and self.settings.starttls:
            connection.start_tls()
        if not connection.bind():
            connection.unbind()
            raise self._unavailable(f"it refuses auth.hub.ldap.binddn: {_told(connection)}")
        return connection

    def _find(self, connection: ldap3.Connection, name: str) -> Entry | None:
        """The one entry with that name."""
        wanted = self.settings.filter.replace("{name}", escape_filter_chars(name))
        attributes = (*_IDS, *_NAMES, *_FULL_NAMES, _MAIL)
        found = self._search(connection, self.settings.base, wanted, attributes, 2)
        if len(found) > 1:
            log.warning("auth.hub.ldap.filter finds several entries for one name; none counts")
        return found[0] if len(found) == 1 else None

    def _groups(self, connection: ldap3.Connection, dn: str) -> tuple[str, ...]:
        """The groups of an entry, each by its name and by its DN."""
        if self.settings.groupbase is None:
            return ()
        wanted = self.settings.groupfilter.replace("{dn}", escape_filter_chars(dn))
        base = self.settings.groupbase
        found = self._search(connection, base, wanted, (_GROUP_NAME,), MAX_GROUPS)
        names = [name for group in found for name in _values(group, _GROUP_NAME)]
        return (*names, *(group["dn"] for group in found))

    def _search(
        self,
        connection: ldap3.Connection,
        base: str,
        wanted: str,
        attributes: tuple[str, ...],
        limit: int,
    ) -> list[Entry]:
        connection.search(
            base, wanted, attributes=attributes, size_limit=limit, time_limit=ANSWER_SECONDS
        )
        if connection.result["result"] not in (RESULT_SUCCESS, RESULT_SIZE_LIMIT_EXCEEDED):
            raise self._unavailable(f"it does not let {base} be searched: {_told(connection)}")
        return [entry for entry in connection.response or () if entry["type"] == "searchResEntry"]

    def _identity(self, entry: Entry, name: str, groups: tuple[str, ...]) -> ExternalIdentity:
        ids = [_canonical(value) for kind in _IDS for value in _raw(entry, kind)]
        return ExternalIdentity(
            issuer=self._issuer,
            subject=ids[0] if ids else entry["dn"].lower(),
            name=_first(entry, _NAMES) or name,
            full_name=_first(entry, _FULL_NAMES),
            email=_first(entry, (_MAIL,)),
            groups=groups,
        )

    def _unavailable(self, why: object) -> Unavailable:
        """What people are told, who shall not learn more of it than that; the log learns why."""
        log.error("auth.hub.ldap.url: %s: %s", self.settings.url, why)
        return Unavailable(_AWAY)


def _server(settings: DirectorySettings) -> ldap3.Server:
    parts = urlsplit(settings.url)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        raise ConfigurationInvalid(f"auth.hub.ldap.url: {settings.url!r} names no host")
    return ldap3.Server(
        parts.hostname,
        port,
        use_ssl=parts.scheme == "ldaps",
        tls=_tls(settings, parts.hostname),
        get_info=ldap3.NONE,
        connect_timeout=CONNECT_SECONDS,
    )


def _tls(settings: DirectorySettings, host: str) -> ldap3.Tls:
    if settings.cacert is not None:
        try:
            ssl.create_default_context(cafile=str(settings.cacert))
        except OSError as error:
            raise ConfigurationInvalid(
                f"auth.hub.ldap.cacert: {settings.cacert}: {error.strerror or error}"
            ) from None
    return ldap3.Tls(
        validate=ssl.CERT_REQUIRED,
        ca_certs_file=str(settings.cacert) if settings.cacert is not None else None,
        sni=host,
    )


def _is_password(connection: ldap3.Connection, dn: str, password: str) -> bool:
    """Whether the directory takes it for that entry's.  The connection is that entry's then."""
    connection.rebind(user=dn, password=password, authentication=ldap3.SIMPLE)
    result = connection.result["result"]
    if result not in (RESULT_SUCCESS, RESULT_INVALID_CREDENTIALS):
        log.warning("the directory refuses %s: %s", dn, _told(connection))
    return bool(result == RESULT_SUCCESS)


def _told(connection: ldap3.Connection) -> str:
    return str(connection.result["description"])


def _first(entry: Entry, kinds: tuple[str, ...]) -> str:
    """The first value that there is, of the first kind that there is."""
    return next((value for kind in kinds for value in _values(entry, kind)), "")


def _values(entry: Entry, kind: str) -> list[str]:
    return [value.decode("utf-8", "replace") for value in _raw(entry, kind)]


def _raw(entry: Entry, kind: str) -> list[bytes]:
    found: list[bytes] = entry["raw_attributes"].get(kind, [])
    return found


def _canonical(value: bytes) -> str:
    """An id as text: as it is, or where it is binary in hexadecimal."""
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        return value.hex()
    return text.lower() if text.isprintable() else value.hex()
