"""What the consistency checks of a VMCB need to know of the processor that would execute VMRUN."""

from dataclasses import dataclass

from worldswitch.arch.x86.models import MODELS, CpuModel


@dataclass(frozen=True, eq=False, slots=True)
class SvmHost:
    """The processor that would execute VMRUN.

    ``asids`` is the number of ASIDs, the host's included; ``paging`` says whether the host's CR0.PG
    is one at VMRUN.
    """

    features: frozenset[str]
    physical_bits: int
    asids: int
    cr4_mask: int
    efer_mask: int
    paging: bool = True

    def has(self, name: str) -> bool:
        """Whether the processor has a feature."""
        return name in self.features

    @property
    def physical_limit(self) -> int:
        """The first physical address that the processor does not support."""
        return 1 << self.physical_bits

    @classmethod
    def of(cls, model: CpuModel, *, paging: bool = True) -> "SvmHost":
        """A processor of a CPU model."""
        return cls(
            model.features,
            model.physical_bits,
            model.asids,
            model.cr4_mask,
            model.efer_mask,
            paging,
        )


# A host that has everything: for checking a block without knowing where it would run.
EVERYTHING = SvmHost.of(MODELS["max"])
