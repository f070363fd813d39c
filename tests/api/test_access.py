"""Who may do what: the answers with, without and with too few rights."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from . import access
from .access import Guarded
from .client import Answer, Client, exchange, statuses, with_query
from .conftest import Serve
from .content import ABSENT, MANIFEST, OCTETS, blob, digest_of, image, index

APP = image("application")
LAYER_DIGEST = digest_of(APP.blobs[1])
SECRET = blob(5000, "a layer of the team's")
SECRET_DIGEST = digest_of(SECRET)

READS = [
    ("GET", "tags/list"),
    ("GET", "manifests/v1"),
    ("HEAD", "manifests/v1"),
    ("GET", f"manifests/{APP.digest}"),
    ("GET", f"blobs/{LAYER_DIGEST}"),
    ("HEAD", f"blobs/{LAYER_DIGEST}"),
    ("GET", f"referrers/{APP.digest}"),
]
WRITES = [
    ("POST", "blobs/uploads/"),
    ("POST", f"blobs/uploads/?digest={ABSENT}"),
    ("POST", f"blobs/uploads/?mount={LAYER_DIGEST}&from=public/app"),
    ("PATCH", "blobs/uploads/" + "0" * 32),
    ("PUT", f"blobs/uploads/{'0' * 32}?digest={ABSENT}"),
    ("GET", "blobs/uploads/" + "0" * 32),
    ("DELETE", "blobs/uploads/" + "0" * 32),
    ("PUT", "manifests/v1"),
    ("PUT", f"manifests/{APP.digest}?tag=v9"),
]
DELETES = [
    ("DELETE", "manifests/v1"),
    ("DELETE", f"manifests/{APP.digest}"),
    ("DELETE", f"blobs/{LAYER_DIGEST}"),
]


@pytest.fixture(scope="module")
def guarded(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    directory = tmp_path_factory.mktemp("guarded")
    environment, htpasswd, policy = access.settings(directory)
    guarded = Guarded(serve(environment, directory=directory), htpasswd, policy)
    with closing(guarded.client("ann")) as ann:
        for repository in ("team/app", "public/app"):
            APP.push(ann, repository, "v1")
        ann.push_blob("team/app", SECRET)
    return guarded


def _clients(guarded: Guarded, user: str | None) -> Iterator[Client]:
    with closing(guarded.client(user)) as client:
        yield client


@pytest.fixture
def nobody(guarded: Guarded) -> Iterator[Client]:
    yield from _clients(guarded, None)


@pytest.fixture
def ann(guarded: Guarded) -> Iterator[Client]:
    """A developer: may pull and push `team/**`."""
    yield from _clients(guarded, "ann")


@pytest.fixture
def bob(guarded: Guarded) -> Iterator[Client]:
    """A developer like ann."""
    yield from _clients(guarded, "bob")


@pytest.fixture
def carl(guarded: Guarded) -> Iterator[Client]:
    """May pull `team/**`, and push what is new to it."""
    yield from _clients(guarded, "carl")


@pytest.fixture
def dora(guarded: Guarded) -> Iterator[Client]:
    """May delete from `team/**`, too."""
    yield from _clients(guarded, "dora")


@pytest.fixture
def eve(guarded: Guarded) -> Iterator[Client]:
    """Has an account, and no rights but everybody's."""
    yield from _clients(guarded, "eve")


@pytest.fixture
def frank(guarded: Guarded) -> Iterator[Client]:
    """May pull and push `frank/*`, and push to `dropbox`."""
    yield from _clients(guarded, "frank")


def ask(client: Client, method: str, repository: str, rest: str) -> Answer:
    body = APP.manifest if method in ("PUT", "PATCH") else None
    headers = {"Content-Type": MANIFEST} if body else {}
    return client.request(method, f"/v2/{repository}/{rest}", body, headers)


def assert_challenged(answer: Answer) -> None:
    assert answer.status == 401, answer
    assert answer.header("WWW-Authenticate") == f'Basic realm="{access.REALM}"'
    if answer.method != "HEAD":
        assert answer.codes == ["UNAUTHORIZED"]


def test_the_base_asks_for_a_login(guarded: Guarded, nobody: Client) -> None:
    """Clients that are not challenged here never send what they know."""
    for target in ("/v2/", "/v2"):
        assert_challenged(nobody.get(target))
    for user in access.USERS:
        with closing(guarded.client(user)) as client:
            assert client.get("/v2/").status == 200


def test_no_cache_may_show_to_one_what_another_may_see(
    client: Client, ann: Client, nobody: Client
) -> None:
    """Every answer depends on who asks, the refusals too; without access control none does."""
    for asker in (ann, nobody):
        for target in ("/v2/", "/v2/_catalog", "/v2/team/app/tags/list", "/v2/nowhere"):
            assert asker.get(target).header("Vary") == "Authorization"
    assert client.get("/v2/").header("Vary") is None


@pytest.mark.parametrize("target", ["/livez", "/readyz"])
def test_health_needs_no_login(nobody: Client, target: str) -> None:
    assert nobody.get(target).status == 200


@pytest.mark.parametrize("repository", ["team/app", "team/none", "other"])
@pytest.mark.parametrize(("method", "rest"), READS + WRITES + DELETES)
def test_without_a_login_nothing_of_the_team_s(
    nobody: Client, method: str, rest: str, repository: str
) -> None:
    assert_challenged(ask(nobody, method, repository, rest))


@pytest.mark.parametrize(("method", "rest"), READS)
def test_without_a_login_what_is_public_can_be_pulled(
    nobody: Client, method: str, rest: str
) -> None:
    assert ask(nobody, method, "public/app", rest).status == 200


@pytest.mark.parametrize(("method", "rest"), WRITES + DELETES)
def test_without_a_login_what_is_public_cannot_be_changed(
    nobody: Client, method: str, rest: str
) -> None:
    assert_challenged(ask(nobody, method, "public/app", rest))


@pytest.mark.parametrize(("method", "rest"), READS)
def test_what_one_may_not_pull_is_as_if_it_were_not_there(
    eve: Client, method: str, rest: str
) -> None:
    """The same answer to the byte, so that a name cannot be found out."""
    private = ask(eve, method, "team/app", rest)
    absent = ask(eve, method, "team/non", rest)
    assert private.status == absent.status == 404
    assert private.body.replace(b"team/app", b"team/non") == absent.body
    assert _telling(private) == _telling(absent)
    if method != "HEAD":
        assert private.codes == ["NAME_UNKNOWN"]


def _telling(answer: Answer) -> list[tuple[str, str]]:
    return [field for field in answer.fields if field[0] not in ("Date", "X-Request-Id")]


@pytest.mark.parametrize("repository", ["team/app", "public/app", "team/none"])
@pytest.mark.parametrize(("method", "rest"), WRITES + DELETES)
def test_what_one_may_not_change_is_denied(
    eve: Client, method: str, rest: str, repository: str
) -> None:
    answer = ask(eve, method, repository, rest)
    if method == "GET" and answer.status == 404:
        return  # the state of an upload is as secret as the repository
    assert answer.status == 403
    assert answer.codes == ["DENIED"]


@pytest.mark.parametrize(("method", "rest"), READS)
@pytest.mark.parametrize("user", ["ann", "bob", "carl", "dora"])
def test_the_team_may_pull(guarded: Guarded, user: str, method: str, rest: str) -> None:
    with closing(guarded.client(user)) as client:
        assert ask(client, method, "team/app", rest).status == 200


@pytest.mark.parametrize(("method", "rest"), DELETES)
@pytest.mark.parametrize("user", ["ann", "carl", "eve"])
def test_pushing_is_not_deleting(guarded: Guarded, user: str, method: str, rest: str) -> None:
    with closing(guarded.client(user)) as client:
        answer = ask(client, method, "team/app", rest)
        assert answer.status == 403
        assert answer.codes == ["DENIED"]


def test_who_may_delete_does(ann: Client, dora: Client) -> None:
    pushed = image("for deletion")
    pushed.push(ann, "team/deleted", "v1")
    assert dora.delete("/v2/team/deleted/manifests/v1").status == 202
    assert dora.delete(f"/v2/team/deleted/manifests/{pushed.digest}").status == 202
    assert dora.delete(f"/v2/team/deleted/blobs/{digest_of(pushed.blobs[0])}").status == 202


def test_cancelling_an_upload_takes_no_right_to_delete(ann: Client) -> None:
    assert ann.delete(ann.start_upload("team/app")).status == 204


def test_every_user_means_every_login(eve: Client, nobody: Client) -> None:
    assert eve.get("/v2/members/x/tags/list").status == 404
    assert_challenged(nobody.get("/v2/members/x/tags/list"))


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + base64.b64encode(b"ann").decode(),
        "Basic " + base64.b64encode(b"ann:wrong").decode(),
        "Basic " + base64.b64encode(b"ann:").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"nobody:anything").decode(),
        "Basic " + base64.b64encode(b"ann:\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"ann:" + b"x" * 5000).decode(),
        "Basic " + base64.b64encode(b"ann:a\0b").decode(),
        "Bearer token",
        "Digest username=ann",
        "Negotiate abc",
        "nonsense",
        "",
    ],
    ids=lambda value: value[:30],
)
@pytest.mark.parametrize("target", ["/v2/", "/v2/team/app/tags/list"])
def test_a_login_that_is_none(nobody: Client, target: str, authorization: str) -> None:
    assert_challenged(nobody.get(target, Authorization=authorization))


def test_a_wrong_password_does_not_pass_for_no_password(nobody: Client) -> None:
    """Who logs in wrongly learns it where nobody needs a login, too."""
    token = base64.b64encode(b"ann:wrong").decode()
    answer = nobody.get("/v2/public/app/tags/list", Authorization=f"Basic {token}")
    assert_challenged(answer)


def test_the_catalog_lists_what_one_may_pull(ann: Client, eve: Client, nobody: Client) -> None:
    mine = ann.get("/v2/_catalog").json()["repositories"]
    assert {"public/app", "team/app"} <= set(mine)
    theirs = eve.get("/v2/_catalog").json()["repositories"]
    assert "public/app" in theirs
    assert not [name for name in theirs if name.startswith("team/")]
    anonymous = nobody.get("/v2/_catalog")
    if anonymous.status == 200:
        names = anonymous.json()["repositories"]
        assert all(name.startswith("public/") for name in names)
    else:
        assert_challenged(anonymous)


def test_pages_of_the_catalog_do_not_betray_what_lies_between(eve: Client, ann: Client) -> None:
    for name in ("public/a", "team/b", "public/c", "team/d", "public/e"):
        ann.push_manifest(name, index([]).manifest)
    target: str | None = "/v2/_catalog?n=1"
    seen = []
    while target is not None:
        answer = eve.get(target)
        assert "team" not in (answer.header("Link") or "")
        seen += answer.json()["repositories"]
        link = answer.header("Link")
        target = link.partition(">")[0].lstrip("<") if link else None
    assert seen == sorted(seen)
    assert {"public/a", "public/c", "public/e"} <= set(seen)
    assert not [name for name in seen if name.startswith("team/")]


# Create-only: pushes, but never moves a tag.


@pytest.mark.parametrize("tag", ["v1", "latest"])
def test_create_only_creates(ann: Client, carl: Client, tag: str) -> None:
    first, second = image(f"first {tag}"), image(f"second {tag}")
    repository = f"team/created-{tag}"
    first.push(carl, repository, tag)
    second.push_blobs(carl, repository)
    answer = carl.put_manifest(repository, tag, second.manifest)
    assert answer.status == 403
    assert answer.codes == ["DENIED"]
    assert carl.get(f"/v2/{repository}/manifests/{tag}").body == first.manifest
    assert carl.put_manifest(repository, tag, first.manifest).status == 201
    assert carl.put_manifest(repository, "another", second.manifest).status == 201
    assert ann.put_manifest(repository, tag, second.manifest).status == 201


def test_create_only_has_no_second_door(carl: Client) -> None:
    """Tags in the query of a push by digest move no tag either, nor do those beside them appear."""
    first, second = image("first of two doors"), image("second of two doors")
    first.push(carl, "team/doors", "v1")
    second.push_blobs(carl, "team/doors")
    answer = carl.put_manifest("team/doors", f"{second.digest}?tag=new&tag=v1", second.manifest)
    assert answer.status == 403
    assert answer.codes == ["DENIED"]
    assert carl.get("/v2/team/doors/manifests/v1").body == first.manifest
    assert carl.head("/v2/team/doors/manifests/new").status == 404


# Mounting and deduplication give nothing away.


def test_mounting_what_one_may_pull(ann: Client) -> None:
    target = f"/v2/team/mounted/blobs/uploads/?mount={LAYER_DIGEST}&from=public/app"
    assert ann.post(target).status == 201


@pytest.mark.parametrize("source", ["&from=team/app", "&from=team/none", ""])
def test_mounting_what_one_may_not_pull_is_an_upload(frank: Client, source: str) -> None:
    """The answer is that for a digest which is nowhere."""
    refused = frank.post(f"/v2/frank/x/blobs/uploads/?mount={SECRET_DIGEST}{source}")
    nowhere = frank.post(f"/v2/frank/x/blobs/uploads/?mount={ABSENT}{source}")
    assert refused.status == nowhere.status == 202
    assert [name for name, _ in refused.fields] == [name for name, _ in nowhere.fields]
    assert refused.header("Range") == "0-0"
    assert frank.head(f"/v2/frank/x/blobs/{SECRET_DIGEST}").status == 404


def test_knowing_a_digest_is_not_having_the_blob(frank: Client) -> None:
    """What is stored already must be sent nevertheless before it is anyone else's."""
    for body in (b"", SECRET[:-1]):
        location = frank.start_upload("frank/y")
        answer = frank.put(with_query(location, digest=SECRET_DIGEST), body)
        assert answer.status == 400
        assert answer.codes == ["DIGEST_INVALID"]
        assert frank.head(f"/v2/frank/y/blobs/{SECRET_DIGEST}").status == 404
    answer = frank.put_manifest("frank/y", "v1", APP.manifest)
    assert answer.status == 400
    assert set(answer.codes) == {"MANIFEST_BLOB_UNKNOWN"}


def test_pushing_where_one_may_not_pull(frank: Client) -> None:
    """Into a dropbox: taken, but never shown."""
    pushed = image("dropped")
    pushed.push_blobs(frank, "dropbox")
    assert frank.put_manifest("dropbox", "v1", pushed.manifest).status == 201
    answer = frank.get("/v2/dropbox/manifests/v1")
    assert answer.status == 404
    assert answer.codes == ["NAME_UNKNOWN"]


def test_an_upload_belongs_to_who_began_it(ann: Client, bob: Client) -> None:
    location = ann.patch(ann.start_upload("team/app"), b"abc").location
    for answer in (
        bob.get(location),
        bob.patch(location, b"more"),
        bob.put(with_query(location, digest=digest_of(b"abc"))),
        bob.delete(location),
    ):
        assert answer.status == 404
        assert answer.codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert ann.get(location).header("Range") == "0-2"
    assert ann.put(with_query(location, digest=digest_of(b"abc"))).status == 201


# Bodies of those who may not send them.


def _head(method: str, target: str, *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: registry", *fields, "", ""]
    return "\r\n".join(lines).encode()


def _authorization(user: str) -> str:
    token = base64.b64encode(f"{user}:{access.password_of(user)}".encode()).decode()
    return f"Authorization: Basic {token}"


@pytest.mark.parametrize(("user", "status"), [(None, 401), ("eve", 403)])
def test_who_asks_first_is_refused_before_sending(
    nobody: Client, user: str | None, status: int
) -> None:
    fields = ["Content-Length: 10000000000", "Expect: 100-continue"]
    if user:
        fields.append(_authorization(user))
    target = f"/v2/team/app/blobs/uploads/?digest={ABSENT}"
    raw = exchange(nobody.address, _head("POST", target, *fields))
    assert statuses(raw) == [status]


def test_who_asks_first_and_may_is_invited(nobody: Client) -> None:
    data = blob(100, "invited")
    target = f"/v2/team/app/blobs/uploads/?digest={digest_of(data)}"
    fields = [f"Content-Length: {len(data)}", "Expect: 100-continue", "Connection: close"]
    request = _head("POST", target, *fields, _authorization("ann"))
    with socket.create_connection(nobody.address, timeout=10) as connection:
        connection.sendall(request)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(data)
        assert connection.recv(10_000).startswith(b"HTTP/1.1 201 ")


@pytest.mark.slow
@pytest.mark.parametrize("user", [None, "eve"])
def test_who_just_sends_is_refused_at_once(nobody: Client, user: str | None) -> None:
    """Ten gigabytes announced, a little of it sent: the answer comes, and the connection goes.

    Not at once, though: a client that is still sending would lose the answer with the connection.
    """
    fields = [f"Content-Type: {OCTETS}", "Content-Length: 10000000000"]
    if user:
        fields.append(_authorization(user))
    head = _head("POST", f"/v2/team/app/blobs/uploads/?digest={ABSENT}", *fields)
    raw = exchange(nobody.address, head + b"x" * 300_000, timeout=10)
    assert statuses(raw) == [403 if user else 401]
