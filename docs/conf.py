"""Sphinx: `make docs` builds the site offline, strictly, and runs every tutorial.

Sphinx with sphinx-gallery is what scikit-image, deepinv and SCICO use: people of this field know
where to look, tutorials are scripts that run when the site is built, and the search works from a
file.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import pnp_recon  # noqa: E402

project = "pnp-recon"
author = "The pnp-recon developers"
copyright = author
release = version = pnp_recon.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "repository_pages",  # files of the repository that pages link to
    "api_pages",  # the reference, from the public names
    "model_pages",  # the zoo, from the cards
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "README.md", "tutorials"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.header", "config.cache"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "pnp-recon"
html_static_path: list[str] = []
html_show_sourcelink = False

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "generated/tutorials",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 0,
    "write_computation_times": False,
}
