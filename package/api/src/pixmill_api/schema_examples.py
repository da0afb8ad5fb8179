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
    "kind": "process",
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
    "generation": None,
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
NEW_JOB: Final[dict[str, Any]] = {
    **JOB,
    "status": "queued",
    "stage": "fetch",
    "progress": 0,
    "source": {"url": "https://example.com/photo.jpg"},
    "outputs": [],
    "result": None,
    "attempts": 0,
    "queue_position": 3,
    "started_at": None,
    "finished_at": None,
    "urls": {**JOB["urls"], "cancel": f"{_API}/jobs/{_JOB}/cancel"},
}
ENDPOINT_REQUEST: Final[dict[str, Any]] = {
    "url": "https://example.com/hooks/pixmill",
    "events": ["job.completed", "job.failed"],
    "description": "the shop",
}

GENERATE_REQUEST: Final[dict[str, Any]] = {
    "kind": "generate",
    "items": [
        {"name": "Edamame", "category": "Starters", "description": "Young soybeans with sea salt"},
        {"name": "Garden chair", "prompt": "A green garden chair in the rain, as a watercolour"},
    ],
    "webhook_url": "https://example.com/hooks/pixmill",
}
_PICTURE: Final = "menu_image_edamame_20301231_220000.png"
_REFUSED: Final = {
    "code": "provider_refused",
    "title": "The image provider refused the request",
    "detail": "The model refused: SAFETY.",
    "retryable": False,
}
ITEMS: Final[dict[str, Any]] = {
    "data": [
        {
            "position": 0,
            "category": "Starters",
            "name": "Edamame",
            "prompt": "A photograph of Edamame (Starters).",
            "status": "finished",
            "generation_success": True,
            "provider": "gemini",
            "error": None,
            "outputs": [{**OUTPUT, "name": "image_edamame_20301231_220000.png", "format": "png"}],
            "cached": False,
            "duration_ms": 6210,
        }
    ],
    "next_cursor": None,
    "has_more": False,
}
DISH: Final[dict[str, Any]] = {
    "japanese_name": "枝豆",
    "english_name": "Edamame",
    "description": "Young soybeans, boiled in their pods, with sea salt",
    "price": "¥480",
}
MENU_REQUEST: Final[dict[str, Any]] = {"final_menu": {"前菜": [DISH]}, "session_id": "table-7"}
MENU_ACCEPTED: Final[dict[str, Any]] = {
    "success": True,
    "job_id": _JOB,
    "status": "queued",
    "session_id": "table-7",
    "total_items": 1,
    "total_chunks": 1,
    "estimated_time_seconds": 8,
    "status_endpoint": f"/api/v1/image/status/{_JOB}",
    "urls": {**JOB["urls"], "cancel": f"{_API}/jobs/{_JOB}/cancel"},
}
PICTURED: Final[dict[str, Any]] = {
    **DISH,
    "image_url": f"/api/v1/jobs/{_JOB}/outputs/{_PICTURE}",
    "generation_success": False,
    "provider": "placeholder",
    "error": _REFUSED,
}
MENU_STATUS: Final[dict[str, Any]] = {
    "job_id": _JOB,
    "status": "completed",
    "progress_percent": 100,
    "session_id": "table-7",
    "processing_info": {
        "total_chunks": 1,
        "completed_chunks": 1,
        "total_items": 1,
        "completed_items": 1,
        "estimated_time_seconds": 0,
        "created_at": "2030-12-31T22:00:00.120000Z",
        "started_at": "2030-12-31T22:00:00.140000Z",
        "finished_at": "2030-12-31T22:00:08.310000Z",
    },
    "total_items": 1,
    "images_generated": {"前菜": [PICTURED]},
    "total_images": 1,
    "success_rate": 0.0,
    "error": None,
}
