"""Policy files: defaults, extending, printing, and errors that name the key."""

from __future__ import annotations

import doctest
from pathlib import Path

import pyarrow as pa
import pytest

import grouper
import grouper.grouping
import grouper.run.api
import grouper.scheme.scheme
import grouper.settlement.policydoc as policydoc
import grouper.settlement.policyfile as policyfile
from grouper.errors import PolicyError, RegionError
from grouper.settlement.policy import Policy
from grouper.settlement.policyfaults import all_keys
from grouper.settlement.policyfile import builtin_policies, check_policy, load_policy
from tests.cluster.typed import typed


def written(folder: Path, text: str, name: str = "p.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", builtin_policies())
def test_shown_policy_reads_back_the_same(tmp_path: Path, name: str) -> None:
    policy = load_policy(name)
    shown = written(tmp_path, policydoc.policy_text(policy))
    assert load_policy(shown) == policy
    assert load_policy(shown).digest == policy.digest


def test_guigang_states_the_defaults() -> None:
    policy = load_policy("guigang-points")
    named = {"id", "title", "title_zh", "document"}
    assert policy.model_dump(exclude=named) == Policy(id="plain").model_dump(exclude=named)


def test_extending_merges_tables_key_by_key(tmp_path: Path) -> None:
    written(tmp_path, 'extends = "guigang-points"\nid = "base"\n[low]\nratio = 0.25\n', "base.toml")
    top = written(
        tmp_path,
        'extends = "base.toml"\nid = "top"\n[low]\ncost = "compliant_cost"\n'
        '[year_end]\nsurplus_cap = "none"\n[[high.multiples]]\ntimes = 2\n',
    )
    policy = load_policy(top)
    assert (policy.low.ratio, policy.low.cost) == (load_policy(tmp_path / "base.toml").low.ratio,
                                                   "compliant_cost")  # fmt: skip
    assert policy.year_end.surplus_cap is None
    assert [row.times for row in policy.high.multiples] == [2]


FAULTS = {
    "unknown key": ("[high]\nmutiples = 3", "high.mutiples", "did you mean 'multiples'?"),
    "key of another table": ("min_cases = 3", "min_cases", "'stability.min_cases'"),
    "unknown table": ("[hihg]\nmean = 'level'", "hihg", "did you mean 'high'?"),
    "out of range": ("[month]\nratio = 1.5", "month.ratio", "the value is"),
    "not a number": ("[low]\nratio = 'much'", "low.ratio", "the value is 'much'"),
    "a flag for a number": ("[low]\nratio = true", "low.ratio", "the value is true"),
    "unknown word": ("[pools]\nby = 'moon'", "pools.by", "the value is 'moon'"),
    "falling multiples": (
        "[high]\nmultiples = [{up_to=2,times=1},{up_to=1,times=1},{times=1}]",
        "high",
        "",
    ),
    "missing in a row": ("[high]\nmultiples = [{up_to = 1}]", "high.multiples.0.times", "value"),
    "a step twice": (
        "[year_end]\norder = ['prepaid', 'prepaid', 'self_pay', 'assessment']",
        "year_end",
        "",
    ),
    "price without yuan": ("[price]\ntable = 'price'", "", ""),
    "not TOML": ("[low", "", "half-width quotes"),
    "unknown base": ("extends = 'guigang'", "extends", "did you mean 'guigang-points'?"),
    "base is no name": ("extends = 3", "extends", ""),
    "itself": ("extends = 'p.toml'", "extends", "remove one link"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_name_the_key(tmp_path: Path, fault: str) -> None:
    text, key, hint = FAULTS[fault]
    file = written(tmp_path, f'id = "x"\n{text}\n')
    with pytest.raises(PolicyError) as caught:
        load_policy(file)
    assert caught.value.key == key
    assert hint in caught.value.hint
    assert caught.value.file == str(file)


FAULTY = """
id = "faulty"
tytle = "x"
reject = ["los_difers", "overlapping_stays"]
[month]
ratio = 1.5
annual_prepay = -1
[low]
enabled = "maybe"
[weights]
places = 12.5
frozen = "FM1"
changes = { FM11 = 0 }
[calendar]
final_day = 40
payment_day = 20
[year_end]
surplus_cap = -1
order = ["prepaid"]
[price]
table = "price"
[monitoring]
shown = ["cmii", "cmi", "cmj"]
"""


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """In our words, contradictions too, but none that a faulty key may be the cause of."""
    policy, faults = check_policy(written(tmp_path, FAULTY))
    assert policy is None
    told = {fault.key: (fault.message, fault.hint) for fault in faults}
    assert len(told) == len(faults)
    assert "los_differs" in told["reject"][0]
    assert "'overlapping_stays' compares cases" in told.pop("reject")[0]
    assert told.pop("")[0] == 'price.table and month.value = "yuan" belong together'
    assert told == {
        "tytle": ("unknown key 'tytle'", "did you mean 'title'?"),
        "month.ratio": ("must be from 0 to 1", "the value is 1.5"),
        "month.annual_prepay": ("must be 0 or more", "the value is -1"),
        "low.enabled": ("must be true or false", "the value is 'maybe'"),
        "weights.places": ("must be a whole number from 0 to 12", "the value is 12.5"),
        "weights.frozen": ("must be a list in brackets", "the value is 'FM1'"),
        "weights.changes.FM11": ("must be more than 0", "the value is 0"),
        "calendar.final_day": ("must be from 1 to 31", "the value is 40"),
        "year_end.surplus_cap": ("must be 0 or more", "the value is -1"),
    }
    with pytest.raises(PolicyError, match=r"there are more faults: `grouper policy check`"):
        load_policy(tmp_path / "p.toml")


def test_the_command_tells_every_fault(tmp_path: Path) -> None:
    told = typed("policy", "check", written(tmp_path, FAULTY), code=1)
    assert told.count("error: ") == 13
    assert "13 faults" in told
    assert told.count("monitoring.shown: there is no indicator 'cm") == 2
    shown = written(tmp_path, 'id = "x"\n[monitoring]\nshown = ["cmii", "cmi", "cmj"]')
    told = typed("policy", "check", shown, code=1)
    assert told.count("monitoring.shown: there is no indicator 'cm") == 2
    for odd, faults in (
        ("monitoring = 3", 1),
        ("[month]\nratio = nan", 1),
        ("[monitoring]\nshown = 3", 1),
        ('[monitoring]\nshown = ["cmii", 3]', 2),
    ):
        told = typed("policy", "check", written(tmp_path, f'id = "x"\n{odd}'), code=1)
        assert told.count("error: ") == faults
    for text in ("", "id = 3"):
        assert "1 fault" in typed("policy", "check", written(tmp_path, text), code=1)
    assert "good" in typed("policy", "check", "guigang-points")


def test_unknown_name() -> None:
    with pytest.raises(PolicyError, match="there is no policy 'guigang-point'") as caught:
        load_policy("guigang-point")
    assert "guigang-points" in caught.value.hint


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_bytes('id = "贵港"'.encode("gb18030"))
    with pytest.raises(PolicyError, match="not UTF-8"):
        load_policy(file)


def test_a_mark_before_the_text_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_bytes('id = "贵港"'.encode("utf-8-sig"))
    assert load_policy(file).id == "贵港"


def test_numbers_are_exact(tmp_path: Path) -> None:
    policy = load_policy(written(tmp_path, 'id = "x"\n[low]\nratio = "1/3"\n[month]\nratio = 0.95'))
    assert policy.low.ratio * 3 == 1
    assert policy.month.ratio * 100 == 95


def test_every_key_is_told_in_both_languages_on_the_page() -> None:
    page = Path(policydoc.__file__).parent / "KEYS.md"
    assert page.read_text(encoding="utf-8") == policydoc.keys_page(), (
        "run: grouper policy keys > grouper/settlement/KEYS.md"
    )
    for row in page.read_text(encoding="utf-8").splitlines():
        if row.startswith("| `"):
            _, _, meaning, chinese, *_ = row.split("|")
            assert meaning.strip()
            assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese), row
    assert len(all_keys()) > 80


def test_examples_of_the_interface() -> None:
    for module in (grouper.grouping, grouper.scheme.scheme, policyfile, grouper.run.api):
        found = doctest.testmod(module)
        assert found.attempted
        assert found.failed == 0


def test_what_python_hands_over() -> None:
    scheme, policy = grouper.load_scheme("chs-core"), policyfile.load_policy("guigang-points")
    cases = pa.table({"case_id": ["a"], "dx": [["I21.900"]]})
    settle = grouper.run.api.settle
    with pytest.raises(TypeError, match="the scheme is 'chs-core'"):
        settle({"cases": cases}, "chs-core", policy)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="load_policy makes one"):
        settle({"cases": cases}, scheme, "guigang-points")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="load_scheme makes one"):
        grouper.grouping.group(cases, "chs-core")  # type: ignore[arg-type]
    with pytest.raises(RegionError, match="no such table") as told:
        settle({"cases": cases, "drugs": cases}, scheme, policy)
    assert "hospitals" in (told.value.hint or "")
    odd = pa.table({"hospital_id": ["H1"], "level": [[1, 2]]})
    with pytest.raises(RegionError, match="cannot be written"):
        settle({"cases": cases, "hospitals": odd}, scheme, policy)
