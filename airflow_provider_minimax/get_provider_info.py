"""The provider's description for Airflow: connection form, modules, documentation."""

from __future__ import annotations

from typing import Any

_NAME = "MiniMax"
_DOCS = "https://platform.minimax.io/docs/api-reference/video-generation-intro"
_PLATFORMS = {
    "minimax": "MiniMax",
    "bltcy": "BLTCY",
    "chainhub": "ChainHub",
    "vtrix": "Vtrix",
    "novita": "Novita",
    "ai302": "302.AI",
}
_REGIONS = {"global": "global (api.minimax.io)", "cn": "mainland China (api.minimaxi.com, api.minimax.cn)"}

# The connection form as data: Airflow 3.2 and later draw it without importing the hook.
_FORM = {
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "login", "port", "extra"],
        "relabeling": {"password": "API key", "host": "Base URL"},
        "placeholders": {
            "host": "leave empty for the platform's own, e.g. https://api.minimax.io",
            "password": "the key, without 'Bearer'",
        },
    },
    "conn-fields": {
        "platform": {
            "label": "Platform",
            "description": "The platform that issued the key: MiniMax itself or a gateway that resells it.",
            "schema": {
                "type": "string",
                "enum": list(_PLATFORMS),
                "values_display": _PLATFORMS,
                "default": "minimax",
            },
        },
        "region": {
            "label": "Region",
            "description": "The region that issued the key; it works nowhere else. Gateways have no regions.",
            "schema": {"type": "string", "enum": list(_REGIONS), "values_display": _REGIONS, "default": "global"},
        },
        "path_prefix": {
            "label": "Path prefix",
            "description": "Only if a gateway uses a different prefix than its platform, e.g. /minimax.",
            "schema": {"type": ["string", "null"]},
        },
        "timeout": {
            "label": "Timeout (s)",
            "description": "Seconds to wait for an answer, 60 by default.",
            "schema": {"type": ["number", "null"], "minimum": 0.1, "maximum": 3600},
        },
        "max_retries": {
            "label": "HTTP retries",
            "description": "How often a failed request is repeated if that cannot buy twice, 3 by default.",
            "schema": {"type": ["integer", "null"], "minimum": 0, "maximum": 10},
        },
        "rate_limit_per_minute": {
            "label": "Clips per minute",
            "description": "How many clips deferrable tasks may submit per minute; empty: no limit.",
            "schema": {"type": ["integer", "null"], "minimum": 1},
        },
        "proxy": {
            "label": "Proxy",
            "description": "URL of a proxy; empty: the usual proxy variables (HTTPS_PROXY).",
            "schema": {"type": ["string", "null"], "format": "password"},
        },
        "verify": {
            "label": "Verify certificates",
            "description": "Turn off only for your own hosts.",
            "schema": {"type": "boolean", "default": True},
        },
    },
}

# Options of Airflow's own configuration: [minimax] in airflow.cfg, or AIRFLOW__MINIMAX__... in the environment.
_CONFIG = {
    "minimax": {
        "description": "MiniMax's callbacks: platforms post the status of a clip to Airflow's API server.",
        "options": {
            "callback_base_url": {
                "description": "The address under which the internet reaches Airflow's API server, or the receiver "
                "that runs alone. Empty: there is no receiver. Set it for the API server and the workers.",
                "version_added": None,
                "type": "string",
                "example": "https://airflow.example.com",
                "default": "",
            },
            "callback_secret": {
                "description": "What the addresses given to platforms are signed with: a long random text, the same "
                "for the API server and the workers. Several are divided by commas; the first one signs. Empty: "
                "[core] fernet_key, and where that is empty, [api_auth] jwt_secret.",
                "version_added": None,
                "type": "string",
                "sensitive": True,
                "example": None,
                "default": "",
            },
        },
    }
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, in the form of Airflow's ``provider_info.schema.json``."""
    modules = {
        kind: [
            {
                "integration-name": _NAME,
                "python-modules": [f"airflow_provider_minimax.{kind}.{module}" for module in modules],
            }
        ]
        for kind, modules in (
            ("operators", ("video", "h3", "contact_sheet")),
            ("sensors", ("video",)),
            ("hooks", ("minimax",)),
            ("triggers", ("video", "turn", "clips")),
        )
    }
    return {
        "package-name": "airflow-provider-minimax",
        "name": _NAME,
        "description": "MiniMax (Hailuo) video generation, at MiniMax itself and at the gateways that resell it.",
        "integrations": [{"integration-name": _NAME, "external-doc-url": _DOCS, "tags": ["service"]}],
        **modules,
        "extra-links": [
            "airflow_provider_minimax.delivery.links.MinimaxClipLink",
            "airflow_provider_minimax.delivery.links.MinimaxFactsLink",
        ],
        "config": _CONFIG,
        # Read by Airflow 3.2 and later.
        "cli": ["airflow_provider_minimax.cli.definition.get_cli_commands"],
        # Airflow 3.4 documents it; the module itself needs 3.3.
        "retry-policies": [{"integration-name": _NAME, "python-modules": ["airflow_provider_minimax.retries"]}],
        "connection-types": [
            {
                "connection-type": "minimax",
                "hook-class-name": "airflow_provider_minimax.hooks.minimax.MinimaxHook",
                "hook-name": _NAME,
                **_FORM,
            }
        ],
    }
