"""A plain HTTP client of the emulated platforms, written from the documents and knowing nothing of the provider."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

import httpx

from airflow_provider_minimax.emulator import Emulator

PICTURE = b"\x89PNG not much of a picture"
IMAGE = "data:image/png;base64," + base64.b64encode(PICTURE).decode()

TEXT_ORDER = {"model": "MiniMax-Hailuo-2.3", "prompt": "a fox in the snow"}
SUBMIT = {
    "minimax": ("/v1/video_generation", TEXT_ORDER),
    "minimax-cn": ("/v1/video_generation", TEXT_ORDER),
    "bltcy": ("/minimax/v1/video_generation", {**TEXT_ORDER, "first_frame_image": IMAGE}),
    "ai302": ("/minimaxi/v1/video_generation", TEXT_ORDER),
    "chainhub": ("/minimax/v1/video_generation", {**TEXT_ORDER, "duration": 6}),
    "vtrix": (
        "/model/v1/generation",
        {"model": "minimax_i2v_01_live", "input": [{"params": {"first_frame_image": IMAGE, "prompt": "a fox"}}]},
    ),
    "novita": ("/v3/async/minimax-video-01", {"prompt": "a fox in the snow"}),
}
QUERY = {
    "minimax": "/v1/query/video_generation?task_id={}",
    "minimax-cn": "/v1/query/video_generation?task_id={}",
    "bltcy": "/minimax/v1/query/video_generation?task_id={}",
    "ai302": "/minimaxi/v1/query/video_generation?task_id={}",
    "chainhub": "/minimax/v1/query/video_generation?task_id={}",
    "vtrix": "/model/v1/generation/task/{}",
    "novita": "/v3/async/task-result?task_id={}",
}
RETRIEVE = {
    "minimax": "/v1/files/retrieve",
    "minimax-cn": "/v1/files/retrieve",
    "bltcy": "/minimax/v1/files/retrieve",
    "ai302": "/minimaxi/v1/files/retrieve",
    "chainhub": "/minimax/v1/files/retrieve",
}

V2_ORDER = {
    "model": "MiniMax-H3",
    "content": [{"type": "text", "text": "a fox in the snow"}],
    "resolution": "768P",
    "duration": 5,
    "ratio": "16:9",
}

# Somebody without a key, who only follows links.
browser = httpx.Client(verify=False)


class Customer(httpx.Client):
    """Somebody with a key of one platform."""

    emulator: ClassVar[Emulator]
    all: ClassVar[list[Customer]] = []

    def __init__(self, platform: str, key: str | None = None) -> None:
        key = self.emulator.api_key(platform) if key is None else key
        super().__init__(
            base_url=self.emulator.base_url(platform),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            verify=False,
        )
        self.platform = platform
        self.all.append(self)

    @classmethod
    def leave_all(cls) -> None:
        while cls.all:
            cls.all.pop().close()

    def order(self, body: dict[str, Any] | None = None, **changes: Any) -> httpx.Response:
        path, usual = SUBMIT[self.platform]
        return self.post(path, json=(usual if body is None else body) | changes)

    def buy(self, **changes: Any) -> str:
        """Order a clip and return the id of its task."""
        answer = self.order(**changes).json()
        task_id: str = answer.get("task_id") or answer["id"]
        return task_id

    def query(self, task_id: str) -> Any:
        return self.get(QUERY[self.platform].format(task_id)).json()

    def finish(self, task_id: str) -> Any:
        """Finish the job, and query it."""
        self.emulator.set_job(task_id, "success")
        return self.query(task_id)

    def retrieve(self, file_id: str) -> Any:
        return self.get(RETRIEVE[self.platform], params={"file_id": file_id}).json()

    def buy_link(self) -> str:
        """A link to the clip of a new job of MiniMax's own kind."""
        url: str = self.retrieve(self.finish(self.buy())["file_id"])["file"]["download_url"]
        return url


class V2Customer(Customer):
    """Somebody who asks MiniMax's second API."""

    def order(self, body: dict[str, Any] | None = None, **changes: Any) -> httpx.Response:
        return self.post("/v2/video_generation", json=(V2_ORDER if body is None else body) | changes)

    def query(self, task_id: str) -> Any:
        return self.get(f"/v2/query/video_generation/{task_id}").json()["task"]

    def list(self, **parameters: Any) -> Any:
        return self.get("/v2/query/video_generation", params=parameters).json()

    def remove(self, task_id: str) -> httpx.Response:
        return self.delete(f"/v2/video_generation/{task_id}")

    def upload(self, filename: str, content: bytes, purpose: str = "video_generation_input") -> httpx.Response:
        return self.post("/v1/files/upload", data={"purpose": purpose}, files={"file": (filename, content)})
