"""Tool calls and their results: inputs as a model writes them, results in both forms the log has."""

from collections.abc import Callable
from typing import Final, NamedTuple

from tokenlake.synth.draws import Draws, quantile_table
from tokenlake.synth.releases import Release

_COMMAND: Final = quantile_table((0, 12), (0.5, 45), (0.9, 600), (0.99, 3000), (1, 6000))
_OUTPUT: Final = quantile_table(
    (0, 2), (0.3, 40), (0.5, 200), (0.75, 900), (0.88, 3000), (0.95, 12_000), (0.99, 29_000), (1, 60_000)
)
_FILE: Final = quantile_table(
    (0, 100), (0.25, 700), (0.5, 1500), (0.75, 4300), (0.9, 13_000), (0.97, 37_000), (1, 80_000)
)
_SNIPPET: Final = quantile_table((0, 30), (0.5, 160), (0.9, 800), (0.99, 3600), (1, 9000))
_ORIGINAL: Final = quantile_table((0, 800), (0.5, 4500), (0.8, 15_000), (0.96, 50_000), (1, 110_000))
_WRITTEN: Final = quantile_table((0, 200), (0.5, 3400), (0.9, 15_000), (0.99, 31_000), (1, 60_000))
_LISTING: Final = quantile_table((0, 10), (0.5, 260), (0.9, 4000), (0.99, 14_000), (1, 20_000))


class Call(NamedTuple):
    """One tool call: name and input JSON; content JSON of the result; the structured `toolUseResult` JSON."""

    name: bytes
    input: bytes
    content: bytes
    result: bytes


def draw_call(draws: Draws, release: Release, base: bytes) -> Call:
    """Draw a call of any tool but Task; `base` is the project's folder, JSON-escaped."""
    return _TOOLS[int(draws.random() * len(_TOOLS))](draws, release, base)


def _path(draws: Draws, base: bytes) -> bytes:
    share = draws.random()
    # Squared, so that a few files are opened again and again.
    return b"%b/src/part_%d/module_%d.py" % (base, int(share * 9), int(share * share * 300))


def _bash(draws: Draws, release: Release, base: bytes) -> Call:
    command = draws.text(_COMMAND[int(draws.random() * 1024)])
    output = draws.text(_OUTPUT[int(draws.random() * 1024)])
    last = b',"noOutputExpected":false}' if release.since(2, 1, 0) else b"}"
    return Call(
        b"Bash",
        b'{"command":"%b","description":"%b"}' % (command, draws.text(36)),
        b'"%b","is_error":false' % output,
        b'{"stdout":"%b","stderr":"","interrupted":false,"isImage":false%b' % (output, last),
    )


def _read(draws: Draws, release: Release, base: bytes) -> Call:
    path = _path(draws, base)
    length = _FILE[int(draws.random() * 1024)]
    content = draws.text(length)
    lines = length // 36 + 1
    if draws.random() < 0.0015:
        image = draws.base64(60_000 + int(draws.random() * 500_000))
        return Call(
            b"Read",
            b'{"file_path":"%b.png"}' % path,
            b'[{"type":"image","source":{"type":"base64","data":"%b","media_type":"image/png"}}]' % image,
            b'{"type":"image","file":{"base64":"%b","type":"image/png","originalSize":%d}}' % (image, len(image)),
        )
    return Call(
        b"Read",
        b'{"file_path":"%b"}' % path,
        b'"     1\xe2\x86\x92%b"' % content,
        b'{"type":"text","file":{"filePath":"%b","content":"%b","numLines":%d,"startLine":1,"totalLines":%d}}'
        % (path, content, lines, lines),
    )


def _edit(draws: Draws, release: Release, base: bytes) -> Call:
    path = _path(draws, base)
    old = draws.text(_SNIPPET[int(draws.random() * 1024)])
    new = draws.text(_SNIPPET[int(draws.random() * 1024)])
    original = b"null" if release.is_current_shape else b'"%b"' % draws.text(_ORIGINAL[int(draws.random() * 1024)])
    return Call(
        b"Edit",
        b'{"replace_all":false,"file_path":"%b","old_string":"%b","new_string":"%b"}' % (path, old, new),
        b'"The file %b has been updated."' % path,
        b'{"filePath":"%b","oldString":"%b","newString":"%b","originalFile":%b,"structuredPatch":[{"oldStart":%d,'
        b'"oldLines":8,"newStart":%d,"newLines":7,"lines":["-%b","+%b"]}],"userModified":false,"replaceAll":false}'
        % (path, old, new, original, len(old), len(old), old, new),
    )


def _write(draws: Draws, release: Release, base: bytes) -> Call:
    path = _path(draws, base)
    content = draws.text(_WRITTEN[int(draws.random() * 1024)])
    return Call(
        b"Write",
        b'{"file_path":"%b","content":"%b"}' % (path, content),
        b'"File created at: %b"' % path,
        b'{"type":"create","filePath":"%b","content":"%b","structuredPatch":[],"originalFile":null}' % (path, content),
    )


def _grep(draws: Draws, release: Release, base: bytes) -> Call:
    listing = draws.text(_LISTING[int(draws.random() * 1024)])
    return Call(
        b"Grep",
        b'{"pattern":"%b","path":"%b","output_mode":"content"}' % (draws.text(24), base),
        b'"%b"' % listing,
        b'{"mode":"content","numFiles":0,"filenames":[],"content":"%b","numLines":%d}' % (listing, len(listing) // 60),
    )


def _failed(draws: Draws, release: Release, base: bytes) -> Call:
    message = draws.text(_SNIPPET[int(draws.random() * 1024)])
    return Call(
        b"Bash",
        b'{"command":"%b","description":"%b"}' % (draws.text(60), draws.text(30)),
        b'"%b","is_error":true' % message,
        b'"Error: %b"' % message,
    )


def _mcp(draws: Draws, release: Release, base: bytes) -> Call:
    text = draws.text(_SNIPPET[int(draws.random() * 1024)])
    blocks = b'[{"type":"text","text":"%b"}]' % text
    return Call(b"mcp__notes__look_up", b'{"query":"%b"}' % draws.text(40), blocks, blocks)


def _todo(draws: Draws, release: Release, base: bytes) -> Call:
    items = b",".join(
        b'{"content":"%b","status":"pending","activeForm":"%b"}' % (draws.text(60), draws.text(60)) for _ in range(5)
    )
    return Call(
        b"TodoWrite",
        b'{"todos":[%b]}' % items,
        b'"Todos have been modified successfully."',
        b'{"oldTodos":[%b],"newTodos":[%b]}' % (items, items),
    )


_TOOLS: Final[tuple[Callable[[Draws, Release, bytes], Call], ...]] = (
    (_bash,) * 39
    + (_read,) * 23
    + (_edit,) * 18
    + (_grep,) * 8
    + (_write,) * 4
    + (_failed,) * 3
    + (_todo,) * 4
    + (_mcp,)
)
