"""The YAML of `lethe leakage run`, read strictly: arms, probes, attacks, programs to start.

Knows no network. Keys are described in docs/leakage-run.md; an unknown one is an error at its line.
"""

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from leakage.arms import Arm
from leakage.attacks import CATALOGUE
from leakage.attacks.turns import Attack
from leakage.encoder import EMBEDDED
from leakage.probes import Split
from leakage.processes import Program, ports, with_ports

Name = Annotated[str, StringConstraints(pattern=r"^[\w+-][\w.+-]{0,63}$")]
Count = Annotated[int, Field(ge=1)]

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


class ConfigError(ValueError):
    """A configuration that cannot be run: `file:line: key: what` for each mistake."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ArmConfig(_Part):
    """One arm."""

    name: Name
    url: str = Field(description="base URL, ending in /v1; may hold ${port:NAME}")
    model: str | None = None
    role: str = ""
    key_env: str | None = None
    headers: dict[str, str] = Field(default_factory=dict, description="values may hold ${VARIABLE}")
    system: str = ""
    files: list[str] = Field(
        default_factory=list, description="what it is made of: policy, weights"
    )
    cost: dict[str, float] = Field(default_factory=dict)
    lineage: str | None = Field(default=None, description="a JSON file, kept with the run")
    encoder: str | None = Field(default=None, description="of its screen; reports name it")


class ProbesConfig(_Part):
    """Where probes come from, and how many are used."""

    file: str | None = None
    folder: str | None = Field(default=None, description="holds rwku/, tofu/, …")
    hub: bool = Field(default=False, description="download by `datasets`")
    sets: list[str] = Field(default_factory=list)
    kinds: list[str] = Field(default_factory=list, description="asked as they are; empty for all")
    most: dict[Split, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="probes of each split that are asked"
    )
    attacked: dict[Split, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="probes of each split that attacks carry"
    )


class ProgramConfig(_Part):
    """A program to start before the run."""

    name: Name
    run: list[str] = Field(min_length=1)
    ready: str | None = Field(default=None, pattern=r"^https?://")
    within_s: Annotated[float, Field(gt=0, strict=False)] = 180.0


class Config(_Part):
    """Everything that a run needs."""

    probes: ProbesConfig
    arms: list[ArmConfig] = Field(min_length=1)
    attacks: Literal["all", "none"] | list[str] = "all"
    leave_out: list[str] = Field(default_factory=list, description="attacks that are not used")
    helper: str | None = Field(default=None, description="name of the arm that helps attacks")
    likelihoods: bool = True
    extraction: bool = True
    judge: str | None = Field(default=None, description="name of the arm that judges answers")
    encoder: str = Field(default=EMBEDDED, description="of the scores; `none` for none")
    programs: list[ProgramConfig] = Field(default_factory=list)
    draws: Count = 1
    seed: int = 0
    concurrency: Count = 8
    timeout_s: Annotated[float, Field(gt=0, strict=False)] = 60.0
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    backoff_s: Annotated[float, Field(ge=0, strict=False)] = 0.5
    stream: Literal["alternate", "always", "never"] = "alternate"
    sampling: dict[str, Any] = Field(default_factory=dict)
    keep_answers: bool = False


class Ready:
    """A configuration with its ports and paths filled in."""

    def __init__(self, config: Config, *, folder: Path, out: Path) -> None:
        self.config, self._folder, self._out = config, folder, out
        texts = [arm.url for arm in config.arms]
        texts += [word for each in config.programs for word in (*each.run, each.ready or "")]
        self._ports = ports(texts)

    def path(self, text: str) -> Path:
        """A path, as seen from the configuration's own folder."""
        return self._folder / self._filled(text)

    @property
    def programs(self) -> list[Program]:
        """What is to be started, in order."""
        return [
            Program(
                name=each.name,
                command=tuple(self._filled(word) for word in each.run),
                ready=self._filled(each.ready) if each.ready else None,
                within_s=each.within_s,
            )
            for each in self.config.programs
        ]

    def arms(self, environment: Mapping[str, str]) -> list[Arm]:
        """Everybody who is asked. Raises ConfigError for a variable that is not set, ArmError."""
        return [self._arm(arm, environment) for arm in self.config.arms]

    def where(self) -> dict[str, str]:
        """The URLs as they are written: a port that is taken anew each time does not count."""
        return {arm.name: arm.url for arm in self.config.arms}

    def made_of(self) -> dict[str, Any]:
        """Digests of the files that an arm is made of. Raises ConfigError."""
        return {
            arm.name: [self._digest(arm, name) for name in arm.files] for arm in self.config.arms
        }

    def _digest(self, arm: ArmConfig, name: str) -> str:
        path = self.path(name)
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        total = hashlib.sha256()
        try:
            for file in files:
                total.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError as error:
            raise ConfigError(f"arm {arm.name!r}: files: {path}: {error.strerror}") from None
        return total.hexdigest()

    def _filled(self, text: str) -> str:
        return with_ports(text.replace("${out}", str(self._out)), self._ports)

    def _arm(self, arm: ArmConfig, environment: Mapping[str, str]) -> Arm:
        def value(found: re.Match[str]) -> str:
            if not environment.get(found[1]):
                raise ConfigError(f"arm {arm.name!r}: ${found[1]} is not set; export it")
            return environment[found[1]]

        return Arm(
            name=arm.name,
            base_url=self._filled(arm.url),
            model=arm.model,
            headers={name: _VARIABLE.sub(value, text) for name, text in arm.headers.items()},
            key_env=arm.key_env,
            role=arm.role,
            system=arm.system,
        )


def read(path: Path) -> Config:
    """Read a configuration. Raises ConfigError with every mistake, OSError."""
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: {error.problem}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}:1: write keys and values; `arms` and `probes` are needed")
    wrong = [f"{path}:{line}: {what}" for line, what in _repeated(node)]
    if wrong:
        raise ConfigError("\n".join(wrong))
    try:
        config = Config.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False, include_url=False)
        told = dict.fromkeys(_told(path, node, error["loc"], error["msg"]) for error in errors)
        raise ConfigError("\n".join(told)) from None
    wrong = [f"{path}:{_line(node, loc)}: {what}" for loc, what in _unfit(config)]
    if wrong:
        raise ConfigError("\n".join(wrong))
    return config


def attacks_of(config: Config) -> dict[str, Attack]:
    """The attacks of a configuration, by name, in the order of the catalogue."""
    if config.attacks == "none":
        return {}
    wanted = set(CATALOGUE) if config.attacks == "all" else set(config.attacks)
    wanted -= set(config.leave_out)
    return {name: attack for name, attack in CATALOGUE.items() if name in wanted}


def _unfit(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What the types do not see."""
    names = [arm.name for arm in config.arms]
    for at, name in enumerate(names):
        if name in names[:at]:
            yield ("arms", at), f"arms: {name!r} is named twice; records could not be told apart"
    for key, chosen in (("helper", config.helper), ("judge", config.judge)):
        if chosen is not None and chosen not in names:
            yield (key,), f"{key}: no arm is named {chosen!r}"
    for key, given in (("attacks", config.attacks), ("leave_out", config.leave_out)):
        for name in given if isinstance(given, list) else ():
            if name not in CATALOGUE:
                near = difflib.get_close_matches(name, CATALOGUE, n=1)
                hint = f"did you mean {near[0]!r}?" if near else "see `lethe leakage attacks`"
                yield (key,), f"{key}: {name!r}: no such attack; {hint}"
    sources = [config.probes.file, config.probes.folder, config.probes.hub or None]
    if sum(source is not None for source in sources) != 1:
        yield ("probes",), "probes: give one of `file`, `folder` and `hub`"
    if config.probes.file is None and not config.probes.sets:
        yield ("probes",), "probes: sets: name the sets to use, as `rwku` or `tofu-forget10`"


def _told(path: Path, node: yaml.Node, loc: Sequence[str | int], message: str) -> str:
    at = ".".join(str(part) for part in loc if part != "list[str]")
    if message.startswith("Extra inputs"):
        message = "unknown key; see docs/leakage-run.md for those there are"
    elif message.startswith("Field required"):
        message = "is missing"
    return f"{path}:{_line(node, loc)}: {at}: {message}"


def _line(node: yaml.Node, loc: Sequence[str | int]) -> int:
    """The line of a key, or of the nearest thing above it that is written."""
    line = node.start_mark.line
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return int(line) + 1


def _repeated(node: yaml.Node) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, f"{key.value}: stands here twice"
            seen.add(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)
