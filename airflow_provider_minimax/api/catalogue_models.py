"""
What each model takes: dated facts, each with its source. What clips cost is in ``catalogue_prices.py``.

``MODELS``: what is known of each model.

* ``modes.<mode>.resolutions``: resolution to the clip lengths in seconds that may be asked for. The first resolution
  and the first length are the API's defaults. Empty: the mode has neither field, so neither is sent.
* ``modes.<mode>.options``: the optional fields that the mode takes besides prompt, duration and resolution.
* ``modes.<mode>.required``: the fields that have no default, besides the pictures that make the mode.
* ``modes.<mode>.ratios``: the values of the option ``ratio``.
* ``extra``: the keys of the option ``extra``, and their values.
* ``api``: the version of MiniMax's API that has the model; ``v1`` where nothing is said.
* ``also``: what the model has besides clips: ``regeneration``, ``h3_context_ir``.

Modes are ``text`` (prompt only), ``first_frame``, ``first_and_last_frame``, ``subject_reference`` and ``reference``.

Nothing but values is in here, because the emulator reads them too, and shares no code with the provider. It is a Python
module because every DAG file that buys reads it: compiled, it loads ten times as fast as a TOML file.
"""

from __future__ import annotations

from datetime import date
from typing import Any

CHECKED = date(2026, 11, 21)

SOURCES = {
    "text": "https://platform.minimax.io/docs/api-reference/video-generation-t2v",
    "first_frame": "https://platform.minimax.io/docs/api-reference/video-generation-i2v",
    "first_and_last_frame": "https://platform.minimax.io/docs/api-reference/video-generation-fl2v",
    "subject_reference": "https://platform.minimax.io/docs/api-reference/video-generation-s2v",
    "h3": "https://platform.minimax.io/docs/api-reference/video-generation-v2-create",
    "h3_second_hand": "the mainland's pages and resellers of the model, read second hand",
    "regeneration": "https://platform.minimax.io/docs/api-reference/video-generation-v2-regeneration",
    "h3_context_ir": "https://platform.minimax.io/docs/api-reference/video-generation-v2-h3-context-ir",
    "prices": "https://platform.minimax.io/docs/guides/pricing, read second hand",
}

_4_TO_15_SECONDS = tuple(range(4, 16))
_5_TO_15_SECONDS = tuple(range(5, 16))
_HAILUO_OPTIONS = ("prompt_optimizer", "fast_pretreatment", "aigc_watermark", "callback_url")
_OTHER_OPTIONS = ("prompt_optimizer", "aigc_watermark", "callback_url")
_H3_OPTIONS = ("ratio", "aigc_watermark", "callback_url")
_H3_MAX_OPTIONS = ("ratio", "extra", "aigc_watermark", "callback_url")
_REQUIRED_WITH_RATIO = ("prompt", "resolution", "duration", "ratio")
_REQUIRED = ("prompt", "resolution", "duration")
_RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
_RATIOS_OR_ADAPTIVE = ("adaptive", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16")

MODELS: dict[str, dict[str, Any]] = {
    "MiniMax-Hailuo-2.3": {
        "prompt_limit": 2000,
        "modes": {
            "text": {
                "source": "text",
                "resolutions": {"768P": (6, 10), "1080P": (6,)},
                "options": _HAILUO_OPTIONS,
            },
            "first_frame": {
                "source": "first_frame",
                "resolutions": {"768P": (6, 10), "1080P": (6,)},
                "options": _HAILUO_OPTIONS,
            },
        },
    },
    "MiniMax-Hailuo-2.3-Fast": {
        "prompt_limit": 2000,
        "modes": {
            "first_frame": {
                "source": "first_frame",
                "resolutions": {"768P": (6, 10), "1080P": (6,)},
                "options": _HAILUO_OPTIONS,
            },
        },
    },
    "MiniMax-Hailuo-02": {
        "prompt_limit": 2000,
        "modes": {
            "text": {
                "source": "text",
                "resolutions": {"768P": (6, 10), "1080P": (6,)},
                "options": _HAILUO_OPTIONS,
            },
            "first_frame": {
                "source": "first_frame",
                "resolutions": {"768P": (6, 10), "512P": (6, 10), "1080P": (6,)},
                "options": _HAILUO_OPTIONS,
            },
            "first_and_last_frame": {
                "source": "first_and_last_frame",
                "resolutions": {"768P": (6, 10), "1080P": (6,)},
                "options": _OTHER_OPTIONS,
            },
        },
    },
    "T2V-01-Director": {
        "prompt_limit": 2000,
        "modes": {
            "text": {
                "source": "text",
                "resolutions": {"720P": (6,)},
                "options": _OTHER_OPTIONS,
            },
        },
    },
    "T2V-01": {
        "prompt_limit": 2000,
        "modes": {
            "text": {
                "source": "text",
                "resolutions": {"720P": (6,)},
                "options": _OTHER_OPTIONS,
            },
        },
    },
    "I2V-01-Director": {
        "prompt_limit": 2000,
        "modes": {
            "first_frame": {
                "source": "first_frame",
                "resolutions": {"720P": (6,)},
                "options": _OTHER_OPTIONS,
            },
        },
    },
    "I2V-01-live": {
        "prompt_limit": 2000,
        "modes": {
            "first_frame": {
                "source": "first_frame",
                "resolutions": {"720P": (6,)},
                "options": _OTHER_OPTIONS,
            },
        },
    },
    "I2V-01": {
        "prompt_limit": 2000,
        "modes": {
            "first_frame": {
                "source": "first_frame",
                "resolutions": {"720P": (6,)},
                "options": _OTHER_OPTIONS,
            },
        },
    },
    "S2V-01": {
        "prompt_limit": 2000,
        "modes": {
            "subject_reference": {
                "source": "subject_reference",
                "resolutions": {},
                "options": _OTHER_OPTIONS,
            },
        },
    },
    "MiniMax-H3": {
        "api": "v2",
        "prompt_limit": 7000,
        "also": ("regeneration", "h3_context_ir"),
        "modes": {
            "text": {
                "source": "h3",
                "resolutions": {"768P": _4_TO_15_SECONDS, "2K": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED_WITH_RATIO,
                "ratios": _RATIOS,
            },
            "first_frame": {
                "source": "h3",
                "resolutions": {"768P": _4_TO_15_SECONDS, "2K": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
            "first_and_last_frame": {
                "source": "h3",
                "resolutions": {"768P": _4_TO_15_SECONDS, "2K": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
            "reference": {
                "source": "h3",
                "resolutions": {"768P": _4_TO_15_SECONDS, "2K": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
        },
    },
    "MiniMax-H3-Max": {
        "api": "v2",
        "prompt_limit": 7000,
        "extra": {"prompt_expansion_mode": ("disabled", "balanced", "quality")},
        "modes": {
            "text": {
                "source": "h3",
                "resolutions": {"768P": _5_TO_15_SECONDS, "480P": _5_TO_15_SECONDS},
                "options": _H3_MAX_OPTIONS,
                "required": _REQUIRED_WITH_RATIO,
                "ratios": _RATIOS,
            },
            "first_frame": {
                "source": "h3",
                "resolutions": {"768P": _5_TO_15_SECONDS, "480P": _5_TO_15_SECONDS},
                "options": _H3_MAX_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
            "first_and_last_frame": {
                "source": "h3",
                "resolutions": {"768P": _5_TO_15_SECONDS, "480P": _5_TO_15_SECONDS},
                "options": _H3_MAX_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
            "reference": {
                "source": "h3",
                "resolutions": {"768P": _5_TO_15_SECONDS, "480P": _5_TO_15_SECONDS},
                "options": _H3_MAX_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
        },
    },
    "MiniMax-H3-Highspeed": {
        "api": "v2",
        "prompt_limit": 7000,
        "modes": {
            "text": {
                "source": "h3_second_hand",
                "resolutions": {"768P": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED_WITH_RATIO,
                "ratios": _RATIOS,
            },
            "first_frame": {
                "source": "h3_second_hand",
                "resolutions": {"768P": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
            "first_and_last_frame": {
                "source": "h3_second_hand",
                "resolutions": {"768P": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
            "reference": {
                "source": "h3_second_hand",
                "resolutions": {"768P": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
        },
    },
    "MiniMax-H3-Lite": {
        "api": "v2",
        "prompt_limit": 7000,
        "modes": {
            "text": {
                "source": "h3_second_hand",
                "resolutions": {"768P": _4_TO_15_SECONDS, "480P": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED_WITH_RATIO,
                "ratios": _RATIOS,
            },
            "first_frame": {
                "source": "h3_second_hand",
                "resolutions": {"768P": _4_TO_15_SECONDS, "480P": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
            "first_and_last_frame": {
                "source": "h3_second_hand",
                "resolutions": {"768P": _4_TO_15_SECONDS, "480P": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED,
                "ratios": _RATIOS_OR_ADAPTIVE,
            },
            "reference": {
                "source": "h3_second_hand",
                "resolutions": {"768P": _4_TO_15_SECONDS, "480P": _4_TO_15_SECONDS},
                "options": _H3_OPTIONS,
                "required": _REQUIRED_WITH_RATIO,
                "ratios": _RATIOS,
            },
        },
    },
}

REFERENCES = {
    "reference_images": 9,
    "reference_videos": 3,
    "reference_audios": 3,
    "together": 12,
}
"""How many references one request may have; the source is ``h3``."""

OTHER_TASK_TYPES: dict[str, dict[str, Any]] = {
    "regeneration": {
        "source": "regeneration",
        "resolutions": ("2K",),
        "prompt_limit": 40000,
        "usd": "0.05",
        "read": date(2026, 9, 27),
        "base_video": {
            "fps": 24,
            "sides_multiple_of": 32,
            "least_area": (768, 768),
            "largest_area": (768, 1344),
            "least_frames": 107,
            "most_frames": 362,
            "frames_step": 17,
        },
    },
    "h3_context_ir": {
        "source": "h3_context_ir",
        "usd_per_million_tokens_read": "0.90",
        "usd_per_million_tokens_written": "3.60",
        "read": date(2026, 9, 27),
    },
}
"""
What models have besides clips.

* ``regeneration``: a clip re-rendered in 2K; its list price is by the second of the clip. The clip that it starts from
  has sound, sides that are multiples of a number, an area from the first pair of sides to the second, and a number of
  pictures on a grid.
* ``h3_context_ir``: a better prompt, charged by the token, of what is read and of what is written.
"""
