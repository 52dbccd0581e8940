"""The words by which published tables name their sheets and columns, Chinese and English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from grouper.scheme.rules import ListName

ROLES: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "mdc": ("MDC list 主要诊断大类目录", ("mdc",), ("mdc_name", "when", "order")),
    "mdc_dx": ("diagnoses of the MDCs 主诊表", ("mdc", "code"), ("name", "mdc_name", "site")),
    "adrg": (
        "ADRG list with diagnoses and procedures ADRG目录与编码",
        ("adrg",),
        ("variant", "adrg_name", "mdc", "mdc_name", "when", "list", "code", "name"),
    ),
    "drg": (
        "DRG list with weights DRG目录与权重",
        ("drg",),
        (
            "drg_name", "variant", "adrg", "adrg_name", "mdc", "mdc_name", "when", "weight",
            "basic", "stable",
        ),
    ),
    "drg_codes": (
        "lists that DRGs have of their own DRG编码表",
        ("drg", "code"),
        ("drg_name", "list", "name"),
    ),
    "mcc": ("MCC list 严重并发症或合并症", ("code",), ("name", "exclusion")),
    "cc": ("CC list 并发症或合并症", ("code",), ("name", "exclusion")),
    "severity": ("MCC and CC in one list", ("code", "level"), ("name", "exclusion")),
    "exclusions": ("exclusion lists 排除表", ("exclusion", "code"), ("name",)),
    "dx": ("names of diagnoses 诊断名称", ("code",), ("name",)),
    "px": ("names of procedures 手术操作名称", ("code",), ("name", "or")),
    "or_px": ("operating-room procedures 手术室手术", ("code",), ("name",)),
    "sites": ("body sites 创伤部位", ("site", "code"), ("family", "name")),
    "dx_map": ("diagnoses of another edition 诊断对照", ("from", "to"), ()),
    "px_map": ("procedures of another edition 手术对照", ("from", "to"), ()),
    "scheme": ("what the scheme is called 方案", ("key", "value"), ()),
}  # fmt: skip
"""What a sheet may be: meaning, columns it must have, columns it may have. An ADRG list may also
have columns of codes (`LISTS`), such as `pdx` or `any_px2`."""

LISTS: tuple[ListName, ...] = ("pdx", "other_dx", "any_dx", "ppx", "any_px", "other_px")

_CODE = (
    "编码 代码 疾病编码 疾病代码 诊断编码 诊断代码 手术编码 手术代码 手术操作编码 手术操作代码"
    " 操作编码"
)
_COLUMNS: Mapping[str, str] = {
    "mdc": "MDC MDCCODE MDC编码 MDC代码 大类编码 大类代码 主要诊断大类 主要诊断大类编码"
    " 主要诊断大类代码",
    "mdc_name": "MDC名称 大类名称 主要诊断大类名称 MDCNAME",
    "adrg": "ADRG ADRGCODE ADRG编码 ADRG代码 ADRG组编码 ADRG组代码 核心组编码 核心分组编码"
    " 核心组代码 核心疾病诊断相关组编码 核心疾病诊断相关分组编码",
    "adrg_name": "ADRG名称 ADRG组名称 核心组名称 核心分组名称 核心疾病诊断相关组名称"
    " 核心疾病诊断相关分组名称 ADRGNAME",
    "drg": "DRG DRGCODE DRGS DRG编码 DRG代码 DRG组编码 DRG组代码 DRGS编码 DRGS代码 病组编码"
    " 病组代码 细分组编码 细分组代码 DRG分组编码",
    "drg_name": "DRG名称 DRG组名称 DRGS名称 病组名称 细分组名称 DRG分组名称 DRGNAME",
    "when": "入组条件 条件 分组条件 入组规则 细分条件 细分组条件 规则 CONDITION WHEN RULE",
    "order": "顺序 分组顺序 入组顺序 排序 ORDER",
    "variant": "情形 情形序号 VARIANT",
    "weight": "权重 相对权重 DRG权重 病组权重 基准权重 RW WEIGHT 权重RW",
    "basic": "基础病组 是否基础病组 BASIC",
    "stable": "稳定病组 是否稳定病组 是否稳定 STABLE",
    "exclusion": "排除表 排除表编号 排除表号 排除表编码 排除表名称 排除组 排除列表 CC排除表编号"
    " CC排除表 表号 EXCLUSION EXCLUSIONLIST",
    "level": "级别 等级 LEVEL 并发症级别 MCCCC 类型 类别",
    "list": "列表 所属列表 编码类型 条件类型 类型 LIST",
    "code": f"{_CODE} ICD编码 ICD代码 ICD10编码 ICD9编码 ICD10 ICD9CM3 ICD9CM3编码 医保编码"
    " 医保代码 CODE CODES ICDCODE 主要诊断编码 主要诊断代码 主诊断编码 主诊编码",
    "name": "名称 疾病名称 诊断名称 手术名称 手术操作名称 操作名称 ICD名称 中文名称 NAME"
    " 主要诊断名称 主诊断名称",
    "site": "部位 创伤部位 身体部位 SITE",
    "family": "部位族 所属大类 FAMILY",
    "or": "手术室手术 有效手术 是否手术 是否手术室手术 OR OPERATINGROOM",
    "from": "原编码 原代码 临床版编码 临床编码 临床版代码 FROM",
    "to": "对应编码 目标编码 医保编码 医保版编码 医保版代码 新编码 TO",
    "key": "项目 键 KEY",
    "value": "值 内容 VALUE",
}
_BY_WORD: dict[str, tuple[str, ...]] = {}
for _key, _words in _COLUMNS.items():
    for _word in _words.split():
        _BY_WORD[_word] = (*_BY_WORD.get(_word, ()), _key)

_NOISE = re.compile(r"[\s()\[\]{}:*_\-/、,.。;|“”\"'&]+")
_DIGITS = str.maketrans("一二三四五六七八九", "123456789")


def heading(text: str) -> str:
    """A heading without blanks, punctuation and full-width characters."""
    return _NOISE.sub("", unicodedata.normalize("NFKC", text)).upper()


def columns_of(text: str) -> tuple[str, ...]:
    """What a column of this heading may mean, by the keys of `ROLES`."""
    return _BY_WORD.get(heading(text), ())


class List(NamedTuple):
    """A list of codes of an MDC or ADRG: how it is matched, and its number (0: none)."""

    kind: ListName
    number: int = 0

    def __str__(self) -> str:
        return f"{self.kind}{self.number or ''}"


_CHINESE_LIST = re.compile(
    r"(主要诊断或其他诊断|主要诊断|主诊断|主诊|其他诊断|次要诊断|任意诊断|诊断"
    r"|主要手术|主手术|主要操作|其他手术|任意手术|手术|操作)"
    r"(?:或操作|及操作|和操作|操作)?(?:列?表)?([0-9一二三四五六七八九]*)"
)
_ENGLISH_LIST = re.compile(
    r"(PRINCIPAL|MAIN|OTHER|SECONDARY|ANY)?(DIAGNOSIS|DIAGNOSES|DX|PROCEDURES?|PX)(?:LIST)?([0-9]*)"
)
_EDITION = re.compile(r"ICD(?:10|9CM3|9)?(?=$|编码|代码|名称)")
_CODE_END = re.compile(r"(编码|代码|名称|CODES?|NAMES?)([0-9]*)$")
_KINDS: Mapping[str, ListName] = {
    "主要诊断或其他诊断": "any_dx",
    "任意诊断": "any_dx",
    "诊断": "any_dx",
    "主要诊断": "pdx",
    "主诊断": "pdx",
    "主诊": "pdx",
    "其他诊断": "other_dx",
    "次要诊断": "other_dx",
    "主要手术": "ppx",
    "主手术": "ppx",
    "主要操作": "ppx",
    "其他手术": "other_px",
    "任意手术": "any_px",
    "手术": "any_px",
    "操作": "any_px",
    "PDX": "pdx",
    "PPX": "ppx",
}
LIST_WORDS = ("主要诊断", "其他诊断", "诊断", "主要手术", "手术", "其他手术")
"""How the template names lists; numbers may follow."""


def list_of(text: str) -> List | None:
    """The list that a text names, such as 主要诊断, 手术或操作2, `other diagnosis 1`, `any_px2`."""
    word = heading(text).removeprefix("包含以下")
    found = _CHINESE_LIST.fullmatch(word)
    if found is not None:
        number = found.group(2).translate(_DIGITS)
        return List(_KINDS[found.group(1)], int(number or 0))
    short = re.fullmatch(r"(PDX|PPX)([0-9]*)", word)
    if short is not None:
        return List(_KINDS[short.group(1)], int(short.group(2) or 0))
    found = _ENGLISH_LIST.fullmatch(word)
    if found is None:
        return None
    diagnosis = found.group(2).startswith("D")
    kinds: dict[str | None, ListName] = (
        {"PRINCIPAL": "pdx", "MAIN": "pdx", "OTHER": "other_dx", "SECONDARY": "other_dx"}
        if diagnosis
        else {"PRINCIPAL": "ppx", "MAIN": "ppx", "OTHER": "other_px", "SECONDARY": "other_px"}
    )
    return List(kinds.get(found.group(1), "any_dx" if diagnosis else "any_px"), int(found[3] or 0))


def list_column(text: str) -> tuple[List, bool] | None:
    """The list that a column holds, and whether it holds its codes (else names).

    A column called 诊断编码 or 手术编码 alone holds what is principal, as in the published lists.
    """
    word = _EDITION.sub("", heading(text))
    end = _CODE_END.search(word)
    if end is None:
        found = list_of(word)
        return None if found is None else (found, True)
    stem = word[: end.start()]
    found = list_of(stem + end.group(2))
    if found is None:
        return None
    if stem in ("诊断", "手术", "手术操作", "手术或操作", "操作") and not found.number:
        found = List("pdx" if stem == "诊断" else "ppx")
    return found, end.group(1)[:2] in ("编码", "代码", "CO")


_SHEETS: tuple[tuple[str, str], ...] = (
    ("readme", r"说明|README|填写|INSTRUCTION|封面|COVER"),
    ("dx_map", r"(诊断|疾病|DX).*(对照|映射|MAP)"),
    ("px_map", r"(手术|操作|PX).*(对照|映射|MAP)"),
    ("exclusions", r"排除|CCE|EXCLU"),
    ("severity", r"MCC.*[^M]CC|^CC.*MCC|SEVERITY"),
    ("mcc", r"MCC|严重(并发症|合并症)"),
    ("cc", r"CC|并发症|合并症"),
    ("mdc_dx", r"主诊表|MDC.*(诊断|主诊|DX)"),
    ("sites", r"部位|SITE"),
    ("or_px", r"有效手术|手术室手术|ORPX"),
    ("adrg", r"ADRG|核心"),
    ("drg", r"DRG|权重|细分组|WEIGHT"),
    ("mdc", r"^MDC|大类"),
    ("dx", r"诊断|疾病|ICD10|^DX$"),
    ("px", r"手术|操作|ICD9|^PX$"),
    ("scheme", r"^方案|SCHEME"),
)


def role_of_name(title: str) -> str:
    """What a sheet may be by its name; empty where it says nothing."""
    word = heading(title)
    for role, pattern in _SHEETS:
        if re.search(pattern, word):
            return role
    return ""
