"""What pyproject.toml cannot say: `configs` and `deploy/pools` are installed inside the packages.

A package `configs` at the top would stand in the way of everybody's folder of that name, and theirs
in ours.  In a checkout the files are read where they lie (`lmcore.yaml_file.shipped`).
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["lmcore*", "flows*"]),
        "lmcore.configs",
        "flows.servers.job_templates",
    ],
    package_dir={"lmcore.configs": "configs", "flows.servers.job_templates": "deploy/pools"},
)
