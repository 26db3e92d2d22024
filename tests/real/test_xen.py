"""The unmodified Xen of Debian as a multiboot kernel: `--hypervisor none`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

Images = Callable[[str], Path]
SCRIPT = "echo '<2>DOMAIN-0' $(uname -sr) $(cat /sys/hypervisor/type) > /dev/kmsg"


@pytest.mark.real
def test_xen_finds_svm_and_runs_debian_as_its_first_domain(amd64_image: Images) -> None:
    line = f"console=hvc0 earlyprintk=xen,keep quiet ws.run={quote(SCRIPT)}"
    command = [sys.executable, "-m", "worldswitch", "run", str(amd64_image("xen"))]
    command += ["--append", "com1=115200,8n1 console=com1 dom0_mem=400M"]
    command += ["--module", f"{amd64_image('vmlinuz-6.1')} {line}"]
    command += ["--module", str(amd64_image("initramfs.cpio.gz")), "--hypervisor", "none"]
    result = subprocess.run(command, capture_output=True, timeout=900, check=False)
    text = result.stdout.decode(errors="replace")
    assert "(XEN) HVM: SVM enabled" in text, text + result.stderr.decode()
    assert "(XEN) HVM: Hardware Assisted Paging (HAP) detected" in text
    assert "DOMAIN-0 Linux 6.1." in text, text
    assert "amd64 xen" in text
    # The cloud kernel cannot switch the power off for Xen, which halts instead.
    assert "(XEN) Hardware Dom0 halted: halting machine" in text
    assert result.returncode == 3
    assert b"all processors wait" in result.stderr
