"""Settings of the whole studio: where files live, address, limits. Each is a command-line option and a STUDIO_* variable."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from studio.errors import Invalid
from studio.wrong_values import what_is_wrong

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class StudioSettings(BaseSettings):
    """Train LoRA adapters in the browser, compare them with their base model, and take them away."""

    model_config = SettingsConfigDict(
        env_prefix="STUDIO_",
        frozen=True,
        extra="forbid",
        cli_prog_name="python app.py",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    data_folder: Path = Field(Path("data"), description="Where the database, data sets, runs and adapters are kept.")
    models_folder: Path | None = Field(
        None,
        description="Folder in which local base models are looked for, each in a folder of its own. Default: models/ in the data folder.",
    )
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of the database. Default: a SQLite file in the data folder."
    )
    database_wait_seconds: float = Field(
        30, gt=0, le=600, description="How long to wait for another program that holds the database, in seconds."
    )
    host: str = Field(
        "127.0.0.1", description="Address to listen on. Only loopback addresses are served without sign-in."
    )
    port: int = Field(7860, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    runner: bool = Field(True, description="Start the job runner together with the web app.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Device to train and chat on; auto takes GPUs where there are some."
    )
    max_upload_mb: int = Field(2048, ge=1, description="Largest data file that can be uploaded, in MB.")
    max_body_mb: int = Field(10, ge=1, description="Largest request to the API other than an upload, in MB.")
    max_open_runs: int = Field(200, ge=1, description="How many runs may be open (wait, run or be paused) at a time.")
    max_open_runs_per_person: int = Field(100, ge=1, description="How many of these may be one person's.")
    max_waiting_runs: int = Field(150, ge=1, description="How many runs may wait for a device at the same time.")
    max_waiting_runs_per_person: int = Field(75, ge=1, description="How many of these may be one person's.")
    keep_free_percent: float = Field(
        5, ge=0, le=50, description="Nothing new is taken in or started while less of the disk than this share is free."
    )
    keep_free_gb: float = Field(
        2, ge=0, description="On a large disk this much is enough, in GiB: the smaller of the two counts."
    )
    max_data_gb: float | None = Field(
        None, gt=0, description="How much the data folder may hold, in GiB. Default: as much as the disk has room for."
    )
    keep_checkpoints_days: float = Field(
        30, ge=0, description="For so many days after its end a run keeps its checkpoints."
    )
    keep_checkpoints_runs: int = Field(
        10,
        ge=0,
        description="Each person's newest ended runs, so many, keep their best and last checkpoint beyond that.",
    )
    public_url: str | None = Field(
        None, description="Address under which people open the studio, for the links in notifications."
    )
    webhooks_to_private: bool = Field(
        False, description="Let webhooks reach this machine and private networks; else only public addresses."
    )
    smtp_host: str | None = Field(
        None,
        description="Mail server that notifications are sent through. Its password is read from STUDIO_SMTP_PASSWORD.",
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="How the way to it is encrypted: after a greeting (587), from the start (465), or not at all.",
    )
    smtp_user: str | None = Field(None, description="Name to sign in with at the mail server.")
    smtp_from: str = Field("lora-studio@localhost", description="Sender of the studio's e-mails.")
    log_mb: float = Field(
        10, gt=0, description="The web app's and the runner's log are each begun anew at this size, in MB."
    )
    log_files: int = Field(5, ge=1, le=100, description="So many older ones of each are kept beside it.")
    runs_per_device: int = Field(
        1,
        ge=1,
        le=8,
        description="How many trainings may share one GPU at the same time, where their planned memory fits into it together.",
    )
    poll_seconds: float = Field(0.5, gt=0, le=60, description="How often the runner looks for work and at its runs.")
    chat_idle_seconds: float = Field(600, ge=1, description="The chat worker ends after this long without a question.")
    openai_url: str | None = Field(
        None,
        description="Address of a server that speaks OpenAI's protocol (vLLM, llama.cpp) and answers on Compare in place of the studio's own worker. Its key is read from STUDIO_OPENAI_KEY.",
    )
    parse_seconds: int = Field(600, ge=1, description="CPU time that reading one uploaded file may take.")
    parse_memory_mb: int = Field(4096, ge=256, description="Memory that reading one uploaded file may take, in MB.")
    warm_start: bool = Field(
        True,
        description="Keep a process in memory (about 0.4 GB) that has the training's libraries loaded, so that runs start seconds sooner.",
    )
    warm_minutes: float = Field(60, gt=0, description="That process ends after so many minutes without a new run.")
    threads: int = Field(
        0, ge=0, description="CPU threads for one training; 0 shares the cores out between the device slots."
    )
    hub_offline: bool = Field(False, description="Never contact the Hugging Face Hub.")
    log_level: Literal["debug", "info", "warning"] = Field(
        "info", description="How much the studio writes to its own log."
    )

    @field_validator("openai_url", "public_url")
    @classmethod
    def plain_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it must begin with http:// or https:// and name a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("it must be an address alone; a key for openai_url goes into STUDIO_OPENAI_KEY")
        return url

    @property
    def root(self) -> Path:
        """The data folder as an absolute path."""
        return self.data_folder.expanduser().resolve()

    @property
    def models_root(self) -> Path:
        """The folder below which local base models may be named."""
        return (self.models_folder or self.root / "models").expanduser().resolve()

    @property
    def url_of_database(self) -> str:
        return self.database_url or f"sqlite:///{self.root / 'studio.sqlite'}"

    def as_environment(self) -> dict[str, str]:
        """The same settings as STUDIO_* variables, for a process that we start."""
        values = self.model_dump(mode="json", exclude_none=True)
        return {f"STUDIO_{name.upper()}": str(value) for name, value in {**values, "data_folder": self.root}.items()}

    def check_address(self) -> None:
        """Refuse to serve other machines: there is no sign-in yet, so whoever reaches the port owns the studio."""
        if self.host not in LOOPBACK:
            raise Invalid(
                f"The address {self.host} can be reached from other machines, and the studio has no sign-in yet.",
                "Leave out --host, and reach the studio through an SSH tunnel from elsewhere.",
                "host",
            )


def read_settings(arguments: list[str] | None = None) -> StudioSettings:
    """Settings from the command line, then STUDIO_* variables, then the defaults. Raises Invalid with the option's name."""
    try:
        settings = StudioSettings(_cli_parse_args=arguments) if arguments is not None else StudioSettings()
    except ValidationError as error:
        found = error.errors(include_url=False)
        option = str(found[0]["loc"][0]) if found[0]["loc"] else "options"
        wrong = what_is_wrong([finding for finding in found if finding["loc"] == found[0]["loc"]])
        raise Invalid(
            f"--{option.replace('_', '-')} (or STUDIO_{option.upper()}){wrong}.",
            "See python app.py --help.",
            option,
        ) from None
    settings.check_address()
    return settings
