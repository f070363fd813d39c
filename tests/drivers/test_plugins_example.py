"""The example plug-in, installed as its README says: by pip, from its folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGIN = Path(__file__).parents[2] / "plugins_example"

OPEN_IT = """
from registry_storage.plugins import describe_drivers, open_driver
import registry_storage_sqlite

[found] = [driver for driver in describe_drivers() if driver.name == "sqlite"]
print(registry_storage_sqlite.__file__)
print(found.distribution, found.version, found.config_keys, found.problem)
print(open_driver("sqlite", {"path": "store.sqlite"}).name)
"""


def test_pip_installs_it_and_its_entry_point_is_found(tmp_path: Path) -> None:
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", target, PLUGIN], check=True, timeout=120)
    done = subprocess.run(
        [sys.executable, "-c", OPEN_IT],
        env={**os.environ, "PYTHONPATH": str(target)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        str(target / "registry_storage_sqlite" / "__init__.py"),
        "registry-storage-sqlite 0.1.0 ('path',) None",
        "sqlite",
    ]
