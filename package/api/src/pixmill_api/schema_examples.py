"""What the reference shows of the documents that clients look at most."""

from typing import Any, Final

_JOB: Final = "01a1d4c0-5e1f-7c3a-9b1e-3a5f2d1c0b9a"
_UPLOAD: Final = "01a1d4bf-91c2-7a00-8f33-1f2e3d4c5b6a"
_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_API: Final = "https://pixmill.example.com/api/v1"
_OUTPUT_URL: Final = "https://pixmill.example.com/files/renditions/9f/web.webp?expires=1924992000&signature=…"

RECIPE: Final[dict[str, Any]] = {
    "outputs": [
        {
            "name": "web",
            "operations": [
                {"op": "resize", "width": 800, "height": 600, "mode": "fit"},
                {"op": "filter", "name": "sharpen", "amount": 0.6},
            ],
            "format": "webp",
            "quality": 80,
        }
    ]
}
JOB_REQUEST: Final[dict[str, Any]] = {
    "source": {"url": "https://example.com/photo.jpg"},
    "recipe": RECIPE,
    "webhook_url": "https://example.com/hooks/pixmill",
    "metadata": {"order": "A-17"},
}
PROCESS_REQUEST: Final[dict[str, Any]] = {
    "image_url": "https://example.com/photo.jpg",
    "width": 800,
    "height": 600,
    "filter": "sharpen",
}
UPLOAD: Final[dict[str, Any]] = {
    "upload_id": _UPLOAD,
    "bytes": 4718592,
    "sha256": _SHA256,
    "media_type": "image/jpeg",
}
OUTPUT: Final[dict[str, Any]] = {
    "name": "web",
    "url": _OUTPUT_URL,
    "expires_at": "2030-12-31T23:00:00Z",
    "width": 800,
    "height": 600,
    "format": "webp",
    "bytes": 81234,
    "sha256": _SHA256,
    "frames": 1,
    "thumbhash": "1QcSHQRnh493V4dIh4eXh1h4kJUI",
    "dominant_color": "#8a6f4d",
    "cached": False,
    "storage_key": None,
}
JOB: Final[dict[str, Any]] = {
    "job_id": _JOB,
    "status": "completed",
    "stage": None,
    "priority": "normal",
    "progress": 100,
    "source": {
        "url": "https://example.com/photo.jpg",
        "sha256": _SHA256,
        "width": 4000,
        "height": 3000,
        "format": "jpeg",
        "bytes": 4718592,
    },
    "destination": None,
    "preset": None,
    "outputs": [OUTPUT],
    "result": OUTPUT,
    "error": None,
    "attempts": 1,
    "queue_position": None,
    "batch_id": None,
    "batch_index": None,
    "pipeline_id": None,
    "retry_of": None,
    "metadata": {"order": "A-17"},
    "run_at": None,
    "created_at": "2030-12-31T22:00:00.120000Z",
    "started_at": "2030-12-31T22:00:00.140000Z",
    "finished_at": "2030-12-31T22:00:00.310000Z",
    "urls": {
        "self": f"{_API}/jobs/{_JOB}",
        "events": f"{_API}/jobs/{_JOB}/events?expires=1925006400&signature={'0' * 64}",
        "cancel": None,
    },
}
ENDPOINT_REQUEST: Final[dict[str, Any]] = {
    "url": "https://example.com/hooks/pixmill",
    "events": ["job.completed", "job.failed"],
    "description": "the shop",
}
