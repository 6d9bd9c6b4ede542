"""The compiled twins of `flat` and `murmur2`, from `_flat.c`, if they are there and wanted.

They are in wheels that were built where there is a C compiler; PMSTREAM_PURE_PYTHON=1 leaves them
out.
"""

import os

try:
    from pmstream.runtime import _flat
except ImportError:  # built without a compiler, or a checkout that nobody installed
    TWINS = None
else:
    TWINS = None if os.environ.get("PMSTREAM_PURE_PYTHON") else _flat

IS_COMPILED = TWINS is not None
"""Whether they are at work."""
