"""Packaging of pcvae: the library, the console scripts and the gin files."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
# The folder is the list of the commands.
COMMANDS = sorted(path.stem for path in (ROOT / "pcvae" / "cli" / "commands").glob("[!_]*.py"))
# Folders of gin files have no __init__.py: with one, a top-level gin/ would hide the gin library.
GIN_FOLDERS = sorted({path.parent for path in (ROOT / "gin").rglob("*.gin")})
# Read, not imported: the build has none of the dependencies.
VERSION = re.search(
    r'^__version__ = "(.*)"$', (ROOT / "pcvae" / "__init__.py").read_text("utf-8"), re.MULTILINE
)[1]


def gin_package(folder):
    """Returns the package name under which a folder of gin files is installed."""
    return ".".join(("pcvae", "gin", *folder.relative_to(ROOT / "gin").parts))


setup(
    name="pcvae",
    version=VERSION,
    description="Hierarchical variational autoencoders and progressive coding in Keras 3.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["pcvae", "pcvae.*"]),
        *(gin_package(folder) for folder in GIN_FOLDERS),
    ],
    # The gin files live in gin/ at the top of the checkout and inside the package when installed.
    package_dir={
        "pcvae": "pcvae",
        **{gin_package(folder): str(folder.relative_to(ROOT)) for folder in GIN_FOLDERS},
    },
    package_data={
        **{gin_package(folder): ["*.gin"] for folder in GIN_FOLDERS},
        "pcvae": ["py.typed"],
        "pcvae.show": ["templates/*.html"],
    },
    install_requires=[
        "tensorflow>=2.20,<2.22",
        "keras>=3.12,<3.16",
        "tensorflow-probability[tf]>=0.25,<0.26",
        "tensorflow-datasets>=4.9.9,<5",
        "tensorboard>=2.20,<2.22",
        "importlib_resources",
        "gin-config>=0.5,<0.6",
        "absl-py>=2.1",
        "numpy>=2.0",
        "pillow>=10.4",
        "matplotlib>=3.9",
        "jinja2>=3.1,<4",
        "lmdb>=1.4",
        "scipy>=1.13",
    ],
    extras_require={
        # Reads .th files, by its loader of weights alone.
        "import": ["torch>=2.6"],
        # Serves the page of pcvae-explore.
        "explore": ["flask>=3.1,<4"],
        # POT is a second opinion on Frechet distances. No scikit-learn, for tests start processes:
        # where it is installed, Keras imports it in each.
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "ruff>=0.6",
            "basedpyright>=1.30",
            "dill",
            "POT>=0.9.4",
            # Makes up the input of tests/fuzz.
            "hypothesis>=6.100",
            "flask>=3.1,<4",
            # Drives the page of pcvae-explore in Chromium, where there is one.
            "websockets>=13",
        ],
    },
    entry_points={
        "console_scripts": [
            "pcvae = pcvae.cli.program:main",
            *(
                f"pcvae-{name.replace('_', '-')} = pcvae.cli.commands.{name}:main"
                for name in COMMANDS
            ),
        ]
    },
)
