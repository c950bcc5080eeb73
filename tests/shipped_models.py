"""The models that come with the package, served as a user would serve them, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def served(*arms: str) -> Iterator[str]:
    """Yields the base URL of a server on a port of this machine; an arm is a model name."""
    from unlearning.checkpoint import Options, load_all  # noqa: PLC0415 (torch-sized)
    from unlearning.model_server import serving  # noqa: PLC0415
    from unlearning.serve import running  # noqa: PLC0415
    from unlearning.testbed import shipped  # noqa: PLC0415

    loaded = load_all([f"{arm}={shipped(arm)}" for arm in arms], Options(device="cpu"))
    with serving(loaded) as app, running(app) as url:
        yield url
