"""Real client programs push to the server and pull from it, and everything comes back as it was.

The clients are Debian's docker, podman, skopeo, buildah and containerd (`ctr`), Helm's own Go code,
oras-py and sigstore's OCI client.  `tests/services/clients.sh` installs them.

The same tests run against another registry that takes distribution's configuration file, to tell a
fault of the server from one of the test:

    REGISTRY_UNDER_TEST="docker-registry serve" pytest tests/clients

There, what docker-registry 2.8 does not know (marker `ours_only`) is skipped.
"""
