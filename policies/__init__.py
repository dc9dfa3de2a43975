"""What no stack may do: rules over resources, as pure functions, and a Pulumi policy pack of them.

`violations` is for whoever has the resources of a preview at hand; `pulumi preview --policy-pack
policies` runs the same rules. Neither changes anything.
"""

from policies.declared import Resource
from policies.rule import Violation
from policies.rules import RULES, violations
from policies.stack_config import StackConfig

__all__ = ["RULES", "Resource", "StackConfig", "Violation", "violations"]
