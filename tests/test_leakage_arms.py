"""Arms are named, reachable and keep their secrets."""

import pytest

from leakage.arms import Arm, ArmError, parse


def test_an_arm_is_read_from_a_line() -> None:
    assert parse("base=http://127.0.0.1:8080/v1/") == Arm("base", "http://127.0.0.1:8080/v1")
    arm = parse("gpt=https://api.example.com/v1,small-1", key_env="KEY")
    assert (arm.model, arm.key_env) == ("small-1", "KEY")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://127.0.0.1/v1", "its base URL|NAME=BASE_URL"),
        ("base", "an arm reads NAME=BASE_URL"),
        ("=http://127.0.0.1/v1", "name it with letters"),
        ("a b=http://127.0.0.1/v1", "name it with letters"),
        ("base=127.0.0.1:8080/v1", "its base URL must read"),
        ("base=ftp://127.0.0.1/v1", "its base URL must read"),
        ("base=http://:80/v1", "its base URL must read"),
        ("base=http://127.0.0.1:99999/v1", "its base URL must read"),
        ("base=http://[::1/v1", "its base URL must read"),
        ("base=http://127.0.0.1/v1,", "no model behind the comma"),
        ("base=http://me:secret@127.0.0.1/v1", "put keys into an environment variable"),
        ("base=http://127.0.0.1/v1?key=secret", "put keys into an environment variable"),
        ("base=http://127.0.0.1/v1#x", "put keys into an environment variable"),
    ],
)
def test_a_mistake_is_explained_without_its_secret(text: str, message: str) -> None:
    with pytest.raises(ArmError, match=message) as caught:
        parse(text)
    assert "secret" not in str(caught.value)


def test_a_key_comes_from_the_environment() -> None:
    arm = Arm("base", "http://127.0.0.1/v1", headers={"x-team": "red"}, key_env="KEY")
    assert arm.sign_in({"KEY": "k"}) == {"x-team": "red", "authorization": "Bearer k"}
    with pytest.raises(ArmError, match=r"arm 'base': \$KEY is not set"):
        arm.sign_in({"KEY": ""})


def test_headers_do_not_show() -> None:
    arm = Arm("base", "http://127.0.0.1/v1", headers={"authorization": "Bearer secret"})
    assert arm.sign_in({}) == {"authorization": "Bearer secret"}
    assert "secret" not in repr(arm)
