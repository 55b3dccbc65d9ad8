"""tokenlake: a columnar analytics engine over coding-agent session logs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenlake.lake import Lake

    __version__: str

__all__ = ["Lake", "__version__"]


def __getattr__(name: str) -> Any:
    # `import tokenlake` stays cheap: the engine behind Lake, and the metadata, load with their first use.
    if name == "Lake":
        from tokenlake.lake import Lake

        return Lake
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("tokenlake")
        except PackageNotFoundError:  # a source tree on the path that was never installed
            return "0+unknown"
    raise AttributeError(f"module 'tokenlake' has no attribute {name!r}")
