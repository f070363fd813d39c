"""`python -m registry_server`: the same as `registry-server`."""

from __future__ import annotations

from registry_server.cli import main

if __name__ == "__main__":
    main()
