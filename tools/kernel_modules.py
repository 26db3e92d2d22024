"""Modules of a kernel package as an archive to put behind an initramfs.

The archive has the modules that are asked for, what these need, and the `modules.dep` that
busybox's modprobe reads. What the kernel has built in is left out, but for its list, so that asking
for it is no error.
"""

import gzip
import lzma
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from initramfs import CpioEntry, newc_archive

XZ = b"\xfd7zXZ\0"
BUILTIN = "modules.builtin"
DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


class ModuleError(Exception):
    """A module that is wanted is neither in the package nor in the kernel."""


def unpacked(data: bytes) -> bytes:
    """A module's ELF file, which some packages keep compressed."""
    return lzma.decompress(data) if data[:6] == XZ else data


def canonical(name: str) -> str:
    """The name by which modules refer to each other."""
    return name.replace("-", "_")


def needs(module: bytes) -> list[str]:
    """Canonical names of the modules that a module's `.modinfo` says it depends on."""
    found = DEPENDS.search(module)
    return [canonical(name) for name in found.group(1).decode().split(",") if name] if found else []


def closure(tree: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """The wanted modules of an unpacked package and what they need, each behind what it needs.

    Keys are paths relative to `lib/modules`. The list of what is built in comes first. Raises
    ModuleError.
    """
    (folder,) = {path.parent for path in tree.rglob(BUILTIN)}
    listing = (folder / BUILTIN).read_bytes()
    builtin = {canonical(PurePosixPath(line).stem) for line in listing.decode().split()}
    files = {canonical(path.name.split(".ko")[0]): path for path in folder.rglob("*.ko*")}
    found: dict[str, bytes] = {f"{folder.name}/{BUILTIN}": listing}

    def add(name: str, because: str) -> None:
        if name in builtin:
            return
        if name not in files:
            raise ModuleError(f"{because} module {name}, which {folder.name} does not have")
        path = str(files[name].parent.relative_to(folder.parent) / f"{name}.ko")
        if path not in found:
            module = unpacked(files[name].read_bytes())
            for other in needs(module):
                add(other, f"{name} needs")
            found[path] = module

    for name in wanted:
        add(canonical(name), "the images want")
    return found


def archive(modules: dict[str, bytes]) -> bytes:
    """A gzipped cpio archive of what `closure` found, the same bytes for the same modules."""
    paths = {PurePosixPath(path).stem: path for path in modules if path.endswith(".ko")}
    lists: dict[str, str] = {}
    for path in paths.values():
        data = modules[path]
        release = path.partition("/")[0]
        # modprobe loads the list from its end, so what is needed deepest comes last.
        behind: list[str] = []
        waiting = needs(data)
        while waiting:
            name = waiting.pop(0)
            if name in paths:
                behind = [other for other in behind if other != name] + [name]
                waiting += needs(modules[paths[name]])
        line = " ".join(paths[name].removeprefix(f"{release}/") for name in behind)
        lists[release] = lists.get(release, "") + (
            f"{path.removeprefix(f'{release}/')}: {line}".rstrip() + "\n"
        )
    contents = {f"lib/modules/{path}": data for path, data in modules.items()}
    for release, text in lists.items():
        contents[f"lib/modules/{release}/modules.dep"] = text.encode()
    folders = {
        str(parent)
        for name in contents
        for parent in PurePosixPath(name).parents
        if str(parent) != "."
    }
    entries = [CpioEntry(name, 0o040755) for name in sorted(folders)]
    entries += [CpioEntry(name, 0o100644, data) for name, data in sorted(contents.items())]
    return gzip.compress(newc_archive(entries), compresslevel=9, mtime=0)


def joined(first: bytes, second: bytes) -> bytes:
    """Two gzipped archives as one initramfs: the kernel unpacks one after the other."""
    return first + second
