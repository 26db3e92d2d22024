#!/usr/bin/env python3
"""Fetch the guest images: unmodified Debian kernels and a busybox initramfs.

The packages come through apt-get, in a private tree, from the Debian mirror that this machine's own
apt sources name; nothing is installed. The images go to `${WORLDSWITCH_GUESTS}`, or to
`${XDG_CACHE_HOME:-~/.cache}/worldswitch/guests`, one directory per architecture:

    vmlinuz-6.1  vmlinuz-6.12  initramfs.cpio.gz  busybox  manifest.json

and, for amd64, modules-<version>.cpio.gz with modules of each kernel, and
initramfs-<version>.cpio.gz, which is the initramfs with these behind it; and xen, a hypervisor.

A second run checks the files against the manifest and fetches nothing.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from initramfs import APPLETS, INIT_SCRIPT, initramfs
from kernel_modules import ModuleError, archive, closure, joined, unpacked

SUITES = ("bookworm", "bookworm-updates", "bookworm-backports")
KERNEL_VERSIONS = ("6.1", "6.12")
FETCH_ATTEMPTS = 3
BUSYBOX = {"busybox": ("busybox-static", "*bin/busybox")}
XEN = {"xen": ("xen-hypervisor-4.17-amd64", "boot/xen-4.17-amd64.gz")}
"""Files of packages that are no kernels: the package, and where it has the file."""


@dataclass(frozen=True)
class Architecture:
    """What Debian calls an architecture's kernel, and the files of its package that are wanted.

    modules: where a module is in the package, by name. archived: modules for the modules' archive,
    where the kernel has them not built in; what they need comes along. others: package and place
    of files that are no kernel's.
    """

    metapackage: str
    image: str = "vmlinuz"
    modules: dict[str, str] = field(default_factory=dict[str, str])
    archived: tuple[str, ...] = ()
    others: dict[str, tuple[str, str]] = field(default_factory=lambda: BUSYBOX)

    def names(self) -> list[str]:
        """The files that are fetched."""
        found = list(self.others)
        for version in KERNEL_VERSIONS:
            found.append(f"vmlinuz-{version}")
            found += [f"{module}-{version}.ko" for module in self.modules]
            found += [f"modules-{version}.cpio.gz"] if self.archived else []
        return found

    def pattern(self, name: str) -> str:
        """Where a file is in its package."""
        if name in self.others:
            return self.others[name][1]
        if name.startswith("vmlinuz-"):
            return f"boot/{self.image}-*"
        return self.modules[name.rpartition("-")[0]]


ARCHITECTURES = {
    "s390x": Architecture(
        metapackage="linux-image-s390x", modules={"kvm": "kernel/arch/s390/kvm/kvm.ko*"}
    ),
    "amd64": Architecture(
        metapackage="linux-image-cloud-amd64",
        archived=("kvm-amd", "virtio-pci", "virtio-blk", "virtio-console", "virtio-rng"),
        others=BUSYBOX | XEN,
    ),
    "arm64": Architecture(metapackage="linux-image-arm64"),
}

DEFAULT = ("s390x", "amd64")
"""The architectures whose machines there are."""


class FetchError(Exception):
    """Something outside this program is missing or failed; the message says how to mend it."""


@dataclass(frozen=True)
class Mirror:
    """A Debian mirror, and the keyring that its releases are signed with (None: apt's default)."""

    uri: str
    keyring: str | None = None


def say(message: str) -> None:
    """Progress, on standard error."""
    print(message, file=sys.stderr, flush=True)


def guests_directory() -> Path:
    """Where the images live."""
    if named := os.environ.get("WORLDSWITCH_GUESTS"):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "worldswitch" / "guests"


# --- the machine's apt sources -------------------------------------------------------------------


def deb822_sources(text: str) -> Iterator[Mirror]:
    """Mirrors of the enabled binary entries of a `.sources` file."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        pairs = re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", stanza, re.MULTILINE)
        fields = {name.lower(): value.strip() for name, value in pairs}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        keyring = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            yield Mirror(uri, keyring if keyring.startswith("/") else None)


def one_line_sources(text: str) -> Iterator[Mirror]:
    """Mirrors of the `deb` lines of a `.list` file."""
    for options, uri in re.findall(r"^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)", text, re.MULTILINE):
        keyring = re.search(r"signed-by=(/\S+)", options, re.IGNORECASE)
        yield Mirror(uri, keyring.group(1) if keyring else None)


def machine_mirror(etc_apt: Path = Path("/etc/apt")) -> Mirror:
    """The Debian mirror that the machine's apt sources name."""
    parts = etc_apt / "sources.list.d"
    files = [
        etc_apt / "sources.list",
        *sorted(parts.glob("*.list")),
        *sorted(parts.glob("*.sources")),
    ]
    for path in files:
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        mirrors = deb822_sources(text) if path.suffix == ".sources" else one_line_sources(text)
        for mirror in mirrors:
            if re.search(r"(^|/)debian(\.list)?/?$", mirror.uri):
                return mirror
    raise FetchError(
        "this machine's apt sources name no Debian mirror; name one with --mirror, and the "
        "keyring that verifies it with --keyring (package debian-archive-keyring)"
    )


# --- apt in a private tree -----------------------------------------------------------------------


@dataclass
class PrivateApt:
    """apt-get and apt-cache for a foreign architecture, in a tree of their own under `root`."""

    root: Path
    arch: str
    mirror: Mirror
    options: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        for folder in ("state/lists/partial", "cache/archives/partial", "etc/parts"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "state" / "status").touch()
        sources = self.root / "etc" / "debian.sources"
        lines = [
            "Types: deb",
            f"URIs: {self.mirror.uri}",
            f"Suites: {' '.join(SUITES)}",
            "Components: main",
            *([f"Signed-By: {self.mirror.keyring}"] if self.mirror.keyring else []),
        ]
        sources.write_text("\n".join(lines) + "\n")
        # The machine's own settings (proxies, certificates) stay in force; its hooks do not run.
        config = self.root / "etc" / "apt.conf"
        config.write_text(
            "#clear APT::Update::Pre-Invoke;\n"
            "#clear APT::Update::Post-Invoke;\n"
            "#clear APT::Update::Post-Invoke-Success;\n"
            "#clear APT::Architectures;\n"
            "#clear APT::NeverAutoRemove;\n"
        )
        settings = {
            "Dir::State": self.root / "state",
            "Dir::State::Lists": self.root / "state" / "lists",
            "Dir::State::status": self.root / "state" / "status",
            "Dir::Cache": self.root / "cache",
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": self.root / "etc" / "parts",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": self.root / "etc" / "parts",
            "APT::Update::Error-Mode": "any",
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        self.options = [f"-c={config}", *(f"-o{name}={value}" for name, value in settings.items())]

    def call(self, program: str, *arguments: str) -> str:
        """Run one apt program; its standard output."""
        done = subprocess.run(
            [program, *self.options, "-q", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        if done.returncode != 0:
            complaint = done.stderr.strip() or done.stdout.strip()
            raise FetchError(f"{program} {' '.join(arguments)} failed:\n{complaint}")
        return done.stdout

    def fetching(self, *arguments: str) -> None:
        """Run an apt-get command that uses the network, again if it fails."""
        for attempt in range(1, FETCH_ATTEMPTS + 1):
            try:
                self.call("apt-get", *arguments)
                return
            except FetchError:
                if attempt == FETCH_ATTEMPTS:
                    raise
                say(f"  apt-get {arguments[0]} failed, trying again")
                time.sleep(2 * attempt)

    def kernel_package(self, metapackage: str, version: str) -> tuple[str, str]:
        """The newest kernel `version` that `metapackage` depends on: its package and release."""
        found: list[tuple[tuple[int, ...], str, str]] = []
        for stanza in self.call("apt-cache", "show", metapackage).split("\n\n"):
            depends = re.search(
                rf"^Depends:.*?\b(linux-image-{re.escape(version)}\.\S+)", stanza, re.MULTILINE
            )
            release = re.search(r"^Version: (\S+)", stanza, re.MULTILINE)
            if depends and release and not re.search(r"-(unsigned|dbg)\b", depends.group(1)):
                numbers = tuple(int(number) for number in re.findall(r"\d+", release.group(1)))
                found.append((numbers, depends.group(1), release.group(1)))
        if not found:
            raise FetchError(
                f"{metapackage} of {', '.join(SUITES)} has no kernel {version} on {self.mirror.uri}"
            )
        _, package, release_text = max(found)
        return package, release_text

    def unpack(self, package: str) -> tuple[Path, str]:
        """Download a package and unpack it; its tree, and its version."""
        folder = self.root / "packages" / package
        folder.mkdir(parents=True)
        self.fetching("download", package)
        (archive,) = self.root.glob(f"{package}_*.deb")
        done = subprocess.run(
            ["dpkg", "-x", str(archive), str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise FetchError(f"dpkg -x {archive.name} failed:\n{done.stderr.strip()}")
        version = archive.name.split("_")[1].replace("%3a", ":")
        archive.unlink()
        return folder, version


# --- the cache -----------------------------------------------------------------------------------


def sha256(path: Path) -> str:
    """The file's digest, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> dict[str, dict[str, str]]:
    """The manifest's entries whose files are as they were written; the rest is fetched anew."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        return {
            name: entry
            for name, entry in manifest.items()
            if (folder / name).is_file() and sha256(folder / name) == entry["sha256"]
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(data)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def package_of(name: str) -> str:
    """The kernel version that a file belongs to; for others, their own name."""
    return name.rpartition("-")[2].removesuffix(".ko").removesuffix(".cpio.gz")


def extract(architecture: Architecture, tree: Path, name: str, package: str) -> bytes:
    """The content of one wanted file, from the tree of the unpacked package that has it."""
    if name.startswith("modules-"):
        return archive(closure(tree, architecture.archived))
    pattern = architecture.pattern(name)
    files = [path for path in tree.rglob("*") if path.is_file()]
    matches = [path for path in files if path.relative_to(tree).match(pattern)]
    if len(matches) != 1:
        raise FetchError(f"{package} has {len(matches)} files {pattern}, not one")
    data = unpacked(matches[0].read_bytes())
    return gzip.decompress(data) if pattern.endswith(".gz") else data


def fetch_packages(
    folder: Path, arch: str, mirror: Mirror, manifest: dict[str, dict[str, str]], wanted: list[str]
) -> None:
    """Fetch the files in `wanted` into `folder` and enter them in `manifest`."""
    architecture = ARCHITECTURES[arch]
    for program, package in (("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg", "dpkg")):
        if shutil.which(program) is None:
            raise FetchError(
                f"{program} is not on this machine (it reads Debian's packages); install the "
                f"package {package}, or copy {folder} from a machine that has it"
            )
    with tempfile.TemporaryDirectory(prefix="worldswitch-apt-") as scratch:
        apt = PrivateApt(Path(scratch) / "apt", arch, mirror)
        say(f"{arch}: reading the package lists of {', '.join(SUITES)}")
        apt.fetching("update")
        unpacked: dict[str, tuple[Path, str]] = {}
        for name in wanted:
            if name in architecture.others:
                package = architecture.others[name][0]
            else:
                package, _ = apt.kernel_package(architecture.metapackage, package_of(name))
            if package not in unpacked:
                say(f"{arch}: downloading {package}")
                unpacked[package] = apt.unpack(package)
            tree, release = unpacked[package]
            write_file(folder / name, extract(architecture, tree, name, f"{package} {release}"))
            manifest[name] = {
                "package": package,
                "version": release,
                "sha256": sha256(folder / name),
            }


def fetch(arch: str, folder: Path, mirror: Mirror | None, force: bool) -> None:
    """Bring one architecture's directory up to date."""
    started = time.monotonic()
    manifest = {} if force else read_manifest(folder)
    before = json.dumps(manifest, sort_keys=True)
    names = ARCHITECTURES[arch].names()
    # A kernel and its modules have to be of one package.
    missing = {package_of(name) for name in names if name not in manifest}
    wanted = [name for name in names if package_of(name) in missing]
    if wanted:
        fetch_packages(folder, arch, mirror or machine_mirror(), manifest, wanted)
    init, applets = INIT_SCRIPT.read_bytes(), APPLETS.read_text().split()
    sources = json.dumps([init.decode(), applets, manifest["busybox"]["sha256"]])
    recipe = hashlib.sha256(sources.encode()).hexdigest()
    image = manifest.get("initramfs.cpio.gz", {})
    if image.get("recipe") != recipe:
        say(f"{arch}: building the initramfs")
        busybox = (folder / "busybox").read_bytes()
        write_file(folder / "initramfs.cpio.gz", initramfs(busybox, init, applets))
        manifest["initramfs.cpio.gz"] = {
            "recipe": recipe,
            "sha256": sha256(folder / "initramfs.cpio.gz"),
        }
    for name in [name for name in names if name.startswith("modules-")]:
        whole = name.replace("modules", "initramfs")
        recipe = manifest["initramfs.cpio.gz"]["sha256"] + manifest[name]["sha256"]
        if manifest.get(whole, {}).get("recipe") != recipe:
            parts = ((folder / part).read_bytes() for part in ("initramfs.cpio.gz", name))
            write_file(folder / whole, joined(*parts))
            manifest[whole] = {"recipe": recipe, "sha256": sha256(folder / whole)}
    if json.dumps(manifest, sort_keys=True) != before or not (folder / "manifest.json").exists():
        text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
        write_file(folder / "manifest.json", text.encode())
        say(f"{arch}: ready in {folder} ({time.monotonic() - started:.1f} s)")
    else:
        say(f"{arch}: up to date in {folder}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what the command line asks for; 0, 1 on a failed fetch, 2 on a usage error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--arch",
        action="append",
        choices=sorted(ARCHITECTURES),
        help="architecture to fetch (may be given more than once; default: s390x and amd64)",
    )
    parser.add_argument("--directory", type=Path, help="where the images go")
    parser.add_argument("--mirror", help="Debian mirror to use instead of the machine's own")
    parser.add_argument("--keyring", help="keyring file that verifies --mirror")
    parser.add_argument("--force", action="store_true", help="fetch again what is already there")
    options = parser.parse_args(arguments)
    if options.keyring and not options.mirror:
        parser.error("--keyring goes with --mirror")
    mirror = Mirror(options.mirror, options.keyring) if options.mirror else None
    directory: Path = options.directory or guests_directory()
    try:
        for arch in options.arch or DEFAULT:
            fetch(arch, directory / arch, mirror, options.force)
            print(directory / arch)
    except (FetchError, ModuleError, OSError) as problem:
        say(f"fetch_guests: {problem}")
        return 1
    except KeyboardInterrupt:
        say("fetch_guests: interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
