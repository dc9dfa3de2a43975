"""Runs a module of the uploaded code as a Databricks Python task: `root module arguments…`.

A task runs a file, not a module, and takes every SystemExit for a failure, `sys.exit(0)` included;
this file is that file. It is uploaded beside the packages and uses the standard library alone.
"""

import runpy
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str]) -> None:
    """Run the module `arguments[1]` of the code in the folder `arguments[0]` with the rest.

    Raises:
        RuntimeError: the module ended with a status other than 0.
    """
    root, module, *rest = arguments
    # The code's folder belongs to the deployment: no byte code may be left in it.
    sys.dont_write_bytecode = True
    sys.path.insert(0, root)
    sys.argv = [module, *rest]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        if end.code not in (None, 0):
            status = 1 if isinstance(end.code, str) else end.code
            raise RuntimeError(f"{module} ended with status {status}; see its output") from None


if __name__ == "__main__":
    main(sys.argv[1:])
