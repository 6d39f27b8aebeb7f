"""
Find words in code and prose that only their authors understand, and print what to say instead.

Names are split into words, so that ``looks_at_once`` and ``FirstLook`` are found as well as "look" in a sentence.

    python scripts/check_words.py                    # the whole repository
    python scripts/check_words.py docs README.md     # parts of it
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUFFIXES = {".cfg", ".csv", ".md", ".py", ".rst", ".toml", ".yaml", ".yml"}
# Written by or about earlier versions, or the list itself.
EXEMPT = {
    "CHANGELOG.md",
    "scripts/check_words.py",
    "tests/previous_release.py",
    "tests/receipts/test_upgrade.py",
}
# Names in users' code and in stored data.
STORED = r"triggers[./ ]turn\b|\bmoney\b"

# A pattern, whose spaces match any break between words, and what to say instead.
WORDS = {
    # "look up", "look like", "look for" and "look at it" are plain English.
    r"look(s|ed|ing)?(?! (up|like|for|at|into)\b| \w+( \w+)? up\b)|\blooks? at once": "poll, status check, check",
    r"told(?! apart)|tells(?! \w+ apart| \w+ from)": "report(ed), describe(d), say(s)",
    r"anew": "again; start over; re-render",
    r"kin": "the H3 models; and similar",
    r"wishes": "options",
    r"discreet(ly)?": "redacted",
    r"(un)?luck(y|ily)?": "jitter, chance; happens to",
    r"patience": "timeout",
    r"foresight|(un)?foresee(s|n|ing|able)?|foresaw": "schedule, estimate; unexpected",
    r"lookalikes?": "candidates, similar tasks",
    r"neighbou?r(s|ing)?": "sibling receipts, other tasks in the folder",
    r"g[ia]ve[sn]? up|giving up": "stop, fail, time out",
    r"hand(s|ed|ing)? (it |them |what \w+ )?over": "pass, return, deliver",
    r"of course": "(leave it out)",
    r"mindful|heed(s|ed|ing)?": "aware; check, respect",
    r"amiss|lest|thereof|therein|hence|anyhow|seldom|forthwith": "(what you would say today)",
    r"slips? of the pen": "typo",
    r"strangers?(?! on)|strange(ly)?(?! on)": "a file this task did not write; unexpected",
    r"turnstile": "SubmissionLimiter",
    r"(a|its|their|his|another|whose|for|task's|the) turn(?! of)|turns? to (buy|come)|in turn order": "submission slot",
    r"(?<!chain\s)(?<!git\s)(?<!docker\s)(?<!one\s)hub": "SharedPoller",
    r"exhibits?": "SheetItem",
    r"landed": "delivered",
    r"strikes?|struck": "fire(s)",
    r"written off": "recorded as failed",
    r"hold against|held against": "validate",
    r"for want of": "without",
    r"of a sort|so to speak|as it were": "(leave it out)",
    r"story": "report",
    r"whoever": "(name who)",
}
BREAK = r"""[\s#"']+"""
RULES = {
    re.compile(rf"\b(?:{pattern.replace(' ', BREAK)})\b", re.IGNORECASE): advice for pattern, advice in WORDS.items()
}
PARTS_OF_NAMES = re.compile(r"_|(?<=[a-z0-9])(?=[A-Z])")


def files(paths: list[str]) -> Iterator[Path]:
    """Return the text files below ``paths`` that Git tracks or would track."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *paths]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [name for name in names.split("\0") if (ROOT / name).is_file()]
    if not found:
        raise SystemExit(f"No files in {' '.join(paths) or ROOT}.")
    for name in sorted(set(found)):
        path = ROOT / name
        if name not in EXEMPT and (path.suffix in SUFFIXES or path.name == "Makefile"):
            yield path


def problems(text: str) -> list[tuple[int, str, str]]:
    """Return each line number with a word found there and what to say instead."""
    plain = PARTS_OF_NAMES.sub(" ", re.sub(STORED, lambda stored: "-" * len(stored.group()), text))
    return sorted(
        (plain.count("\n", 0, match.start()) + 1, " ".join(match.group().split()), advice)
        for pattern, advice in RULES.items()
        for match in pattern.finditer(plain)
    )


def main() -> None:
    count = 0
    for path in files(sys.argv[1:]):
        name = path.relative_to(ROOT).as_posix()
        found = [(0, word, advice) for _, word, advice in problems(name)] + problems(path.read_text(encoding="utf-8"))
        for line, word, advice in found:
            print(f"{name}:{line}: {word!r}: say {advice}")
        count += len(found)
    if count:
        raise SystemExit(f"{count} words to replace.")


if __name__ == "__main__":
    main()
