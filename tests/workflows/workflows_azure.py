"""An Azure that remembers: the few commands that bootstrap/bootstrap.sh uses, over one JSON file.

Written from the Azure CLI's reference; what it refuses, the real one refuses too. A principal is
known to role assignments only at the second try, as a new one is in Entra ID.
"""

import json
import sys
from pathlib import Path
from typing import Any

GROUP = "/subscriptions/sub/resourceGroups/"


def answer(arguments: list[str], world: dict[str, Any]) -> str:
    """Carry out one command; return what it prints, or exit as the CLI does."""
    options = {
        key: value
        for key, value in zip(arguments, [*arguments[1:], ""], strict=True)
        if key.startswith("--")
    }
    words: list[str] = []
    for argument in arguments:
        if argument.startswith("--"):
            break
        words.append(argument)
    name = options.get("--name", "")
    match words:
        case ["account", "show"]:
            return "sub\nten\nuser\n"
        case ["provider", "show"]:
            known = options["--namespace"] in world["providers"]
            return "Registered\n" if known else "NotRegistered\n"
        case ["provider", "register"]:
            world["providers"].append(options["--namespace"])
        case ["ad", "signed-in-user", "show"]:
            return "me\n"
        case ["ad", *rest]:
            return _entra(rest, options, world)
        case ["role", "assignment", verb]:
            return _roles(verb, options, world)
        case ["storage", "account", "blob-service-properties", "show"]:
            return "True\n30\n" if world.get("versioning") else "None\nNone\n"
        case ["storage", "account", "blob-service-properties", "update"]:
            world["versioning"] = True
        case ["rest"]:
            return _key(options, world)
        case [*kind, "show"]:
            if f"{' '.join(kind)} {name}" not in world["resources"]:
                sys.exit(3)
        case [*kind, "create"]:
            resource = f"{' '.join(kind)} {name}"
            if resource in world["resources"]:
                sys.exit(1)
            world["resources"].append(resource)
        case _:
            sys.exit(2)
    return ""


def _entra(words: list[str], options: dict[str, str], world: dict[str, Any]) -> str:
    apps: dict[str, Any] = world["apps"]
    match words:
        case ["app", "list"]:
            wanted = options["--filter"].split("'")[1]
            return "".join(f"app-{name}\n" for name in apps if name == wanted)
        case ["app", "create"]:
            apps[options["--display-name"]] = {"credentials": {}, "principal": False}
        case ["sp", "list"]:
            name = options["--filter"].split("'")[1].removeprefix("app-")
            return f"principal-{name}\n" if apps[name]["principal"] else ""
        case ["sp", "create"]:
            apps[options["--id"].removeprefix("app-")]["principal"] = True
        case ["app", "federated-credential", verb]:
            app = apps[options["--id"].removeprefix("app-")]["credentials"]
            if verb == "list":
                wanted = options["--query"].split("'")[1]
                return f"{app[wanted]}\n" if wanted in app else ""
            parameters = json.loads(options["--parameters"])
            if (verb == "create") == (parameters["name"] in app):
                sys.exit(1)
            app[parameters["name"]] = parameters["subject"]
        case _:
            sys.exit(2)
    return ""


def _roles(verb: str, options: dict[str, str], world: dict[str, Any]) -> str:
    principal = options.get("--assignee") or options["--assignee-object-id"]
    given = [principal, options["--role"], options["--scope"]]
    if verb == "list":
        return f"{int(given in world['roles'])}\n"
    if principal not in world["replicated"]:
        world["replicated"].append(principal)
        Path(world["file"]).write_text(json.dumps(world))
        sys.exit(1)
    if given in world["roles"]:
        sys.exit(1)
    world["roles"].append(given)
    return ""


def _key(options: dict[str, str], world: dict[str, Any]) -> str:
    if options["--method"] == "put":
        world["keys"].append([options["--url"], json.loads(options["--body"])])
    elif options["--url"] not in [url for url, _ in world["keys"]]:
        sys.exit(3)
    return ""


def carry_out(file: Path, arguments: list[str]) -> str:
    """Answer one call of `az`, in the world that the file holds."""
    world = json.loads(file.read_text())
    printed = answer(arguments, world)
    file.write_text(json.dumps(world))
    return printed
