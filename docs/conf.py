"""How the documentation is built; the pages and the tables of models come from the code itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Airflow makes its home when it is imported; this build gets one of its own, and leaves yours alone.
os.environ.setdefault("AIRFLOW_HOME", str(HERE / "_build" / "airflow"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")

sys.path.insert(0, str(HERE / "_ext"))

from airflow_provider_minimax import __version__  # noqa: E402

project = "airflow-provider-minimax"
author = "the authors of airflow-provider-minimax"
copyright = "the authors; Apache License 2.0"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton", "minimax_tables"]
exclude_patterns = ["_build", "examples"]

html_theme = "furo"
html_title = f"airflow-provider-minimax {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False

# Of a session in a terminal the commands are copied, without prompts and answers; what is only shown has no button.
copybutton_selector = "div:not(.highlight-text) > div.highlight pre"
copybutton_prompt_text = "$ "
copybutton_copy_empty_lines = False
copybutton_line_continuation_character = "\\"

# The parameters are described in each class's docstring; the signature stays bare and the types stand beside them.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False

highlight_language = "python"
toc_object_entries_show_parents = "hide"
