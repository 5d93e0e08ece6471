"""Compiles the CUDA sources with NVRTC and assembles the result with ptxas, which needs no GPU.

Fails if a source does not compile for an architecture, spills registers, or differs from its stored PTX.
"""

import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile

ARCHITECTURES = [75, 80, 86, 89, 90]
# The architecture of the stored PTX: the oldest one. Newer devices accept it.
STORED = 75


class Compiler:
    """NVRTC, through its C interface."""

    def __init__(self, library: pathlib.Path) -> None:
        self.nvrtc = ctypes.CDLL(str(library))

    def _call(self, name: str, *arguments: object) -> int:
        return getattr(self.nvrtc, name)(*arguments)

    def compile(self, source: pathlib.Path, architecture: int) -> str:
        """Returns the PTX of a source, or raises with the compiler's log."""
        program = ctypes.c_void_p()
        text = source.read_bytes()
        self._check(self._call("nvrtcCreateProgram", ctypes.byref(program), text, source.name.encode(), 0, None, None))
        # The options of kernels/src/cuda/program.rs.
        options = [f"--gpu-architecture=compute_{architecture}".encode(), b"--std=c++17"]
        result = self._call("nvrtcCompileProgram", program, len(options), (ctypes.c_char_p * len(options))(*options))
        log = self._text("nvrtcGetProgramLog", program).strip()
        if result != 0 or log:
            raise SystemExit(f"{source.name} for compute_{architecture}:\n{log}")
        return self._text("nvrtcGetPTX", program)

    def _text(self, name: str, program: ctypes.c_void_p) -> str:
        size = ctypes.c_size_t()
        self._check(self._call(f"{name}Size", program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        self._check(self._call(name, program, buffer))
        return buffer.value.decode()

    @staticmethod
    def _check(result: int) -> None:
        if result != 0:
            raise SystemExit(f"NVRTC failed with error {result}")


def assemble(ptxas: pathlib.Path, ptx: str, name: str, architecture: int) -> None:
    """Assembles PTX, and fails if a kernel needs more registers than there are."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / f"{name}.ptx"
        file.write_text(ptx)
        command = [ptxas, "--verbose", "--warning-as-error", f"--gpu-name=sm_{architecture}", "-o", f"{folder}/out", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{name} for sm_{architecture}:\n{done.stderr}")
    spills = [line.strip() for line in done.stderr.splitlines() if "spill" in line]
    if not spills or any("0 bytes spill stores, 0 bytes spill loads" not in line for line in spills):
        raise SystemExit(f"{name} for sm_{architecture} spills registers: {spills}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=pathlib.Path, required=True)
    parser.add_argument("--sources", type=pathlib.Path, required=True)
    parser.add_argument("--write", action="store_true", help="renew the stored PTX")
    arguments = parser.parse_args()
    compiler = Compiler(arguments.packages / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
    ptxas = arguments.packages / "nvidia/cuda_nvcc/bin/ptxas"
    ptxas.chmod(0o755)
    sources = sorted(arguments.sources.glob("*.cu"))
    if len(sources) != 3:
        raise SystemExit(f"three sources were expected, {len(sources)} were found")
    for source in sources:
        for architecture in ARCHITECTURES:
            ptx = compiler.compile(source, architecture)
            assemble(ptxas, ptx, source.stem, architecture)
            stored = arguments.sources / "ptx" / f"{source.stem}.ptx"
            if architecture == STORED and arguments.write:
                stored.write_text(ptx)
            elif architecture == STORED and stored.read_text() != ptx:
                raise SystemExit(f"{stored} is not what {source.name} gives: run tests/kernels/run --write")
    names = ", ".join(f"sm_{architecture}" for architecture in ARCHITECTURES)
    print(f"kernels: {len(sources)} sources compile and assemble for {names}; the stored PTX is theirs")


if __name__ == "__main__":
    sys.exit(main())
