"""More dynamic resources for tests: each has one peculiarity."""

from typing import Any

import pulumi
from engine_world import ThingProvider
from pulumi.dynamic import ConfigureRequest, CreateResult, Resource, UpdateResult


class ConfiguredProvider(ThingProvider):
    """Uses the project's config, as a provider does that needs a credential."""

    def configure(self, req: ConfigureRequest) -> None:
        self.greeting = req.config.require("greeting")

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_="c", outs={**props, "made": f"configured with {self.greeting}"})


class ForgetfulProvider(ThingProvider):
    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs=news)


class Configured(Resource, module="tests", name="Configured"):
    made: pulumi.Output[str]

    def __init__(self, name: str, world: str) -> None:
        super().__init__(ConfiguredProvider(), name, {"name": name, "world": world, "made": None})


class Forgetful(Resource, module="tests", name="Forgetful"):
    made: pulumi.Output[str]

    def __init__(self, name: str, world: str, value: str) -> None:
        props = {"name": name, "world": world, "value": value, "made": None}
        super().__init__(ForgetfulProvider(), name, props)
