"""What pyproject.toml cannot say: the folder `configs` is installed as `lmcore/configs`.

A package `configs` at the top would stand in the way of everybody's folder of that name, and theirs
in ours.  In a checkout the files are read where they lie (`lmcore.yaml_file.shipped`).
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["lmcore*", "flows*"]), "lmcore.configs"],
    package_dir={"lmcore.configs": "configs"},
)
