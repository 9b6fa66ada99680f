"""How fast trainings on this machine have been, and how much slower one way of computing a step is than another."""

from statistics import median

from sqlalchemy import select

from studio.activations import way_of
from studio.errors import StudioError
from studio.files import read_json
from studio.plan import TrainingPlan, read_plan
from studio.records import Run, Status
from studio.studio import Studio

LAST_RUNS = 3
# CPU-seconds of a step against those of a LoRA computed by our fused functions, and of a quantised base besides: means of two
# steps of 2,048 tokens on a model of 4 million parameters, one thread (docs/performance.md)
SLOWER_WAY = {"fused": 1.0, "apart": 1.07, "dora": 1.23}
SLOWER_BASE = {"none": 1.0, "nf4": 1.07, "int8": 1.03}


def slowness(plan: TrainingPlan) -> float:
    """How many times as long a step of this plan takes as one of plain LoRA on the base in full."""
    return SLOWER_WAY[way_of(plan)] * SLOWER_BASE[plan.training.quantization]


def measured_speed(studio: Studio, base_model: str) -> float | None:
    """Tokens per second of the last runs on this base that ended well, as plain LoRA would have had them; None when there are none."""
    with studio.database.read() as session:
        ended = (
            select(Run.id)
            .where(Run.base_model == base_model, Run.state == Status.SUCCEEDED)
            .order_by(Run.ended_at.desc())
            .limit(LAST_RUNS)
        )
        ids = list(session.scalars(ended))
    speeds = [speed for id in ids if (speed := speed_of(studio, id))]
    return median(speeds) if speeds else None


def speed_of(studio: Studio, run_id: str) -> float | None:
    folder = studio.data.run(run_id)
    for attempt in reversed(folder.attempts()):
        if speed := read_json(attempt.result, default={}).get("tokens_per_second"):
            return speed * slowness_of(read_json(folder.plan))
    return None


def slowness_of(values: dict | None) -> float:
    """Of a plan as its file holds it; 1 where it cannot be read."""
    try:
        return slowness(read_plan(values)) if values else 1.0
    except StudioError:  # a plan of another version of the studio
        return 1.0
