"""Compiles the C twin of pmstream/runtime/flat.py into a wheel, where there is a C compiler.

Without one, or with PMSTREAM_PURE_PYTHON=1, the wheel is pure Python and does the same, slower.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("pmstream", "runtime", "_flat.c")
LIBRARY = SOURCE.with_suffix(sysconfig.get_config_var("EXT_SUFFIX") or ".so")
PURE = "PMSTREAM_PURE_PYTHON"


class CompileHook(BuildHookInterface[Any]):
    """Called by hatchling for each build."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Puts the library beside its source (editable install), or into the wheel."""
        if self.target_name != "wheel" or os.environ.get(PURE):
            return
        root, is_editable = Path(self.root), version == "editable"
        folder = root / LIBRARY.parent
        if not is_editable:
            self._made = tempfile.TemporaryDirectory()  # gone with this hook, after the build
            folder = Path(self._made.name)
        fault = compile_into(folder, root / SOURCE)
        if fault:
            self.app.display_warning(f"without the compiled codec, which is quicker: {fault}")
            return
        build_data["pure_python"], build_data["infer_tag"] = False, True
        if not is_editable:
            build_data["force_include"][str(folder / LIBRARY.name)] = str(LIBRARY)


def compile_into(folder: Path, source: Path, *more: str) -> str:
    """Compiles the source for this Python; answers why that could not be, or "".

    Args:
        folder: where the library goes, at once and whole: another process may have the old one.
        source: the C file.
        more: flags of the compiler.
    """
    include = sysconfig.get_paths()["include"]
    with tempfile.TemporaryDirectory(dir=folder) as made:
        library = Path(made, LIBRARY.name)
        command = [
            *shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared"),
            *("-O2", "-fPIC", "-Wall", "-Wextra", *more),
            *(f"-I{include}", str(source), "-o", str(library)),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{command[0]} cannot be run: {error.strerror}"
        if done.returncode:
            return f"{command[0]} refused {source.name}:\n{done.stderr.strip()[-2000:]}"
        library.replace(folder / LIBRARY.name)
    return ""


if __name__ == "__main__":
    sys.exit(compile_into(LIBRARY.parent, SOURCE))
