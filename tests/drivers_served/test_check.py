"""`registry-server drivers check` finds every store well, or says in one line what is wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.drivers_served.common import Backend
from tests.services.registry import run

WRONG: Mapping[str, tuple[Mapping[str, object], str]] = {
    "s3": ({"secretkey": "guess"}, "check accesskey and secretkey"),
    "rados": ({"username": "client.absent"}, "(`ceph auth get client.absent`)"),
    # The emulator lets everyone in: what can be wrong here is the key that signs.
    "gcs": ({"credentials": {"type": "service_account"}}, "storage.gcs.credentials: not the key"),
    "swift": ({"password": "guess"}, "look at username, password"),
    "kodo": ({"secretkey": "guess"}, "check storage.kodo.accesskey"),
}
"""By driver: settings that let nobody in, and the advice that must follow."""


def test_a_store_that_works(tmp_path: Path, any_backend: Backend) -> None:
    done = check(tmp_path, any_backend.storage)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "delete what was written: ok" in done.stdout
    assert "FAILED" not in done.stdout
    assert any_backend.under_way() == []


def test_credentials_that_are_wrong(tmp_path: Path, any_backend: Backend) -> None:
    storage = spoilt(any_backend.storage)
    done = check(tmp_path, storage)
    assert done.returncode == 1
    told = [line for line in done.stdout.splitlines() if "FAILED" in line]
    (complaint,) = told + done.stderr.splitlines()
    (advice,) = [words for name, (_, words) in WRONG.items() if f"'{name}'" in str(storage)]
    assert advice in complaint


def check(folder: Path, storage: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run it with that section `storage`."""
    config = folder / "config.yml"
    config.write_text(yaml.safe_dump({"version": 0.1, "storage": dict(storage)}))
    return run("drivers", "check", str(config))


def spoilt(section: Any) -> Any:
    """The same settings, wherever they are, but with credentials that are wrong."""
    if isinstance(section, list):
        return [spoilt(item) for item in section]
    if not isinstance(section, dict):
        return section
    return {
        key: value | WRONG[key][0] if key in WRONG else spoilt(value)
        for key, value in section.items()
    }
