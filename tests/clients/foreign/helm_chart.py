"""Package, push and pull a chart with Helm's own code; runs in the clients' interpreter.

helm_chart.py package FOLDER DESTINATION
helm_chart.py push HOST[/PATH] ARCHIVE [USER PASSWORD]
helm_chart.py pull HOST/PATH/NAME VERSION DESTINATION
helm_chart.py tags HOST/PATH/NAME
"""

import sys

from helm_python import RegistryClient, package


def push(client: RegistryClient, remote: str, archive: str, *login: str) -> None:
    """Push an archive below `remote`."""
    if login:
        client.login(remote.partition("/")[0], *login, plain_http=True)
    client.push(archive, f"oci://{remote}", plain_http=True)


def main(action: str, *words: str) -> None:
    """Do what the command line says."""
    client = RegistryClient(plain_http=True, credentials_file="registry.json")
    if action == "package":
        print(package(words[0], destination=words[1]))
    elif action == "push":
        push(client, *words)
    elif action == "pull":
        name, version, destination = words
        options = {"version": version, "destination": destination, "plain_http": True}
        client.pull(f"oci://{name}", **options)
    elif action == "tags":
        print(*client.tags(f"oci://{words[0]}"), sep="\n")


main(*sys.argv[1:])
