"""How long, how fast and how carefully to train."""

from typing import Literal, Self

from pydantic import Field, model_validator

from lmcore.settings import Section
from lmcore.training.hosts.addresses import Endpoint

Precision = Literal["float32", "bfloat16"]
Origin = Literal["scratch", "champion"]
# Settings that say how a model is made and change no bit of it: no part of any key.
HOW_IT_IS_RUN = frozenset(
    {"launcher", "timeout_seconds", "hosts", "rendezvous", "interface", "restarts"}
)


# Launchers that a setting means something to.
_NEEDS = {
    "processes": ("torchrun", "external"),
    "shard_weights": ("torchrun", "external"),
    "timeout_seconds": ("torchrun", "external"),
    "hosts": ("torchrun",),
    "rendezvous": ("torchrun",),
    "interface": ("torchrun", "external"),
    "restarts": ("torchrun",),
}


class TrainingConfig(Section):
    """How long, how fast and how carefully to train.

    Exactly one of `budget_seconds`, `max_steps`, `max_epochs` bounds the training.
    """

    seed: int = Field(
        0,
        ge=0,
        lt=1 << 32,
        description="Number that first weights, order of batches, dropout and canaries follow"
        " from; the same seed, text and machine give the same bits. Another one shows how much is"
        " chance.",
    )
    start: Origin = Field(
        "scratch",
        description="Weights to start from. champion: go on from those of the model in use, where"
        " that is sound; its tokenizer is kept and the learning rate stays at its peak for half of"
        " the steps. It saves time where text only grows.",
    )
    budget_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds of wall clock that the training may take, turned once by a timed"
        " probe into a recorded step count, so that it can be repeated exactly. 120 where no bound"
        " is given; longer is better until early stopping ends it.",
    )
    max_steps: int | None = Field(
        None,
        gt=0,
        description="Steps of the training, instead of `budget_seconds`: the same on every"
        " machine, whatever time that takes.",
    )
    max_epochs: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Times that the training text is read, instead of `budget_seconds`; 0.5 is"
        " half of it. The training grows with the text.",
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=1 << 16,
        description="Lanes that are read in parallel, each a stream of documents. Fewer where"
        " there is little text or memory; a model that exists has another default.",
    )
    sequence_length: int = Field(
        64,
        ge=2,
        le=1 << 16,
        description="Tokens of each lane in one step; gradients end there, the recurrent state"
        " goes on. A model that exists has another default, and `model.context` bounds it.",
    )
    learning_rate: float = Field(
        4e-3,
        gt=0,
        le=10.0,
        description="Peak of the schedule, which is warmed up and then falls to zero. `lmcore"
        " sweep` finds it for your text; larger models want a smaller one, and one that exists"
        " 0.001 or less.",
    )
    warmup_steps: int = Field(
        50,
        ge=0,
        description="Steps in which the learning rate rises to its peak, which spares fresh"
        " weights large steps; at most a tenth of all steps is used.",
    )
    weight_decay: float | None = Field(
        None,
        ge=0,
        le=10.0,
        description="How much each step draws matrices towards zero (AdamW), times the learning"
        " rate; null: chosen from steps and epochs, up to 1, and stronger where text is read"
        " often.",
    )
    gradient_clip: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="Largest norm of a step's gradient; a longer one is shortened, so that one odd"
        " batch cannot undo what was learnt.",
    )
    evaluations: int = Field(
        8,
        ge=1,
        description="Looks at the tune split during training, spread evenly; the best weights by"
        " them are kept. More find the best moment more exactly and take time.",
    )
    patience: int = Field(
        5, ge=1, description="Looks in a row without gain before the training stops early."
    )
    checkpoint_seconds: float = Field(
        15.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds between resume points, about: what a killed run loses at most. Raise"
        " it for large models, which take long to save.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers that a step computes in. auto: bfloat16 where a probe shows that it works and is
    clearly faster, else float32.
    """
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the training runs. auto: a CUDA device where there is one, else the CPU."""
    launcher: Literal["local", "torchrun", "external"] = Field(
        "local",
        description="How the training is started: local is in this process, torchrun in processes"
        " of its own, which `processes` asks for. external: this command waits for ranks that"
        " another launcher starts (Slurm, a TrainJob, torchrun), as docs/hosts.md shows.",
    )
    processes: int = Field(
        1,
        ge=1,
        le=1024,
        description="Processes that share the lanes, those of all hosts together, a CUDA device"
        " each where there are any; must divide `batch_size`, and more than one needs torchrun or"
        " external.",
    )
    shard_weights: bool = Field(
        False,
        description="Whether each process keeps a part only of weights, gradients and the"
        " optimizer's state (FSDP2), for a model with which they do not fit on one device. Steps"
        " take longer; docs/hosts.md says what is still whole.",
    )
    hosts: int = Field(
        1,
        ge=1,
        le=1024,
        description="Machines that torchrun's processes are spread over, equally. All of them share"
        " LMCORE_HOME at the same path; docs/hosts.md says how the others join.",
    )
    rendezvous: str | None = Field(
        None,
        description="Where several hosts meet: HOST:PORT of the first one, [ADDRESS]:PORT for IPv6."
        " The only port that is opened there, on that address alone. null: MASTER_ADDR and"
        " MASTER_PORT of the environment.",
    )
    interface: str | None = Field(
        None,
        min_length=1,
        max_length=15,
        description="Network interface that hosts talk through, as eth0; null: the one that leads"
        " to the rendezvous.",
    )
    restarts: int = Field(
        3,
        ge=0,
        le=1000,
        description="Times that the processes of several hosts are started again, from the newest"
        " resume point, after one of them failed.",
    )
    timeout_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which the processes of torchrun are ended, or external ones"
        " waited for no longer, as one that hangs would hold the others for ever; null: never.",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_budget(cls, data: object) -> object:
        bounds = ("budget_seconds", "max_steps", "max_epochs")
        if isinstance(data, dict) and not any(data.get(name) is not None for name in bounds):
            return {**data, "budget_seconds": 120.0}
        return data

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        bounds = ("budget_seconds", "max_steps", "max_epochs")
        given = [name for name in bounds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected only one of {', '.join(bounds)}; found {', '.join(given)}")
        return self

    @model_validator(mode="after")
    def _launchable(self) -> Self:
        for name, launchers in _NEEDS.items():
            value = getattr(self, name)
            changed = value != type(self).model_fields[name].default
            if changed and self.launcher not in launchers:
                wanted = " or ".join(launchers)
                raise ValueError(
                    f"{name}={value} needs training.launcher: {wanted}; found {self.launcher}"
                )
        if self.shard_weights and self.processes == 1:
            raise ValueError("shard_weights needs training.processes of 2 or more; found 1")
        if self.hosts == 1 and self.launcher == "torchrun":
            for name in ("rendezvous", "interface"):
                if (value := getattr(self, name)) is not None:
                    raise ValueError(f"{name}={value} needs training.hosts of 2 or more; found 1")
        if self.rendezvous is not None:
            Endpoint.parse(self.rendezvous)
        if self.processes % self.hosts:
            raise ValueError(
                f"processes={self.processes} cannot be spread equally over hosts={self.hosts};"
                " expected a multiple, as they are those of all hosts together"
            )
        if self.batch_size % self.processes:
            raise ValueError(
                f"batch_size={self.batch_size} cannot be shared equally by"
                f" processes={self.processes}; expected a multiple"
            )
        return self

    @property
    def processes_of_a_host(self) -> int:
        """Processes that this machine has a part of its own of, where torchrun spreads them."""
        return self.processes // self.hosts
