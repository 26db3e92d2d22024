"""Fixtures that every area's tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fetch_guests import guests_directory
from hypothesis import settings

settings.register_profile("worldswitch", deadline=None)  # no test asserts a time
settings.load_profile("worldswitch")


def find_image(architecture: str, name: str) -> Path:
    """The path of a fetched image.

    A missing image fails the test: a suite that quietly leaves the real kernels out proves nothing.
    """
    path = guests_directory() / architecture / name
    if not path.is_file():
        pytest.fail(f"{path} is missing; fetch it with `make guests`", pytrace=False)
    return path


@pytest.fixture(scope="session")
def guest_image() -> Callable[[str], Path]:
    """The path of a fetched s390x image by name, such as `vmlinuz-6.12` or `initramfs.cpio.gz`."""
    return lambda name: find_image("s390x", name)


@pytest.fixture(scope="session")
def amd64_image() -> Callable[[str], Path]:
    """The path of a fetched amd64 image by name, such as `vmlinuz-6.12`."""
    return lambda name: find_image("amd64", name)
