"""The PostgreSQL fixtures give what they promise."""

from __future__ import annotations

import sqlalchemy

from tests.services.postgres import PostgresServer

NAMES = ("B", "a-b", "ab", "a")


def _sorted_by_database(url: str) -> list[str]:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE names (name text)"))
        connection.execute(
            sqlalchemy.text("INSERT INTO names VALUES (:name)"), [{"name": name} for name in NAMES]
        )
        rows = connection.execute(sqlalchemy.text("SELECT name FROM names ORDER BY name"))
        return list(rows.scalars())


def test_c_database_sorts_by_code_point(postgres_url: str) -> None:
    assert _sorted_by_database(postgres_url) == ["B", "a", "a-b", "ab"]


def test_icu_database_sorts_as_people_do(postgres_icu_url: str) -> None:
    assert _sorted_by_database(postgres_icu_url) == ["a", "a-b", "ab", "B"]


def test_a_database_is_copied_from_its_template(postgres_server: PostgresServer) -> None:
    template = postgres_server.create_database(icu=True)
    _sorted_by_database(postgres_server.url(template))
    copy = postgres_server.create_database(template=template)
    engine = sqlalchemy.create_engine(postgres_server.url(copy), poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT count(*) FROM names")) == len(NAMES)
    postgres_server.drop_database(copy)
    postgres_server.drop_database(template)
