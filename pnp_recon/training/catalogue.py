"""The training tasks that there are. Loads no torch.

Commands and run folders derive from these entries; no code elsewhere compares a task's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnp_recon.registry import Entry, Registry


@dataclass(frozen=True)
class TaskEntry(Entry):
    """A task; its home is a class derived from `task.Task`, whose module loads no torch.

    Attributes:
        words: what the command of that name does, the first sentence in one line.
    """

    words: str


TASKS: Registry[TaskEntry] = Registry(
    "training task",
    [
        TaskEntry(
            "classifier",
            "pnp_recon.training.classifier.task:ClassifierTask",
            """
            Train a classifier of pictures with proven radii, and export it with its certificate.

            Within the radius of a picture no change of it, however made, changes the decision. The
            card states the proven constants and the share of pictures that are classified rightly
            within each radius. A run that was stopped goes on with `pnp-train classifier -o
            RUN_FOLDER`.
            """,
        ),
        TaskEntry(
            "denoiser",
            "pnp_recon.training.denoiser.task:DenoiserTask",
            """
            Train a denoiser on pictures with Gaussian noise, and export it with its certificate.

            The run folder holds run.json, checkpoint.pt, log.csv and sample sheets (clean, noisy,
            denoised). A run that was stopped or killed goes on with `pnp-train denoiser -o
            RUN_FOLDER`.
            """,
        ),
        TaskEntry(
            "dncnn",
            "pnp_recon.training.denoiser.dncnn:DnCNNTask",
            """
            Train DnCNN, a denoiser without any guarantee, as the counter-example of the benchmark.

            It gets the same pictures, loss and number of steps as a certified denoiser gets by
            default, and about the same time: it works at full resolution, so its patches are
            smaller.
            """,
        ),
        TaskEntry(
            "energy",
            "pnp_recon.training.energy.task:EnergyTask",
            """
            Train an energy of pictures, as a denoiser and where it restores pictures.

            First it learns to denoise; with --critical the last steps solve deblurring and
            inpainting problems to a critical point and differentiate there, with the Hessian of the
            energy. The weights of the best validation are kept apart and exported. A run that was
            stopped goes on with `pnp-train energy -o RUN_FOLDER`.
            """,
        ),
        TaskEntry(
            "fixed-point",
            "pnp_recon.training.fixed_point.task:FixedPointTask",
            """
            Train a certified denoiser on, at the fixed point of the iteration that it runs in.

            Deblurring and inpainting problems of all kinds and strengths are solved to the fixed
            point and differentiated there, along with plain denoising. The constant is built into
            the network and does not change. A run that was stopped goes on with `pnp-train
            fixed-point -o RUN_FOLDER`.
            """,
        ),
        TaskEntry(
            "patch-flow",
            "pnp_recon.training.patch_flow.task:PatchFlowTask",
            """
            Train an energy from few pictures: the density of their patches, a normalising flow.

            It learns the likelihood of all patches with noise of all levels. Six pictures and a
            quarter of an hour are enough. A run that was stopped goes on with `pnp-train patch-flow
            -o RUN_FOLDER`.
            """,
        ),
        TaskEntry(
            "unrolled",
            "pnp_recon.training.unrolled.task:UnrolledTask",
            """
            Train an unrolled network on simulated scans of CT slices, and export it.

            The run folder holds run.json, checkpoint.pt, log.csv and sample sheets (start,
            restored, truth, error). The noise of each slice is drawn once. A run that was stopped
            or killed goes on with `pnp-train unrolled -o RUN_FOLDER`.
            """,
        ),
    ],
)
