"""What ``bench/api.py`` compares with: the usual API, which writes a row and publishes the task within the request."""

import argparse
import json
import os
import uuid
from typing import Any

import uvicorn
from celery import Celery
from fastapi import FastAPI
from psycopg2.pool import ThreadedConnectionPool
from pydantic import BaseModel

TABLE = """CREATE TABLE IF NOT EXISTS tasks (
  id uuid PRIMARY KEY, status text NOT NULL, source jsonb NOT NULL, recipe jsonb NOT NULL, webhook_url text,
  metadata jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now())"""


class Request(BaseModel):
    source: dict[str, Any]
    recipe: dict[str, Any]
    webhook_url: str | None = None
    metadata: dict[str, Any] = {}


def create_app(database_url: str, redis_url: str) -> FastAPI:
    pool = ThreadedConnectionPool(1, 40, database_url)
    tasks = Celery(broker=redis_url)
    app = FastAPI()

    @app.post("/api/v1/jobs", status_code=202)
    def create_job(request: Request) -> dict[str, Any]:
        job_id = uuid.uuid4()
        connection = pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO tasks (id, status, source, recipe, webhook_url, metadata)"
                    " VALUES (%s, 'queued', %s, %s, %s, %s)",
                    (
                        str(job_id),
                        json.dumps(request.source),
                        json.dumps(request.recipe),
                        request.webhook_url,
                        json.dumps(request.metadata),
                    ),
                )
        finally:
            pool.putconn(connection)
        tasks.send_task("render", (str(job_id),), ignore_result=True)
        return {"job_id": str(job_id), "status": "queued"}

    connection = pool.getconn()
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
    pool.putconn(connection)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    app = create_app(os.environ["DATABASE_URL"], os.environ["REDIS_URL"])
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
