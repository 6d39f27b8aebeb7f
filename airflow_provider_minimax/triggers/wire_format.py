"""How triggers are stored: as plain values that other versions of this package may have to read."""

from __future__ import annotations

from inspect import signature
from typing import Any


def changed_arguments(trigger: object) -> dict[str, Any]:
    """
    Return the arguments to build a trigger again, without those that have their defaults.

    A triggerer of an older version fails a trigger for an argument that it does not know, and most are left alone.

    :param trigger: the trigger, which keeps each argument in an attribute of its name.
    """
    parameters = signature(type(trigger)).parameters
    arguments = {name: getattr(trigger, name) for name in parameters}
    return {name: value for name, value in arguments.items() if value != parameters[name].default}
