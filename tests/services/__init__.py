"""Real servers for the tests: each module starts one and offers it as fixtures.

To add a server NAME:

* `NAME.sh`, run as root by `install.sh`, installs its packages through `lib.sh`;
* `NAME.py` starts it with `processes.spawn` in a scratch folder, on loopback and a free port, and
  defines its fixtures; where its programs are missing it calls `processes.unavailable`;
* `tests/conftest.py` lists `tests.services.NAME` in `pytest_plugins`.

A fixture of session scope runs one server in each pytest-xdist worker that asks for it; what tests
must not share (a database, a bucket, a pool) is made afresh for each test.
"""
