"""Build and load native code.

    image = build("s390x", [Unit("general", emit), ...], shared=[hook, ...], sources=[...])
    image.address("s390x:run")

A unit is a name and a function that fills an LLVM module. Never-inlined typed functions are
compiled once, in a unit of their own, however many units call them. Objects are cached on disk
under a key of the sources, the llvmlite version and the host's processor; a damaged or partial
entry is built anew.
"""

import ctypes
import gc
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from worldswitch.engine.function import Typed

Progress = Callable[[str, int, int], None]
"""Called with the name of the unit that is done, how many are, and how many there are."""


@dataclass(frozen=True)
class Unit:
    """A part of an image. `emit(module)` adds handlers and functions to a `lower.Module`."""

    name: str
    emit: Callable[[Any], None]


class Image:
    """Loaded native code; symbols are looked up by name."""

    def __init__(self, engine: Any, keep: list[Any]) -> None:
        self._engine = engine
        self._keep = keep

    def address(self, symbol: str) -> int:
        """Host address of an exported symbol; KeyError if there is none."""
        found = self._engine.get_function_address(symbol)
        if not found:
            raise KeyError(symbol)
        return found

    def callable(self, symbol: str, result: Any, *args: Any) -> Callable[..., Any]:
        """A ctypes function for an exported symbol. It releases the GIL while it runs."""
        function = ctypes.CFUNCTYPE(result, *args)(self.address(symbol))
        function.image = self  # the code lives as long as something can call it
        return function


def cache_root() -> Path:
    """Where native code is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "worldswitch" / "native"


def initialize() -> None:
    """Prepare LLVM for the host. Repeating it does nothing."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # The intrinsics on bytes become calls of these, which the loader does not find by itself.
    process = ctypes.CDLL(None)
    for name in ("memcpy", "memmove", "memset", "memcmp", "bcmp"):
        llvm.add_symbol(name, ctypes.cast(getattr(process, name), ctypes.c_void_p).value)


def host_architecture() -> str:
    """The first part of the host's triple, such as x86_64."""
    return llvm.get_default_triple().partition("-")[0]


def target_machine() -> Any:
    """LLVM's model of the host, with all its features."""
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        reloc="static",
        codemodel="large",  # objects may lie anywhere: calls carry whole addresses
    )


def optimise(text: str, machine: Any) -> Any:
    """Parse, verify and optimise a module's text."""
    module = llvm.parse_assembly(text)
    module.triple = llvm.get_default_triple()
    module.data_layout = str(machine.target_data)
    module.verify()
    tuning = llvm.PipelineTuningOptions(speed_level=2)
    tuning.loop_vectorization = False
    tuning.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return module


def compile_unit(unit: Unit, defined: frozenset[str]) -> bytes:
    """Object code of a unit; shared functions stay external and have to be among `defined`."""
    from worldswitch.engine.lower import Module

    initialize()
    module = Module(unit.name, define_shared=False, architecture=host_architecture())
    unit.emit(module)
    module.finish()
    missing = [f.symbol for f in module.shared if f.symbol not in defined]
    if missing:
        raise LookupError(f"unit {unit.name} calls functions that no unit defines: {missing}")
    machine = target_machine()
    return machine.emit_object(optimise(str(module.ir), machine))


def compile_shared(name: str, roots: Sequence[Typed[Any, Any]]) -> bytes:
    """Object code of all never-inlined functions that `roots` reach, themselves included."""
    from worldswitch.engine.lower import Module

    initialize()
    module = Module(name, define_shared=True, architecture=host_architecture())
    for root in roots:
        module.function(root).linkage = "external"
        module.define_gate(root)
    module.finish()
    machine = target_machine()
    return machine.emit_object(optimise(str(module.ir), machine))


def compile_function(function: Typed[Any, Any], image: Image) -> Image:
    """Compile one function `(u64) -> u64` that is not part of an image; its symbol is its own.

    It may call the never-inlined functions of `image`. Nothing is cached: it takes milliseconds.
    """
    from worldswitch.engine.lower import Module, gate

    initialize()
    module = Module(function.symbol, define_shared=False, architecture=host_architecture())
    module.function(function).linkage = "external"
    module.finish()
    for shared in module.shared:
        llvm.add_symbol(gate(shared), image.address(gate(shared)))
    machine = target_machine()
    loaded = llvm.ObjectFileRef.from_data(machine.emit_object(optimise(str(module.ir), machine)))
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    engine.add_object_file(loaded)
    engine.finalize_object()
    return Image(engine, [loaded, image])


_units: list[Unit] = []
_shared: list[Typed[Any, Any]] = []


def _compile_by_index(index: int) -> bytes:
    """Runs in a worker process, which has inherited the list of units."""
    if index < 0:
        return compile_shared("shared", _shared)
    return compile_unit(_units[index], frozenset(f.symbol for f in _shared))


def build(
    name: str,
    units: Sequence[Unit],
    shared: Sequence[Typed[Any, Any]],
    sources: Sequence[Path],
    progress: Progress | None = None,
) -> Image:
    """Build or load the image `name`.

    units: what to compile. shared: the never-inlined functions that any unit calls.
    sources: files or directories whose content decides whether the cache still holds.
    """
    initialize()
    folder = cache_root() / f"{name}-{_key(sources)}"
    names = ["shared", *[u.name for u in units]]
    codes = _load(folder, names)
    if codes is None:
        codes = _compile(units, shared, progress)
        _store(folder, names, codes)
    machine = target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    objects = [llvm.ObjectFileRef.from_data(code) for code in codes]
    for loaded in objects:
        engine.add_object_file(loaded)
    engine.finalize_object()
    return Image(engine, [codes, objects])


def _compile(
    units: Sequence[Unit], shared: Sequence[Typed[Any, Any]], progress: Progress | None
) -> list[bytes]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    _units[:] = units
    _shared[:] = shared
    order = [-1, *range(len(units))]
    codes: dict[int, bytes] = {}
    workers = min(os.cpu_count() or 1, len(order))
    context = multiprocessing.get_context("fork")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, initializer=gc.freeze) as pool:
        futures = {pool.submit(_compile_by_index, i): i for i in order}
        try:
            for future in as_completed(futures):
                index = futures[future]
                codes[index] = future.result()
                if progress is not None:
                    progress("shared" if index < 0 else units[index].name, len(codes), len(order))
        except BaseException:  # Ctrl-C above all: nobody waits for what the workers are at
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise
    return [codes[i] for i in order]


def _key(sources: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    digest.update(llvmlite.__version__.encode())
    digest.update(llvm.get_host_cpu_name().encode())
    digest.update(llvm.get_host_cpu_features().flatten().encode())
    for source in [Path(__file__).parent, *sources]:
        files = sorted(source.rglob("*.py")) if source.is_dir() else [source]
        for file in files:
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:24]


def _load(folder: Path, names: Sequence[str]) -> list[bytes] | None:
    codes: list[bytes] = []
    for name in names:
        try:
            data = (folder / f"{name}.o").read_bytes()
            digest = (folder / f"{name}.sha256").read_text()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != digest:
            return None
        codes.append(data)
    return codes


def _store(folder: Path, names: Sequence[str], codes: Sequence[bytes]) -> None:
    """Write the objects beside and move them into place; a cache that cannot be written is none."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            for name, code in zip(names, codes, strict=True):
                (made / f"{name}.o").write_bytes(code)
                (made / f"{name}.sha256").write_text(hashlib.sha256(code).hexdigest())
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    except OSError:
        return
