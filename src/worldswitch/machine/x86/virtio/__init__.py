"""Virtio devices on PCI. ref: Virtual I/O Device (VIRTIO) Version 1.2."""
