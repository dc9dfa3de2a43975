"""The policy pack, as Pulumi's engine starts it: `pulumi preview --policy-pack policies`."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Serve the policies to the engine, until it ends this process."""
    # Python starts with this folder on its path; the package is found from the one above.
    sys.path[:] = [str(_ROOT), *(p for p in sys.path if Path(p).resolve() != _ROOT / "policies")]
    from pulumi_policy import PolicyPack

    from policies.pack import PACK_NAME, policies

    PolicyPack(PACK_NAME, policies(_ROOT))


if __name__ == "__main__":
    main()
