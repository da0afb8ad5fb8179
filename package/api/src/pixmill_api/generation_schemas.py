"""What a job that generates pictures shows besides what every job shows."""

from pydantic import BaseModel, Field

from pixmill_shared.domain.generation import Fallback


class GenerationDocument(BaseModel):
    """How far a job is that generates pictures, in items and in the chunks that they are worked on in."""

    total_items: int
    completed_items: int = Field(description="that are finished, with a picture or without")
    total_chunks: int
    completed_chunks: int
    fallback: Fallback
    cache: bool
    success_rate: float = Field(
        ge=0, le=1, description="pictures that a model made, so far, by `total_items`; placeholders do not count"
    )
    cost_usd: float = Field(ge=0, description="that the provider asks for what was drawn so far")
    estimated_seconds_left: int | None = Field(
        ge=0, description="learned from the pictures that were made last; null when the job has ended"
    )
