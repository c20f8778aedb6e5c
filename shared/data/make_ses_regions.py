#!/usr/bin/env python3
"""Makes data/ses_regions.txt, the list of Regions that have Amazon SES, which the crate embeds.

The source is the endpoint data in botocore's wheel (Apache-2.0), which AWS publishes for its own SDKs: the endpoints of
the service `email` in each public partition. Nothing is downloaded when the crate runs or builds; run this by hand when a
tenant's Region is refused, and read the difference before committing it:

    pip download botocore --no-deps --dest /tmp/wheel
    python3 data/make_ses_regions.py /tmp/wheel/botocore-*.whl > data/ses_regions.txt
"""

import json
import sys
import zipfile

# Partitions that the policy documents for tenants are written for, with the Region of their IAM.
PARTITIONS = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1"}

wheel = zipfile.ZipFile(sys.argv[1])
version = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")).split("-")[1].split(".dist")[0]
partitions = json.loads(wheel.read("botocore/data/endpoints.json"))["partitions"]

print(f"# Region, partition, home Region of the partition's IAM. Made by make_ses_regions.py from botocore {version}.")
for partition in partitions:
    home = PARTITIONS.get(partition["partition"])
    if home is None:
        continue
    for region in sorted(partition["services"].get("email", {}).get("endpoints", {})):
        # FIPS endpoints are listed as if they were Regions of their own.
        if not region.startswith("fips-"):
            print(region, partition["partition"], home)
