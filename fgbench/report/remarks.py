"""What a reader has to know about a result besides its number; shared by the terminal's table and the page."""

from __future__ import annotations

from typing import NamedTuple

from fgbench.results.record import Record, is_miniature


class Remark(NamedTuple):
    """One remark on one record.

    Attributes:
        kind: key of :data:`SENTENCES`; empty if ``detail`` is a note of the record, in its own words.
        detail: what exactly; may be empty.
    """

    kind: str
    detail: str


SENTENCES = {
    "skipped": ("Items not evaluated", "未评测的样本"),
    "limited": ("Limited run (--limit): not comparable with anything", "限量运行（--limit）：不可与任何结果比较"),
    "published": (
        "Not the published number of items: not comparable with the paper",
        "样本数与公开数据集不同：不可与论文比较",
    ),
    "miniature": ("Miniature suite: not comparable with the paper", "微型评测集：不可与论文比较"),
    "replies": ("Replies that reached their limit", "达到长度上限的回答"),
    "truncated": ("Texts cut to the model's length", "被截断到模型长度的文本"),
    "ties": (
        "Queries where another answer is exactly as good as the right one",
        "另有答案与正确答案得分完全相同的查询",
    ),
    "crop": (
        "Regions as crops (region mode crop), not RoI of dense features",
        "区域取自裁剪图（region mode crop），而非稠密特征的 RoI",
    ),
}
"""English and Chinese, by kind."""


def remarks(record: Record) -> list[Remark]:
    """All remarks on a record, in a fixed order."""
    counts = record["counts"]
    found = []
    skipped = sum(counts["skipped"].values())
    if skipped:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts["skipped"].items())
        found.append(Remark("skipped", f"{skipped:,} of {counts['expected']:,} ({reasons})"))
    if record["arguments"]["effective"].get("limit"):
        found.append(Remark("limited", ""))
    elif is_miniature(record):
        found.append(Remark("miniature", ""))
    elif counts["published"] and counts["expected"] != counts["published"]:
        found.append(Remark("published", ""))
    if counts["texts_truncated"]:
        chat = record["model"].get("kind") == "chat model"
        cut = f"{counts['texts_truncated']:,} of {counts['texts']:,}"
        found.append(Remark("replies" if chat else "truncated", cut))
    ties = [f"{name} {count:,}" for name, count in counts["ties"].items() if count]
    if ties:
        found.append(Remark("ties", ", ".join(ties)))
    if record["protocol"].get("region_mode") == "crop":
        found.append(Remark("crop", ""))
    found.extend(Remark("", note) for note in record["notes"])
    return found
