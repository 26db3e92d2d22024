"""The newc archive, read back field by field."""

import gzip

from initramfs import APPLETS, CpioEntry, initramfs, newc_archive


def members(archive: bytes) -> dict[str, tuple[list[int], bytes]]:
    """The archive's members by name: the thirteen header fields, and the data."""
    found: dict[str, tuple[list[int], bytes]] = {}
    offset = 0
    while True:
        assert archive[offset : offset + 6] == b"070701"
        header = archive[offset + 6 : offset + 110]
        fields = [int(header[at : at + 8], 16) for at in range(0, 104, 8)]
        name = archive[offset + 110 : offset + 110 + fields[11] - 1].decode()
        start = (offset + 110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = fields, archive[start : start + fields[6]]
        offset = (start + fields[6] + 3) & ~3


def test_archive_odd_lengths_keep_the_alignment() -> None:
    contents = {"a": b"1", "bc": b"22", "def": b"", "ghij": b"55555"}
    archive = newc_archive([CpioEntry(name, 0o100644, data) for name, data in contents.items()])
    assert {name: data for name, (_, data) in members(archive).items()} == contents
    assert len(archive) % 512 == 0


def test_initramfs_device_nodes_have_their_numbers() -> None:
    found = members(gzip.decompress(initramfs(b"busybox", b"#!", ["sh"])))
    console, _ = found["dev/console"]
    null, _ = found["dev/null"]
    assert (console[1], *console[9:11]) == (0o020600, 5, 1)
    assert (null[1], *null[9:11]) == (0o020666, 1, 3)


def test_initramfs_applets_are_links_to_busybox() -> None:
    applets = APPLETS.read_text().split()
    found = members(gzip.decompress(initramfs(b"busybox", b"#!", applets)))
    assert found["bin/poweroff"][0][1] == 0o120777
    assert {found[f"bin/{name}"][1] for name in applets} == {b"busybox"}


def test_initramfs_same_input_gives_the_same_bytes() -> None:
    assert initramfs(b"busybox", b"#!", ["sh"]) == initramfs(b"busybox", b"#!", ["sh"])
