"""What the hub refuses, in words for the person who asked.

HubError
├── Unknown       there is no such thing, or none that the caller may see
├── Taken         the name is somebody else's
├── Conflict      it cannot be done as things stand; the message says what stands in the way
├── Invalid       what was asked for makes no sense
└── Unavailable   somebody else who has to be asked for it does not answer
"""

from __future__ import annotations

from registry_storage.errors import RegistryError


class HubError(RegistryError):
    """Root of what the hub refuses."""


class Unknown(HubError):
    """There is no such thing, or none that the caller may see."""


class Taken(HubError):
    """The name is somebody else's."""


class Conflict(HubError):
    """It cannot be done as things stand."""


class Invalid(HubError):
    """What was asked for makes no sense."""


class Unavailable(HubError):
    """Somebody else who has to be asked for it, such as a directory, does not answer."""
