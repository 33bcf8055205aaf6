# SPDX-License-Identifier: GPL-2.0-only
"""From ``function+offset/size`` to file and line, inlined functions included.

Kernels are built without debug info: every build would pay, in time and space, for the few
splats there are. The one object that a frame lies in is compiled again instead, by the command
that its build folder remembers, from the source of the kernel's own position, with ``-g``. It is
believed where the function came out as long as it is in the kernel, and kept in the store.
A guest test's module always has its debug info beside it.

Decoding is evidence and decides nothing: what cannot be decoded has no place, and nothing raises.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from harness.build.debug_object import compile_again, source_view
from harness.build.modules import debug_of
from harness.cache.store import Store
from harness.host import process
from harness.host.deadline import Deadline
from harness.host.files import key_of
from harness.model.errors import HarnessError
from harness.model.results import Frame, Place, Splat
from harness.model.values import Arch, Kernel, Series, SourceTree
from harness.source.apply import contents_at
from harness.verdict.symbols import Spot, spots_of

# The limits for the splats of one cell.
MAX_SPLATS = 20
MAX_CANDIDATES = 6  # objects looked at for one function
MAX_OBJECTS = 12  # compiled anew; what is in the store does not count
BUDGET_S = 20.0  # no object is begun later than this
TOOL_S = 60.0  # for one run of nm or addr2line
MAX_PLACES = 8  # functions inlined into each other, of one frame
OBJECT = "debug-object"
CACHE_VERSION = "1"
# The kind of store entry that a module is built against.
_PREFIX = re.compile(r".*/(?:kit|headers/[0-9a-f]{64})/(?:source/)?")
_SYMBOL = re.compile(r"(?P<name>[^+\s]+)\+0x(?P<at>[0-9a-f]{1,16})/0x(?P<size>[0-9a-f]{1,16})")
_NM = re.compile(
    r"(?:(?P<file>[^:]+):)?(?P<at>[0-9a-f]+) (?:(?P<size>[0-9a-f]+) )?"
    r"(?P<type>[A-Za-z]) (?P<name>\S+)$"
)


@dataclass(frozen=True)
class DebugSource:
    """The source of one kernel's line numbers."""

    kernel: Kernel
    arch: Arch
    tree: SourceTree
    series: Series
    build: Path  # the folder that kernels of this configuration are built in; may be gone
    store: Store


def decode(splats: Sequence[Splat], source: DebugSource, *modules: Path) -> tuple[Splat, ...]:
    """Return *splats* with the frames that their texts name, and where these lie in source.

    *modules* are those that were in the guest, of tests and of loads, each with the file of
    :func:`harness.build.modules.debug_of` beside it. Splats beyond ``MAX_SPLATS`` stay as they
    are. Never raises for what a splat says or a tool does.
    """
    heeded = splats[:MAX_SPLATS]
    spots = [spots_of(splat.text) for splat in heeded]
    found = _Search(source, modules).places(spot for some in spots for spot in some)
    decoded = [
        replace(splat, frames=tuple(_frame(spot, found) for spot in some))
        for splat, some in zip(heeded, spots, strict=True)
    ]
    return (*decoded, *splats[MAX_SPLATS:])


def decode_frames(frames: Sequence[Frame], source: DebugSource) -> tuple[Frame, ...]:
    """Return *frames* of the kernel with the places they lie at in source, as :func:`decode`."""
    spots = [_spot_of(frame) for frame in frames]
    found = _Search(source, ()).places(spot for spot in spots if spot is not None)
    return tuple(
        frame if spot is None else replace(frame, places=found.get(_asked(spot), ()))
        for frame, spot in zip(frames, spots, strict=True)
    )


def _spot_of(frame: Frame) -> Spot | None:
    """Return what *frame* names; None where its symbol has no offset and size."""
    match = _SYMBOL.fullmatch(frame.symbol)
    if match is None:
        return None
    name, offset, size = match["name"], int(match["at"], 16), int(match["size"], 16)
    return Spot(frame.line, name, offset, size, frame.module, frame.exact)


_Asked = tuple[str, str, int, int]  # module, function, size, address


def _asked(spot: Spot) -> _Asked:
    return (spot.module, spot.function, spot.size, spot.address)


def _frame(spot: Spot, found: Mapping[_Asked, tuple[Place, ...]]) -> Frame:
    symbol = f"{spot.function}+{spot.offset:#x}/{spot.size:#x}"
    return Frame(symbol, spot.module, spot.line, spot.exact, found.get(_asked(spot), ()))


@dataclass
class _Search:
    """The places of the frames of one cell."""

    source: DebugSource
    modules: Sequence[Path]
    deadline: Deadline = field(default_factory=lambda: Deadline(BUDGET_S))
    compiled: int = 0

    def places(self, spots: Iterable[Spot]) -> dict[_Asked, tuple[Place, ...]]:
        found: dict[_Asked, tuple[Place, ...]] = {}
        for (module, function, size), asked in _by_function(spots).items():
            try:
                if module:
                    self._of_module(module, function, asked, found)
                else:
                    self._of_kernel(function, size, asked, found)
            except (HarnessError, OSError, ELFError, ValueError):
                continue  # no place is known; the splat's text is there all the same
        return found

    def _of_module(
        self, name: str, function: str, asked: list[_Asked], found: dict[_Asked, tuple[Place, ...]]
    ) -> None:
        for module in self.modules:
            debug = debug_of(module)
            if module.stem.replace("-", "_") == name.replace("-", "_") and debug.is_file():
                found.update(_look_up(self.source.arch, debug, function, None, asked))

    def _of_kernel(
        self, function: str, size: int, asked: list[_Asked], found: dict[_Asked, tuple[Place, ...]]
    ) -> None:
        length = _length(_symbols(self.source, self.source.kernel.path / "vmlinux"), function, size)
        if length is None:
            return
        for name in _objects_with(self.source, function, length):
            debug = self._object(name)
            if debug is None:
                continue
            places = _look_up(self.source.arch, debug, function, length, asked)
            if places:
                found.update(places)
                return

    def _object(self, name: str) -> Path | None:
        """Return the object *name* with debug info, from the store or compiled now."""
        source = self.source
        key = key_of(CACHE_VERSION, source.kernel.key, name)
        kept = source.store.get(OBJECT, key)
        if kept is None:
            # Names of objects are read first, which takes long on a busy host: the first object is
            # compiled all the same.
            late = self.compiled and self.deadline.passed
            if late or self.compiled >= MAX_OBJECTS:
                return None
            self.compiled += 1
            kept = source.store.put(OBJECT, key, lambda into: self._compile(name, into))
        debug = kept / "object.o"
        return debug if debug.is_file() else None

    def _compile(self, name: str, into: Path) -> None:
        """Compile *name*; what does not compile leaves an empty entry, and is not tried again."""
        source = self.source
        contents = contents_at(source.tree, source.series, source.kernel.position)
        with tempfile.TemporaryDirectory(prefix="kph-decode-") as folder:
            view = source_view(source.tree.path, contents, Path(folder) / "tree")
            compile_again(source.build, name, view, into / "object.o", TOOL_S)


def _by_function(spots: Iterable[Spot]) -> dict[tuple[str, str, int], list[_Asked]]:
    """Group what is asked; modules first: they cost nothing, and are what tests are about.

    Then where the processor stood: that is the line that a report shows.
    """
    groups: dict[tuple[str, str, int], list[_Asked]] = defaultdict(list)
    for spot in sorted(spots, key=lambda spot: (not spot.module, not spot.exact)):
        group = groups[spot.module, spot.function, spot.size]
        if _asked(spot) not in group:
            group.append(_asked(spot))
    return groups


# ---------------------------------------------------------------- symbols


@dataclass(frozen=True)
class _Symbol:
    at: int
    size: int  # 0 where the assembler was not told
    name: str


_known: dict[tuple[Path, int], list[_Symbol]] = {}
_owners: dict[tuple[Path, str], dict[str, list[tuple[str, int]]]] = {}
_lock = threading.Lock()


def _nm(source: DebugSource, files: Sequence[str], cwd: Path) -> Iterator[re.Match[str]]:
    argv = (f"{source.arch.triplet}-nm", "--defined-only", "-A", "-S", *files)
    done = process.run(argv, cwd=cwd, deadline_s=TOOL_S)
    for line in done.stdout.splitlines():
        found = _NM.match(line)
        if found and found["type"] in "tTwW" and not found["name"].startswith("$"):
            yield found


def _symbols(source: DebugSource, vmlinux: Path) -> list[_Symbol]:
    """Return the functions of *vmlinux* by address."""
    key = (vmlinux, vmlinux.stat().st_mtime_ns)
    with _lock:
        if key not in _known:
            _known.clear()  # 30,000 of them: of one kernel at a time
            _known[key] = sorted(
                (
                    _Symbol(int(one["at"], 16), int(one["size"] or "0", 16), one["name"])
                    for one in _nm(source, (vmlinux.name,), vmlinux.parent)
                ),
                key=lambda symbol: symbol.at,
            )
        return _known[key]


def _length(symbols: Sequence[_Symbol], function: str, size: int) -> int | None:
    """Return the length of *function*, None where the kernel has none that may be meant.

    The kernel takes the distance to the next symbol for a function's size.
    """
    fits = []
    for number, symbol in enumerate(symbols):
        if symbol.name != function:
            continue
        after = next((s.at for s in symbols[number + 1 :] if s.at > symbol.at), None)
        if after is None or after - symbol.at == size or symbol.size == size:
            fits.append(symbol.size)
    return fits[0] if fits and len(set(fits)) == 1 else None


def _objects_with(source: DebugSource, function: str, length: int) -> list[str]:
    """Return the objects of the build folder that have *function*, the likely ones first."""
    key = (source.build, source.kernel.config_sha256)
    with _lock:
        if key not in _owners:
            _owners.clear()
            files = [
                str(path.relative_to(source.build))
                for path in source.build.rglob("*.o")
                if _compiled_by(path)
            ]
            owners: dict[str, list[tuple[str, int]]] = defaultdict(list)
            for one in _nm(source, files, source.build) if files else ():
                owners[one["name"]].append((one["file"], int(one["size"] or "0", 16)))
            _owners[key] = owners
        there = _owners[key].get(function, [])
    likely = [name for name, size in there if size == length]
    others = [name for name, size in there if size != length]
    return list(dict.fromkeys((*likely[:3], *_touched(source), *others)))[:MAX_CANDIDATES]


def _touched(source: DebugSource) -> Iterator[str]:
    """Yield the objects of files that the kernel's own patches touch, the latest patch first.

    The build folder has been to other positions since, where the function need not be.
    """
    for patch in reversed(source.series.applied(source.kernel.position)):
        for file in map(PurePosixPath, patch.touches):
            name = file.with_suffix(".o")
            if file.suffix in (".c", ".S") and _compiled_by(source.build / name):
                yield str(name)


def _compiled_by(path: Path) -> bool:
    """Return whether the command that made the object *path* is known."""
    return path.with_name(f".{path.name}.cmd").is_file()


# ---------------------------------------------------------------- addr2line


def _look_up(
    arch: Arch, debug: Path, function: str, length: int | None, asked: Sequence[_Asked]
) -> dict[_Asked, tuple[Place, ...]]:
    """Return what *debug* says of *asked*, all in *function*, if that is *length* bytes long."""
    where = _in_object(debug, function, length)
    if where is None:
        return {}
    section, start, size = where
    meant = [one for one in asked if one[3] < size or not size]
    if not meant:
        return {}
    addresses = [f"{start + one[3]:#x}" for one in meant]
    argv = (
        f"{arch.triplet}-addr2line",
        "-e",
        str(debug),
        "-j",
        section,
        "-a",
        "-f",
        "-i",
        *addresses,
    )
    done = process.run(argv, deadline_s=TOOL_S)
    blocks = re.split(r"^0x[0-9a-f]+\n", done.stdout, flags=re.M)[1:]
    if len(blocks) != len(meant):
        return {}
    places = {one: _places(block) for one, block in zip(meant, blocks, strict=True)}
    return {one: some for one, some in places.items() if some}


def _in_object(debug: Path, function: str, length: int | None) -> tuple[str, int, int] | None:
    """Return section, offset in it and size of *function*; None where there is no telling."""
    fits = set()
    with debug.open("rb") as stream:
        elf = ELFFile(stream)
        for table in elf.iter_sections():
            if not isinstance(table, SymbolTableSection):
                continue
            for symbol in table.get_symbol_by_name(function) or ():
                index, size = symbol["st_shndx"], symbol["st_size"]
                if isinstance(index, int) and length in (None, size):
                    fits.add((elf.get_section(index).name, symbol["st_value"], size))
    return fits.pop() if len(fits) == 1 else None


def _places(block: str) -> tuple[Place, ...]:
    """Read pairs of lines: a function, and its file and line."""
    lines = block.splitlines()
    found: list[Place] = []
    for function, at in zip(lines[::2], lines[1::2], strict=False):
        file, _, number = at.partition(" (")[0].rpartition(":")
        if not number.isdigit() or number == "0":
            break
        if not found or found[-1].function != function:  # gcc splits functions into parts
            found.append(Place(function, _in_tree(file), int(number)))
    return tuple(found[:MAX_PLACES])


def _in_tree(file: str) -> str:
    """Return *file* as the tree names it, wherever it lay when it was compiled."""
    return _PREFIX.sub("", posixpath.normpath(file)).lstrip("/")
