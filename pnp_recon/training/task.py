"""What a training task is: its settings, and how they become a network, data, a trainer, a model.

A task is a frozen dataclass of plain values, one object for each run; commands make an option of
each field. Loads no torch, nor do the modules of tasks: what their methods need is imported inside.
Knows neither run folders (`runs`) nor which tasks there are (`catalogue`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, get_type_hints

from pnp_recon.errors import InputError
from pnp_recon.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from pnp_recon.training.trainer import Trainer

Tick = Callable[[int, int], None]
# Fields that were given, laid out as in `run.json`: a part is a mapping of some of its own fields.
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Flag:
    """How a field is asked for, where the field does not say it.

    Attributes:
        words: help, in place of the words beside the field.
        names: what the option is called, in place of the field's name.
        default: in words, where it is not the field's own.
        switch: what --this/--that mean, where the field is no bool.
        level: a noise level on the [0, 1] scale, which may be typed as 25/255.
        asked: whether there is an option at all.
        said: what messages call the field where it has no option.
    """

    words: str = ""
    names: tuple[str, ...] = ()
    default: str = ""
    switch: tuple[Any, Any] | None = None
    level: bool = False
    asked: bool = True
    said: str = ""


# Not a matter for the command line.
HIDDEN = Flag(asked=False)


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """Everything that decides which weights come out of a run; one subclass for each task.

    Attributes:
        kind: name in the catalogue.
        identity: keys of `description` by which the same data are known again.
        flags: what commands have to know about fields, by "field" or "part.field". An entry for a
            part alone is for all its fields.
        saves_memory: whether its trainers can (`Trainer.save_memory`).
        name: what the model is called that the run makes.
        network: configuration of the network.
        recipe: how it is trained.
        data: the folder or file that is trained on, absolute.
        threads: number of torch's threads; sums depend on it in the last bits.
        description: what the data were at the start; resuming checks them against it.
        made_with: versions of the package, torch and Python at the start.
    """

    kind: ClassVar[str]
    identity: ClassVar[tuple[str, ...]]
    flags: ClassVar[Mapping[str, Flag]] = {
        "recipe.learning_rate": Flag(names=("--learning-rate", "--lr")),
        "recipe.optimiser": HIDDEN,
        "recipe.warmup": HIDDEN,
        "recipe.ema": HIDDEN,
        "description": HIDDEN,
        "made_with": HIDDEN,
    }
    saves_memory: ClassVar[bool] = False

    name: Annotated[str, "The model gets this name."]
    network: Any
    recipe: Recipe
    data: Annotated[Path, "Train on this folder or file. Needed to start, not to resume."]
    threads: Annotated[int, "Use this many CPU threads; exact resume needs the same number."]
    description: dict[str, Any]
    made_with: dict[str, str]

    @classmethod
    def parts(cls) -> dict[str, type]:
        """The fields that are dataclasses of their own, with their classes."""
        hints = get_type_hints(cls)
        return {f.name: hints[f.name] for f in fields(cls) if is_dataclass(hints[f.name])}

    @classmethod
    def of(cls, values: Given) -> Self:
        """Made from plain values, as in `run.json`; what a part leaves out is its default.

        Raises:
            InputError: a value that a part refuses.
            TypeError: a field that is not known, or one too few.
        """
        made = dict(values)
        for key, part in cls.parts().items():
            try:
                made[key] = part(**made.get(key, {}))
            except InputError:
                raise
            except ValueError as error:
                raise InputError(str(error)) from error
        return cls(**made)

    @classmethod
    def completed(cls, given: Given) -> Given:
        """Adds what follows from the given fields, such as the hash of a model's weights."""
        return given

    @classmethod
    @abstractmethod
    def defaults(cls, given: Given) -> Given:
        """What a new run takes in place of the defaults of the parts; the model's name in any case.

        Raises:
            InputError: something is missing without which no run can start.
        """

    @abstractmethod
    def build(self) -> nn.Module:
        """The network at its first step; the weights follow from the recipe's seed."""

    @abstractmethod
    def load(self, tick: Tick | None = None) -> Any:
        """Reads what is trained on: an object with a `description`."""

    @abstractmethod
    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> Trainer:
        """Ready to run, resumed where the folder holds a checkpoint."""

    @abstractmethod
    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        """Writes the averaged weights and their card; returns the card's path."""

    @abstractmethod
    def data_words(self) -> str:
        """What is trained and validated on, in a few words."""

    def loaded_again(self) -> Any:
        """`load`, for a run that has begun.

        Raises:
            InputError: the data are gone, or are not those that the run began with.
        """
        data = self.load()
        self.check_same(data.description)
        return data

    def check_same(self, found: Mapping[str, Any]) -> None:
        """Refuses (InputError) data other than those that the run began with."""
        differing = [key for key in self.identity if self.description.get(key) != found[key]]
        if differing:
            raise InputError(
                f"the {self.identity[0]} in {self.data} are not those that the run began with "
                f"(another {differing[0].replace('_', ' ')}); restore them or start anew in "
                "another folder"
            )

    def provenance(self, state: Mapping[str, Any], loss: str) -> dict[str, Any]:
        """What a model card says about the training so far."""
        return {
            "training": {
                "recipe": asdict(self.recipe),
                "seed": self.recipe.seed,
                "steps_done": state["step"],
                "seconds": round(float(state.get("seconds", 0.0)), 1),
                "loss": loss,
                "data": self.description,
            },
            "made_with": self.made_with,
        }
