"""`registry-server`: every command, and what becomes of an error.

Every error of ours is a line on standard error and exit status 1, never a traceback.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from registry_server.cli.commands import app
from registry_server.cli.options import options
from registry_storage.errors import RegistryError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command that the arguments name, and end the process."""
    try:
        app(prog_name="registry-server")
    except RegistryError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        if options.debug:
            raise
        _fail(f"{type(error).__name__}: {error}; run 'registry-server --debug …' to see where")


def _fail(message: str) -> NoReturn:
    for line in message.splitlines():
        print(f"registry-server: {line}", file=sys.stderr)
    raise SystemExit(1)
