"""Routes to a false certificate through the parts of a network, and through how it is called."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import Tensor, nn

from laws.adversary.judge import Rig, Route
from laws.networks import Steep
from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.denoiser import Denoiser

FACTOR = 1.5


def block(rig: Rig, index: int = 0) -> FlowBlock:
    return rig.prior.function.flow_blocks()[index]


# ---- parts --------------------------------------------------------------------------------------


def other_activation(rig: Rig) -> None:
    block(rig).activation = Steep()


def activation_of_torch(rig: Rig) -> None:
    steep = nn.LeakyReLU(3.0)
    steep.group_size = 1  # type: ignore[assignment]
    block(rig).activation = steep


def lifting_scaled(rig: Rig) -> None:
    for name, tensor in rig.prior.function.lifting.named_buffers():
        assert name.endswith("matrix")
        tensor.mul_(FACTOR)


def foreign_block(rig: Rig) -> None:
    class Amplifier(nn.Module):
        def forward(self, z: Tensor, sigma: Tensor) -> Tensor:
            return FACTOR * z

    rig.prior.function.blocks.append(Amplifier())


def block_of_a_subclass(rig: Rig) -> None:
    class Faster(FlowBlock):
        def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
            return FACTOR * super().forward(x, sigma)

    block(rig).__class__ = Faster


# ---- calls --------------------------------------------------------------------------------------


def hook(module: nn.Module) -> object:
    return module.register_forward_hook(lambda _, given, found: FACTOR * found)


def hook_on_a_block(rig: Rig) -> None:
    hook(block(rig))


def hook_on_the_network(rig: Rig) -> None:
    hook(rig.prior.function)


def hook_on_the_denoiser(rig: Rig) -> None:
    hook(rig.prior)


def hook_before(rig: Rig) -> None:
    rig.prior.function.register_forward_pre_hook(lambda _, given: (FACTOR * given[0], given[1]))


def hook_on_everything(rig: Rig) -> None:
    def amplify(module: nn.Module, given: object, found: Tensor) -> Tensor | None:
        return FACTOR * found if isinstance(module, EulerNet) else None

    handle = nn.modules.module.register_module_forward_hook(amplify)
    rig.around.callback(handle.remove)


def amplified(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *given: FACTOR * method(*given)


def replaced(part: Callable[[Rig], nn.Module], name: str) -> Callable[[Rig], None]:
    """The instance gets a method of its own."""

    def spoil(rig: Rig) -> None:
        module = part(rig)
        setattr(module, name, amplified(getattr(module, name)))

    return spoil


def compiled_in_place(rig: Rig) -> None:
    rig.prior.function._compiled_call_impl = amplified(rig.prior.function._call_impl)


def subclass(rig: Rig, module: str = "") -> None:
    """A denoiser of a class of one's own; as a notebook's, or with the name of the original."""

    class EulerNet(type(rig.prior.function)):  # type: ignore[misc]
        def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
            return FACTOR * super().forward(x, sigma)

    if module:
        EulerNet.__module__ = module
    rig.prior.function.__class__ = EulerNet


def subclass_with_a_borrowed_name(rig: Rig) -> None:
    """What `functools.wraps` does to a class."""

    class Stronger(EulerNet):
        def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
            return FACTOR * super().forward(x, sigma)

    functools.update_wrapper(Stronger, EulerNet, updated=())
    rig.prior.function.__class__ = Stronger


def denoiser_with_a_borrowed_name(rig: Rig) -> None:
    class Stronger(Denoiser):
        def forward(self, x: Tensor, sigma: float | Tensor = 0.1) -> Tensor:
            return FACTOR * super().forward(x, sigma)

    functools.update_wrapper(Stronger, Denoiser, updated=())
    rig.prior.__class__ = Stronger


def class_patched(rig: Rig) -> None:
    original = EulerNet.forward
    EulerNet.forward = amplified(original)  # type: ignore[method-assign]
    rig.around.callback(setattr, EulerNet, "forward", original)


ROUTES = [
    Route("another activation", other_activation),
    Route("an activation of torch", activation_of_torch),
    Route("a lifting that is no isometry", lifting_scaled),
    Route("a block of one's own", foreign_block),
    Route("a block of a subclass", block_of_a_subclass),
    Route("a hook on a block", hook_on_a_block),
    Route("a hook on the network", hook_on_the_network),
    Route("a hook on the denoiser", hook_on_the_denoiser),
    Route("a hook before the network", hook_before),
    Route("a hook on every module", hook_on_everything),
    Route("forward of a block", replaced(block, "forward")),
    Route("forward of the network", replaced(lambda rig: rig.prior.function, "forward")),
    Route("a part of forward", replaced(lambda rig: rig.prior.function, "_centred")),
    Route("forward of the denoiser", replaced(lambda rig: rig.prior, "forward")),
    Route("a part of the denoiser", replaced(lambda rig: rig.prior, "_denoised")),
    Route("a part of a part of the denoiser", replaced(lambda rig: rig.prior, "_in_tiles")),
    Route("compiled in place", compiled_in_place),
    Route("a subclass", subclass),
    Route("a subclass from a notebook", lambda rig: subclass(rig, "__main__")),
    Route("a subclass with a borrowed name", subclass_with_a_borrowed_name),
    Route("a denoiser with a borrowed name", denoiser_with_a_borrowed_name, "constant"),
    Route("a class patched", class_patched),
]
