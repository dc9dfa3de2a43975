"""The cluster's managed Gateway API, so that a `Gateway` object makes a load balancer and a proxy.

A component around a workaround (see `infra.lifecycle.gateway_addon`): who uses it need not change
when azure-native can say the same.
"""

from dataclasses import dataclass

import pulumi

from infra.lifecycle.gateway_addon import ManagedGateway, ManagedGatewayArgs

__all__ = ["GATEWAY_CLASS", "GatewayAddon", "GatewayAddonArgs"]

GATEWAY_CLASS = "approuting-istio"
"""The name that AKS gives the class: what a `Gateway` names as `gatewayClassName`."""


@dataclass(frozen=True, kw_only=True)
class GatewayAddonArgs:
    """Which cluster, by ARM id; and whether gateways take certificates from a Key Vault.

    The latter needs the cluster's own `key_vault_certificates` as well.
    """

    cluster_id: pulumi.Input[str]
    key_vault_certificates: bool = False


class GatewayAddon(pulumi.ComponentResource):
    """The add-on, switched on; depend on it with whatever is a `Gateway` or an `HTTPRoute`."""

    gateway_class: str

    def __init__(
        self, name: str, args: GatewayAddonArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:cluster:GatewayAddon", name, None, opts)
        ManagedGateway(
            f"{name}-managed",
            ManagedGatewayArgs(
                cluster_id=args.cluster_id, key_vault_certificates=args.key_vault_certificates
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.gateway_class = GATEWAY_CLASS
        self.register_outputs({"gateway_class": GATEWAY_CLASS})
