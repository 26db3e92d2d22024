"""A disk with a root file system of busybox, made without root privileges by e2fsprogs."""

import os
import shutil
import subprocess
from pathlib import Path

SIZE = "8M"
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
"""Where the tools of e2fsprogs are is not on every user's path."""
INIT = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
echo "ROOT $(busybox grep ' / ' /proc/mounts | busybox tail -n 1)"
echo "made by the guest" > /made
echo "ARCHITECTURE $(busybox uname -m) of $(busybox sha256sum /bin/busybox)"
busybox mount -o remount,ro /
busybox poweroff -f
"""


def tool(name: str) -> str:
    """A program of the package e2fsprogs; without it the test fails rather than prove nothing."""
    found = shutil.which(name, path=SYSTEM_PATH)
    assert found, f"{name} is missing; install e2fsprogs"
    return found


def make(folder: Path, busybox: Path) -> Path:
    """An ext4 image whose /sbin/init reports, writes a file, and powers off."""
    tree = folder / "tree"
    for name in ("bin", "sbin", "dev", "proc", "sys"):
        (tree / name).mkdir(parents=True)
    (tree / "bin" / "busybox").write_bytes(busybox.read_bytes())
    (tree / "sbin" / "init").write_text(INIT)
    for path in (tree / "bin" / "busybox", tree / "sbin" / "init"):
        path.chmod(0o755)
    image = folder / "disk.img"
    command = [tool("mke2fs"), "-q", "-t", "ext4", "-d", str(tree), str(image), SIZE]
    subprocess.run(command, check=True, capture_output=True)
    return image


def read(image: Path, path: str) -> bytes:
    """A file of the image."""
    command = [tool("debugfs"), "-R", f"cat {path}", str(image)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def check(image: Path) -> int:
    """The status of a forced check that changes nothing; 0: the file system is sound."""
    command = [tool("e2fsck"), "-fn", str(image)]
    return subprocess.run(command, check=False, capture_output=True).returncode
