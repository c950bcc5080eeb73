"""Configuration: read strictly, keys from where they are kept, all checked before serving."""

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import BaseModel

import proxy.config as config_module
from classifiers import HashEncoder
from policies import PolicyErrors, compile_policies, load_folder
from proxy.config import (
    Config,
    ConfigError,
    KeySource,
    UpstreamConfig,
    building,
    check_keys,
    compiled,
    key_of,
    read_config,
)
from proxy.scripted import Scripted

GOOD = """\
policies: policies
upstreams:
  - name: main
    base_url: http://127.0.0.1:9/v1/
    key: {file: key.txt}
"""
FIELDS = re.compile(r"(\w+: (?:\{.*?\}|\w+))")
POLICY = "id: p\nconcepts: [{name: Ottoline Vask}]\n"


def written(folder: Path, text: str = GOOD, *, policy: str = POLICY) -> Path:
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "p.yaml").write_text(policy)
    (folder / "key.txt").write_text("s3cret\n")
    path = folder / "lethe.yaml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = read_config(written(tmp_path))
    assert config.policies == tmp_path / "policies"
    assert config.audit.path == tmp_path / "lethe.audit.jsonl"
    assert config.upstreams[0].base_url == "http://127.0.0.1:9/v1"
    assert key_of(config.upstreams[0].key) == "s3cret"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "defualt: pass\n", "lethe.yaml:6:1: defualt: unknown key; did you mean 'default'?"),
        (GOOD + "default: maybe\n", "lethe.yaml:6:10: default"),
        (GOOD.replace("http://127.0.0.1:9/v1/", "ftp://a/v1"), "http or https"),
        (GOOD.replace("http://127.0.0.1:9/v1/", "http://u:p@a/v1"), "user"),
        (GOOD.replace("http://127.0.0.1:9/v1/", "http://a/v2"), "must end in /v1"),
        (GOOD + "tenants: [{name: a, key_sha256: [short]}]\n", "key_sha256"),
        ("policies: x\nupstreams: []\n", "upstreams"),
        ("[]", "lethe.yaml"),
    ],
)
def test_a_bad_file_says_where_and_what(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, text))
    assert message in str(caught.value)
    assert "u:p" not in str(caught.value)


SECOND = """\
  - name: npo
    base_url: http://127.0.0.1:8/v1
    models: {npo: npo}
"""
ARM = "compare: {tenants: [default], arms: [{name: a, upstream: npo}]}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SECOND + "    role: forgetful\n", "lethe.yaml:9:11: upstreams[1].role: must be one of"),
        (SECOND + "    lineage: {}\n", "lethe.yaml:9:14: upstreams[1].lineage: needs file:"),
        (SECOND + "    lineage: {file: x.json}\n", "lethe.yaml:9:21: upstreams[1].lineage.file:"),
        (
            SECOND + "    tenants: [acme]\n",
            "lethe.yaml:9:15: upstreams[1].tenants[0]: is no tenant",
        ),
        (SECOND.replace("name: npo", "name: main"), "lethe.yaml:6:11: upstreams[1].name: is the"),
        (SECOND + SECOND.replace("name: npo", "name: b"), "'npo' publishes that model too"),
        (SECOND + "mirror: {to: rmu, share: 0.1}\n", "lethe.yaml:9:14: mirror.to: there is no"),
        (SECOND + "mirror: {to: npo, share: 0}\n", "lethe.yaml:9:26: mirror.share"),
        (SECOND + ARM.replace("m: npo", "m: rmu"), "compare.arms[0].upstream: there is no"),
        (SECOND + ARM.replace("default", "acme"), "compare.tenants[0]: is no tenant; there are:"),
        (SECOND + ARM.replace("}]", "}, {name: a, upstream: npo}]"), "arms[1].name: is the name"),
        (SECOND + ARM.replace("{tenants", "{unscreened: true, tenants"), "configure tenants with"),
    ],
)
def test_what_is_said_of_arms_must_fit_together(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, GOOD + text))
    assert message in str(caught.value)


def test_a_lineage_file_lies_beside_the_configuration(tmp_path: Path) -> None:
    record = {"version": 1, "method": "npo", "weights": "ab" * 32}
    (tmp_path / "npo.json").write_text(json.dumps(record))
    path = written(tmp_path, GOOD + SECOND + "    lineage: {file: npo.json}\n")
    lineage = read_config(path).upstreams[1].lineage
    assert lineage is not None
    assert lineage.file == tmp_path / "npo.json"


def test_the_documented_route_is_a_configuration(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "deploying.md").read_text()
    [text] = re.findall(
        r"^```yaml\n(.*?)^```", page.split("## Weight-unlearned")[1], re.DOTALL | re.MULTILINE
    )
    record = {"version": 1, "method": "npo", "weights": "ab" * 32}
    (tmp_path / "lineage.json").write_text(json.dumps(record))
    config = read_config(written(tmp_path, text))
    assert config.compare is not None
    assert [arm.name for arm in config.compare.arms] == ["base", "pretend", "screen", "both", "npo"]
    assert config.mirror is not None
    assert config.upstreams[1].role == "unlearned"


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        read_config(tmp_path / "nowhere.yaml")


def test_keys_come_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", " k1 ")
    assert key_of(KeySource(env="A_KEY")) == "k1"
    assert key_of(None) is None
    monkeypatch.setenv("A_KEY", "two words")
    for source in (
        KeySource(env="A_KEY"),
        KeySource(env="NO_SUCH_KEY"),
        KeySource(file=tmp_path / "none"),
        KeySource(),
        KeySource(env="A_KEY", file=tmp_path / "x"),
    ):
        with pytest.raises(ConfigError) as caught:
            key_of(source)
        assert "two words" not in str(caught.value)


def test_a_missing_key_is_told_with_its_upstream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstreams = [
        UpstreamConfig(name="main", base_url="http://a/v1"),
        UpstreamConfig(name="second", base_url="http://a/v1", key=KeySource(env="A_KEY")),
    ]
    config = Config(policies=tmp_path, upstreams=upstreams)
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"upstream 'second': key: environment variable A_KEY"):
        check_keys(config)
    monkeypatch.setenv("A_KEY", "k1")
    check_keys(config)


def test_an_empty_folder_of_policies_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    upstreams = [UpstreamConfig(name="u", base_url="http://a/v1")]
    with pytest.raises(ConfigError, match="no policy file"):
        compiled(Config(policies=tmp_path / "policies", upstreams=upstreams))
    with pytest.raises(PolicyErrors):
        compiled(Config(policies=tmp_path / "nowhere", upstreams=upstreams))


@pytest.mark.parametrize(
    ("upstreams", "message"),
    [
        ("", r"p\.yaml:3:41: screens\.output\.to: there is no upstream 'elsewhere'.*are: main"),
        ("[]", r"p\.yaml:3:41: .*has the role original, so it knows"),
        ("[role: unlearned, models: {a: b, c: d}]", r"p\.yaml:3:41: .*publishes several models"),
    ],
)
async def test_a_reroute_must_lead_to_one_model_that_forgot(
    tmp_path: Path, upstreams: str, message: str
) -> None:
    policy = POLICY + "screens: {output: {action: reroute, to: elsewhere}}\n"
    text = GOOD
    if upstreams:
        fields = "".join(f"    {part}\n" for part in FIELDS.findall(upstreams))
        text += f"  - name: elsewhere\n    base_url: http://127.0.0.1:9/v1\n{fields}"
    config = read_config(written(tmp_path, text, policy=policy))
    policies = compile_policies(load_folder(config.policies), HashEncoder())
    with pytest.raises(ConfigError, match=message):
        async with building(config, policies, transport=Scripted()):
            pass


def test_the_key_stands_in_no_repr(tmp_path: Path) -> None:
    config = read_config(written(tmp_path))
    assert "s3cret" not in repr(config)


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "deploying.md").read_text()

    def keys(model: type[BaseModel]) -> set[str]:
        found = set(model.model_fields)
        for field in model.model_fields.values():
            inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
            for kind in inner:
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    found |= keys(kind)
        return found

    missing = {key for key in keys(Config) if f"`{key}`" not in page and f"[].{key}`" not in page}
    assert missing - {"name", "base_url", "env", "file", "key_sha256"} == set()


@pytest.mark.parametrize(("kept_s", "connections"), [(30.0, 1), (0.05, 2)])
async def test_a_connection_that_idled_too_long_is_not_used_again(
    kept_s: float, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_module, "KEPT_S", kept_s)
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, config_module._client(None) as client:
        assert (await client.get(url)).text == "{}"
        await asyncio.sleep(0.2)
        assert (await client.get(url)).text == "{}"
    assert len(opened) == connections
