"""Checks who includes whom: directions of dependency between the folders, and between the arena's rooms.

The folders' rules stand in FOLDERS below. The rooms' order is read from the block marked `rooms` in
allocators/arena/README.md: one line a room, low to high, `room: header or source stems`; rooms on one line
separated by `|` are equals that may not include each other.
Exit code 0: clean; 1: each violation on a line of its own; 2: the block is missing or a file has no room.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# folder -> what its files may include, as prefixes of project paths; the longest matching folder decides.
FOLDERS = {
    "allocators/arena": ("allocators/arena/",),
    "allocators/biglock": ("allocators/biglock/",),
    "allocators/null": ("allocators/null/",),
    "allocators/floor": ("allocators/floor/",),
    "allocators": ("allocators/",),
    "workloads": ("workloads/", "allocators/allocator.h"),
    "harness/cell": ("harness/cell/", "harness/protocol.h", "workloads/workload.h", "workloads/prng.h",
                     "allocators/allocator.h"),
    "harness": ("harness/", "workloads/workload.h", "workloads/prng.h", "allocators/allocator.h"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
ROOMS = re.compile(r"^```rooms\n(.*?)^```", re.M | re.S)


def includes(path):
    """Project paths that the file at path includes, as written or beside it."""
    for name in INCLUDE.findall(path.read_text()):
        beside = path.parent / name
        yield (beside if beside.exists() else ROOT / name).resolve().relative_to(ROOT).as_posix()


def folder_violations():
    """Lines `file includes file: why` for includes that the folders' rules do not allow."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            name = path.relative_to(ROOT).as_posix()
            owner = max((f for f in FOLDERS if name.startswith(f + "/")), key=len)
            if owner != folder:
                continue
            for target in includes(path):
                if not target.startswith(FOLDERS[folder]):
                    yield f"{name} includes {target}: {folder}/ may include {', '.join(FOLDERS[folder])} only"
                if folder == "harness" and target.startswith("harness/cell/"):
                    yield f"{name} includes {target}: the driver knows the cell by harness/protocol.h only"


def room_levels(readme):
    """{file stem: (level, room)} from the rooms block; raises ValueError when there is none."""
    block = ROOMS.search(readme.read_text())
    if not block:
        raise ValueError(f"{readme.relative_to(ROOT)}: no block marked ```rooms")
    levels = {}
    for level, line in enumerate(block.group(1).strip().splitlines()):
        for part in line.split("|"):
            room, _, stems = part.partition(":")
            for stem in stems.split():
                levels[stem] = (level, room.strip())
    return levels


def room_violations(arena):
    """Lines for includes that go up, or sideways between equals, in the order of the rooms."""
    levels = room_levels(arena / "README.md")
    for path in sorted(arena.glob("*.[ch]")):
        if path.stem not in levels:
            raise ValueError(f"{path.relative_to(ROOT)}: in no room of allocators/arena/README.md")
        level, room = levels[path.stem]
        for target in map(pathlib.PurePosixPath, includes(path)):
            other_level, other_room = levels[target.stem]
            if other_room != room and other_level >= level:
                yield (f"{path.relative_to(ROOT)} ({room}) includes {target.name} ({other_room}): "
                       "not a lower room")


def main():
    try:
        found = [*folder_violations(), *room_violations(ROOT / "allocators/arena")]
    except ValueError as error:
        print(f"check_layers: {error}", file=sys.stderr)
        return 2
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
