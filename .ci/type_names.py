"""One type name means one thing in the workspace: lists names that are declared in more than one place, and names that
say nothing without their module."""

import collections
import pathlib
import re
import sys

VAGUE = set(
    "Answer Entry Found Read Wanted Work Known Target World Step State Row Part Body Reader Source Outcome".split()
)
DECLARATION = re.compile(r"^(?:pub(?:\([a-z]+\))? )?(?:struct|enum|type|trait|union) ([A-Z]\w*)", re.MULTILINE)
TESTS = re.compile(r"#\[cfg\(test\)\]\n(?:pub(?:\(\w+\))? )?mod tests \{")

declared = collections.defaultdict(list)
for folder in ("functions", "shared", "local"):
    for path in sorted(pathlib.Path(folder).rglob("*.rs")):
        if {"tests", "benches", "fixtures"} & set(path.parts) or path.stem in ("tests", "testing", "fixtures"):
            continue
        for match in DECLARATION.finditer(TESTS.split(path.read_text())[0]):
            declared[match.group(1)].append(str(path))

faults = [f"{name} is declared in {' and '.join(paths)}" for name, paths in sorted(declared.items()) if len(paths) > 1]
faults += [f"{name} in {paths[0]} says nothing" for name, paths in sorted(declared.items()) if name in VAGUE]
print("\n".join(faults), end="\n" if faults else "")
sys.exit(bool(faults))
