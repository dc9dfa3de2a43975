"""A stand-in for `python -m app`: it can misbehave in the ways that the real API cannot be made to.

It is copied as the package `app` into the temporary project of a test.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    control = sys.argv[sys.argv.index("--control") + 1]
    mode = os.environ.get("MODE", "")
    print(f"started as {mode or 'good'}", flush=True)  # noqa: T201 - the line that errors quote
    Path(control).with_suffix(".env").write_text(json.dumps(dict(os.environ)))
    if mode == "dies":
        sys.exit(3)
    if mode == "mute":
        signal.pause()
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        Path(control).unlink(missing_ok=True)
        server.bind(control)
        server.listen()
        public: str | None = None
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rw") as lines:
                command: dict[str, Any] = json.loads(lines.readline())
                with Path(control).with_suffix(".log").open("a") as log:
                    log.write(json.dumps(command) + "\n")
                answer: dict[str, Any] = {"ok": True, "ready": mode != "never"}
                match command["command"]:
                    case "publish" if mode == "taken":
                        answer = {"ok": False, "error": "address_in_use"}
                    case "publish" if mode == "confused":
                        answer = {"ok": False, "error": "other", "message": "no such descriptor"}
                    case "publish":
                        public = f"{command['host']}:{command['port']}"
                    case "retire":
                        public = None
                    case _:
                        pass
                answer |= {"pid": os.getpid(), "public": public, "connections": 0}
                answer |= {"private_url": "http://127.0.0.1:1"}
                lines.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
