"""tokenlake: a columnar analytics engine over coding-agent session logs."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenlake.lake import Lake

__all__ = ["Lake", "__version__"]

try:
    __version__ = version("tokenlake")
except PackageNotFoundError:  # a source tree on the path that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    # `import tokenlake` stays cheap: the engine behind Lake loads with its first use.
    if name == "Lake":
        from tokenlake.lake import Lake

        return Lake
    raise AttributeError(f"module 'tokenlake' has no attribute {name!r}")
