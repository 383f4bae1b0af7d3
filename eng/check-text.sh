#!/usr/bin/env bash
# Checks of texts that no analyzer makes: code up to 140 columns, documents up to 120, links between documents that lead somewhere, and an index of decisions that has
# all of them. Files that .gitattributes calls generated are left as they are. Prints what is wrong and ends with "N passed, N failed". Needs Python 3.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
git ls-files -z -- '*.cs' '*.md' ':(exclude,attr:linguist-generated)' | python3 -c '
import os, re, sys

CODE, TEXT = 140, 120
files = [name for name in sys.stdin.read().split("\0") if name and os.path.exists(name)]
wrong = {"code is at most 140 columns wide": [], "documents are at most 120 columns wide": [], "links lead somewhere": [], "the index has every decision": []}


def literal(line):  # the longest literal: protocol bytes and patterns are not cut
    return max((len(m.group(0)) for m in re.finditer(r"\"(\\.|[^\"\\])*\"", line)), default=0)


for name in files:
    lines = open(name, encoding="utf-8-sig").read().split("\n")
    raw = fence = False
    for number, line in enumerate(lines, 1):
        if name.endswith(".cs"):
            raw ^= line.count("\"\"\"") % 2 == 1
            if len(line) > CODE and not raw and literal(line) < CODE // 2:
                wrong["code is at most 140 columns wide"].append(f"{name}:{number}: {len(line)}")
            continue
        fence ^= line.lstrip().startswith("```")
        # Tables, code, and single words (links) cannot be wrapped.
        if len(line) > TEXT and not fence and not line.lstrip().startswith(("|", "#")) and " " in line.strip()[:TEXT].lstrip("-*>0123456789. "):
            wrong["documents are at most 120 columns wide"].append(f"{name}:{number}: {len(line)}")
        if not fence:
            for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", re.sub(r"`[^`]*`", "", line)):
                if "://" not in target and not target.startswith("mailto:") and not os.path.exists(os.path.join(os.path.dirname(name), target)):
                    wrong["links lead somewhere"].append(f"{name}:{number}: {target}")

index = open("docs/decisions/README.md", encoding="utf-8").read()
for name in sorted(os.listdir("docs/decisions")):
    if re.match(r"\d{4}-", name) and f"]({name})" not in index:
        wrong["the index has every decision"].append(name)
failed = 0
for check, found in wrong.items():
    failed += bool(found)
    print(("FAIL  " if found else "ok    ") + check)
    for one in found[:40]:
        print("      " + one)
print(f"{len(wrong) - failed} passed, {failed} failed")
sys.exit(bool(failed))
'
