"""Plans: what a training would need, before it is queued."""

from fastapi import APIRouter

from studio.api.here import ERRORS, Here
from studio.memory import Estimate, estimate
from studio.plan import TrainingPlan

ROUTER = APIRouter(prefix="/api/v1/plans", tags=["Plans"], responses=ERRORS)


@ROUTER.post("/estimate")
def estimate_plan(plan: TrainingPlan, here: Here) -> Estimate:
    """Trainable parameters and their share, memory by part, steps, tokens, time and warnings."""
    return estimate(here, plan)
