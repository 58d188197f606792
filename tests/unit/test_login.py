"""What is concluded from who gets in and what is refused; the server is a stand-in."""

from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.filter import platform
from ansible_collections.pgstead.platform.plugins.module_utils import login, pg
from ansible_collections.pgstead.platform.plugins.plugin_utils import model

MODEL = model.expand([{"name": "shop", "roles": [{"name": "app"}, {"name": "mig", "kind": "migrator"}]}], [])
PASSWORDS = {"app": "secret-app", "mig": "secret-mig"}
PORTS = {"pooled": 6432, "direct": 5432}
POOLED, DIRECT = PORTS


class Refused(pg.Error):  # type: ignore[misc]
    """As psycopg2 has it: with an SQLSTATE."""

    def __init__(self, text: str, pgcode: str | None = None) -> None:
        super().__init__(text)
        self._code = pgcode

    @property
    def pgcode(self) -> str | None:
        return self._code


class Server:
    """Lets in who is named, and refuses every statement with the same SQLSTATE ("" lets it pass)."""

    def __init__(
        self, admits: dict[int, set[str]], state: str | None = login.DENIED, any_password: bool = False
    ) -> None:
        self.admits, self.state, self.any_password = admits, state, any_password
        self.closed = 0
        self.statements: list[str] = []

    def login(self, **asked: Any) -> Any:
        right = self.any_password or asked["password"] == PASSWORDS[asked["user"]]
        if asked["user"] not in self.admits[asked["port"]] or not right:
            raise Refused('connection to server at "db1", port 6432 failed: FATAL:  password authentication failed\n')
        assert asked["sslmode"] == "require"
        return self

    def execute(self, statement: str) -> None:
        self.statements.append(statement)
        if statement not in ("SELECT 1", "BEGIN READ WRITE", "ROLLBACK") and self.state != "":
            raise Refused("refused", self.state)

    def cursor(self) -> Any:
        return self

    def close(self) -> None:
        pass

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Any:
    """lines(server, endpoint): (role, statement, whether it holds)."""

    def check(server: Server, endpoint: str) -> list[tuple[str, str, bool]]:
        monkeypatch.setattr(pg, "login", server.login)
        found = []
        for asked in platform.logins(MODEL, endpoint):
            said = {"area": asked["role"], "title": asked["expected"], "fix": "deploy"}
            found += login.check(asked | {"host": "db1", "port": PORTS[endpoint]}, PASSWORDS[asked["secret"]], said)
        return [(line.area, line.title, line.ok) for line in found]

    return check


RIGHT = {6432: {"app"}, 5432: {"mig"}}


def test_every_role_gets_in_by_its_own_url_and_by_no_other(lines: Any) -> None:
    assert lines(Server(RIGHT), POOLED) == [
        ("app", "in", True),
        ("app", "is refused with a wrong password", True),
        ("app", "cannot create, escalate or run programs", True),
        ("mig", "refused", True),
    ]
    assert lines(Server(RIGHT), DIRECT) == [
        ("app", "refused", True),
        ("mig", "in", True),
        ("mig", "is refused with a wrong password", True),
    ]


@pytest.mark.parametrize(
    ("server", "title"),
    [
        (Server({6432: set()}), "in"),
        (Server({6432: {"app", "mig"}}), "refused"),
        (Server({6432: {"app"}}, any_password=True), "is refused with a wrong password"),
        (Server({6432: {"app"}}, state=""), "cannot create, escalate or run programs"),
        (Server({6432: {"app"}}, state="42601"), "cannot create, escalate or run programs"),
    ],
    ids=["nobody gets in", "everybody gets in", "any password does", "everything is allowed", "refused as bad syntax"],
)
def test_what_does_not_hold_is_red(lines: Any, server: Server, title: str) -> None:
    assert [line[1] for line in lines(server, POOLED) if not line[2]] == [title]


REFUSALS = (
    'password authentication failed for user "app"',
    "SASL authentication failed",
    'no pg_hba.conf entry for host "10.0.0.1", user "app", database "shop", SSL encryption',
    'pg_hba.conf rejects connection for host "10.0.0.1", user "app", database "shop", no encryption',
    'role "app" does not exist',
    'role "app" is not permitted to log in',
    'permission denied for database "shop"',
    "no authentication method is found",
    "login rejected",
    "no such user",
    "SSL required",
)
FAILURES = (
    "sorry, too many clients already",
    "no more connections allowed (max_client_conn)",
    'too many connections for role "app"',
    "query_wait_timeout",
    "client_login_timeout (server down)",
    "the database system is starting up",
    'database "shop" does not exist',
    'server login failed: FATAL password authentication failed for user "app"',
    'server login has been failing, cached error: role "app" does not exist (server_login_retry)',
    "bouncer config error",
)


@pytest.mark.parametrize("text", REFUSALS)
def test_who_is_not_wanted_is_refused(text: str) -> None:
    problem = Refused(f'connection to server at "db1", port 6432 failed: FATAL:  {text}\n')
    assert login.is_refusal(problem)


@pytest.mark.parametrize("text", [f"FATAL:  {text}" for text in FAILURES] + ["Connection refused", "timeout expired"])
def test_a_full_pool_or_a_dead_server_refuses_nobody(text: str, lines: Any) -> None:
    class Broken(Server):
        def login(self, **asked: Any) -> Any:
            raise Refused(f'connection to server at "db1", port 6432 failed: {text}\n')

    assert {line[2] for line in lines(Broken({}), POOLED)} == {False}


class Stale(Server):
    """A pooler whose server connections failed and, from a certain question on, do not any more."""

    def __init__(self, until: int) -> None:
        super().__init__(RIGHT)
        self.until = until

    def execute(self, statement: str) -> None:
        self.until -= 1
        if self.until >= 0:
            self.closed = self.until % 2
            if self.closed:
                raise Refused("SSL connection has been closed unexpectedly")
            raise Refused(f"FATAL:  {login.STALE}, cached error: too many connections (server_login_retry)\n")
        self.closed = 0
        super().execute(statement)


@pytest.mark.parametrize(("until", "holds"), [(1, True), (2, True), (99, False)])
def test_what_a_pooler_repeats_is_asked_again(
    lines: Any, monkeypatch: pytest.MonkeyPatch, until: int, holds: bool
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert lines(Stale(until), POOLED)[0] == ("app", "in", holds)


@pytest.mark.parametrize(("state", "found"), [("42501", "42501"), ("", ""), (None, "unknown")])
def test_a_refusal_is_told_by_its_sqlstate_and_leaves_nothing(state: str | None, found: str) -> None:
    server = Server({}, state)
    assert login.refusal(server, "CREATE TABLE x ()") == found
    assert server.statements == ["BEGIN READ WRITE", "CREATE TABLE x ()", "ROLLBACK"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('connection to server at "db1", port 1 failed: FATAL:  no pg_hba.conf entry\n', "no pg_hba.conf entry"),
        ("ERROR:  permission denied\nLINE 1", "permission denied"),
        ("could not translate host name", "could not translate host name"),
        ("", "no message"),
    ],
)
def test_an_error_is_told_by_what_the_server_said(text: str, said: str) -> None:
    assert login.short(Exception(text)) == said


def test_lines_go_out_as_plain_data() -> None:
    line = login.Line("server", "it runs", True, "yes")
    plain = {"area": "server", "title": "it runs", "ok": True, "found": "yes", "fix": "", "look": False}
    assert login.as_dicts([line]) == [plain]
