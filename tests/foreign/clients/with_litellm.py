"""Has litellm make a clip of MiniMax-H3 and save it: BASE_URL KEY FILE."""

import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import litellm

base_url, key, file = sys.argv[1:]
# It fetches no clip from an inner address unless its user names the host.
litellm.user_url_allowed_hosts = [urlsplit(base_url).netloc]
account = {"api_base": base_url, "api_key": key}
video = litellm.video_generation(
    prompt="a fox in the snow", model="minimax/MiniMax-H3", seconds="5", size="1280x720", **account
)
deadline = time.monotonic() + 30
while (video := litellm.video_status(video.id, **account)).status not in ("completed", "failed"):
    if time.monotonic() > deadline:
        raise SystemExit(f"still {video.status}")
    time.sleep(0.2)
print(video)
Path(file).write_bytes(litellm.video_content(video.id, **account))
