"""The one place that says how kernels are compiled, and where their machine code is kept.

Kernels are serial and release the GIL; parallelism comes from running many of them (cluster).
Every kernel has explicit signatures, so it accepts read-only Arrow and Ray buffers, and never
meets a second specialisation.

A kernel is compiled by numba when it is first called, and its machine code kept in a folder of the
cache. Later processes take it from there and load neither numba nor its type system, which would
cost more time than all kernels of a small command: LLVM's linker alone is enough. The folder's name
is a digest of all kernel files, the compiler's versions and the processor, so any change leads to
a fresh folder; numba's own cache watches only the file of the cached function, and after a change
in a callee in another file it would go on with the old code.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any, Final, TypeVar, cast

from grouper.cachedir import cache_root, source_digest, writable_folder
from grouper.kernels.arguments import Signature, void

F = TypeVar("F", bound=Callable[..., Any])

KERNEL_FILES = Path(__file__).parent
_DIGEST_BYTES: Final = 32
_OK: Final = (0, -2)
"""What machine code returns where nothing was raised (numba's calling convention)."""


class MachineCodeError(RuntimeError):
    """A kernel cannot be compiled to machine code that stands alone, or failed."""


@functools.cache
def cache_folder() -> Path:
    """The folder of this engine's machine code on this machine; made where it is missing."""
    import llvmlite

    digest = source_digest([*KERNEL_FILES.glob("*.py"), _compiler_version()])
    cpu, features = _processor()
    python = f"py{platform.python_version_tuple()[0]}{platform.python_version_tuple()[1]}"
    features = hashlib.sha256(features.encode()).hexdigest()[:8]
    name = f"{digest}-llvmlite{llvmlite.__version__}-{cpu}-{features}-{python}"
    return writable_folder(cache_root() / "kernels" / name)


def _compiler_version() -> Path:
    """The file in which numba states its version; importing it would import all of numba."""
    found = find_spec("numba")
    if found is None or found.origin is None:
        raise MachineCodeError("numba is not installed")
    return Path(found.origin).with_name("_version.py")


@functools.cache
def _processor() -> tuple[str, str]:
    """Name and features of the processor.

    `NUMBA_CPU_NAME` names another one; it then has the features of its name alone, wherever the
    code is compiled, unless `NUMBA_CPU_FEATURES` says more.
    """
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME")
    if not name:
        return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    # numba would take those of this machine.
    return name, os.environ.setdefault("NUMBA_CPU_FEATURES", "")


class _Linker:
    """Puts machine code into this process."""

    def __init__(self) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        cpu, features = _processor()
        self._llvm = llvm
        self._target = functools.partial(
            llvm.Target.from_default_triple().create_target_machine,
            *(cpu, features, 3),
            reloc="static" if platform.machine().lower() in ("x86_64", "amd64") else "default",
            codemodel="jitdefault",
            jit=True,
        )
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self._target())

    def link(self, code: bytes, symbol: str) -> int:
        """The address of a function of an object file."""
        self._engine.add_object_file(self._llvm.object_file.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        return int(self._engine.get_function_address(symbol))

    def alone(self, assembly: str, function: str, symbol: str) -> bytes:
        """An object file of one function of a module, and of what it needs of the others.

        Raises:
            MachineCodeError: it calls what is not in the module, as one does that allocates.
        """
        llvm, target = self._llvm, self._target()
        module = llvm.parse_assembly(assembly)
        for one in (*module.functions, *module.global_variables):
            if not one.is_declaration and one.name != function:
                one.linkage = "internal"
        passes = llvm.create_new_module_pass_manager()
        passes.add_global_dead_code_eliminate_pass()
        passes.add_strip_dead_prototype_pass()
        passes.run(module, llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options()))
        names = (*module.functions, *module.global_variables)
        missing = [one.name for one in names if one.is_declaration]
        if missing := [name for name in missing if not name.startswith("llvm.")]:
            raise MachineCodeError(f"{symbol} calls {', '.join(missing)}")
        module.get_function(function).name = symbol
        return cast(bytes, target.emit_object(module))


_linking = threading.RLock()


@functools.cache
def _linker() -> _Linker:
    return _Linker()


class _Variant:
    """The machine code of a kernel for one signature."""

    def __init__(self, signature: Signature, address: int) -> None:
        self.signature = signature
        slots = [slot for one in signature.takes for slot in one.slots]
        pointers = (ctypes.c_void_p, ctypes.c_void_p)  # of the answer, and of an exception
        self._call = ctypes.CFUNCTYPE(ctypes.c_int32, *pointers, *slots)(address)
        self._answer = ctypes.c_void_p if signature.gives == void else signature.gives.slots[0]

    def passed(self, values: Sequence[Any]) -> list[Any] | None:
        """The values as the machine code takes them; None where one has another type."""
        passed: list[Any] = []
        pairs = zip(self.signature.takes, values, strict=True)
        return passed if all(one.pass_on(value, passed) for one, value in pairs) else None

    def run(self, passed: list[Any]) -> Any:
        """What the kernel gives."""
        answer, raised = self._answer(), ctypes.c_void_p()
        status = self._call(ctypes.byref(answer), ctypes.byref(raised), *passed)
        if status not in _OK:
            raise MachineCodeError(f"a kernel ended with {status}")
        return answer.value


class Kernel:
    """A compiled function. It is loaded, and compiled where need be, when it is first called."""

    every: Final[list[Kernel]] = []

    def __init__(self, function: Callable[..., Any], signatures: Sequence[Signature]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._signatures = signatures
        self._variants: list[_Variant] = []
        self.every.append(self)

    def load(self) -> None:
        """Load the machine code.

        Processes that start together take turns: the first compiles, the others load.
        """
        with _linking:
            if not self._variants:
                linker = _linker()
                self._variants = [
                    _Variant(signature, linker.link(self._code(number), self._symbol(number)))
                    for number, signature in enumerate(self._signatures)
                ]

    def __call__(self, *values: Any) -> Any:
        """What the kernel gives.

        Raises:
            TypeError: a value is not of the type that the signature says.
        """
        if not self._variants:
            self.load()
        for variant in self._variants:
            passed = variant.passed(values)
            if passed is not None:
                return variant.run(passed)
        told = ", ".join(getattr(v, "dtype", type(v)).__str__() for v in values)
        raise TypeError(f"{self._symbol(0)} does not take ({told}), or not arrays laid out so")

    def _symbol(self, number: int) -> str:
        return f"{self._function.__module__}.{self._function.__name__}.{number}"

    def _code(self, number: int) -> bytes:
        """The object file of a signature, from the cache or made now."""
        file = cache_folder() / f"{self._symbol(number)}.o"
        code = _kept(file)
        if code is None:
            from filelock import FileLock

            with FileLock(file.with_suffix(".lock")):
                code = _kept(file)
                if code is None:
                    code = self._compiled(number)
                    fresh = file.with_suffix(".new")
                    fresh.write_bytes(hashlib.sha256(code).digest() + code)
                    fresh.replace(file)
        return code

    def _compiled(self, number: int) -> bytes:
        import numba

        signature = self._signatures[number].numba()
        function = _seen_by_numba(self._function)
        made = numba.njit([signature], nogil=True, error_model="numpy")(function)
        (compiled,) = made.overloads.values()
        name = compiled.fndesc.llvm_func_name
        return _linker().alone(compiled.library.get_llvm_str(), name, self._symbol(number))


def _kept(file: Path) -> bytes | None:
    """An object file as it was written; None where it is missing or damaged."""
    try:
        kept = file.read_bytes()
    except OSError:
        return None
    code = kept[_DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == kept[:_DIGEST_BYTES] else None


def kernel(*signatures: Signature) -> Callable[[F], F]:
    """A function that is compiled for exactly these signatures."""

    def made(function: F) -> F:
        return cast(F, Kernel(function, signatures))

    return made


_parts: Final[dict[Callable[..., Any], str]] = {}
"""What kernels call, and how it is given to numba."""


def inlined(function: F) -> F:
    """A small function that kernels call; it is compiled as a part of each of them."""
    _parts[function] = "inlined"
    return function


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that writes LLVM's instructions itself (`numba.extending.intrinsic`)."""
    _parts[function] = "intrinsic"
    return function


def _seen_by_numba(function: Any) -> FunctionType:
    """The function with its parts as numba takes them."""
    called = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    parts = {n: _part(f) for n, f in called.items() if isinstance(f, FunctionType) and f in _parts}
    return FunctionType(function.__code__, function.__globals__ | parts, function.__name__)


@functools.cache
def _part(function: FunctionType) -> Any:
    import numba
    from numba.extending import intrinsic as as_intrinsic

    if _parts[function] == "intrinsic":
        return as_intrinsic(function)
    options = {"nogil": True, "error_model": "numpy", "forceinline": True}
    return numba.njit(**options)(_seen_by_numba(function))
