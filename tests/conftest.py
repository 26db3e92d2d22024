"""Fixtures that every area's tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fetch_guests import guests_directory
from hypothesis import settings

settings.register_profile("worldswitch", deadline=None)  # no test asserts a time
settings.load_profile("worldswitch")


@pytest.fixture(scope="session")
def guest_image() -> Callable[[str], Path]:
    """The path of a fetched s390x image by name, such as `vmlinuz-6.12` or `initramfs.cpio.gz`.

    A missing image fails the test: a suite that quietly leaves the real kernels out proves nothing.
    """

    def find(name: str) -> Path:
        path = guests_directory() / "s390x" / name
        if not path.is_file():
            pytest.fail(f"{path} is missing; fetch it with `make guests`", pytrace=False)
        return path

    return find
