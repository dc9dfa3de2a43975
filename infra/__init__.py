"""Building blocks: one component a module; what a stack is made of is decided in `stacks`."""
