"""`python -m tests.supply sbom [FILE]` or `audit`, as `just` calls them."""

import sys
from pathlib import Path

from tests.deployment.tools import ROOT
from tests.supply import audit, sbom

USAGE = 2


def main(arguments: list[str]) -> int:
    """Runs one of them; answers the exit code."""
    match arguments:
        case ["sbom", *where] if len(where) < 2:
            path = Path(where[0]) if where else ROOT / "dist" / "pmstream.cdx.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(sbom.made())
            print(f"{path}: {len(sbom.parts(path.read_text()))} parts")
            return 0
        case ["audit", *locks]:
            code, told = audit.audited([Path(each) for each in locks] or audit.LOCKS)
            print("\n".join(told))
            return code
    print("python -m tests.supply sbom [FILE] | audit [LOCK...]", file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
