"""The Pulumi program: the composition of the selected stack, nothing else."""

import stacks

stacks.deploy()
