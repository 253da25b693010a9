"""The documentation as a web site: `make docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import generate  # noqa: E402

import hinting  # noqa: E402

project = "hinting"
author = "the hinting authors"
release = version = hinting.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
pygments_style = "friendly"
pygments_dark_style = "native"

html_theme = "furo"
html_title = f"hinting {version}"
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sphinx = False


def setup(app):
    """Write the generated pages, and read docstrings as the plain text that they are."""
    generate.write(HERE / "generated")
    app.connect("autodoc-process-docstring", lambda app, what, name, obj, options, lines: generate.as_rst(lines))
