"""A small pack that uses every part of the rule language."""

from pathlib import Path

from grouper.scheme import Scheme, load_scheme

_FILES = {
    "scheme.toml": """\
id = "small"
retry_other_procedures = true

[attributes]
robot = "minutes with a surgical robot"
trial = "number of the clinical trial"
""",
    "groups.csv": """\
level,node,code,name,when
mdc,MDCA,A,early,any_px in A.px and any_px in A.px2 or icu_hours > 200
adrg,AA1,AA1,both,ppx in A.px and other_px in A.px2
drg,AA19,AA19,both,true
adrg,AB1,AB1,long intensive care,icu_hours >= 300 or icu_hours > 200 and los >= 20
drg,AB11,AB11,died,discharge in (5)
drg,AB15,AB15,lived,true
mdc,MDCP,P,newborn,pdx in P.dx and age == 0
adrg,PS1,PS1,light,any_dx in P.early and weight < 1500 and age_days <= 28
drg,PS11,PS11,light with MCC,mcc
drg,PS13,PS13,light with CC,mcc or cc
drg,PS15,PS15,light,true
adrg,PU1,PU1,first month,age_days <= 28
drg,PU19,PU19,first month,true
adrg,PV1,PV1,later,true
drg,PV19,PV19,later,true
mdc,MDCZ,Z,several injuries,pdx in Z.dx and sites(body) >= 3
adrg,ZJ1,ZJ1,operated,ppx in or_px
drg,ZJ19,ZJ19,operated,true
adrg,ZZ1,ZZ1,not operated,not (any_px in or_px)
drg,ZZ19,ZZ19,not operated,true
mdc,MDCN,N,women,pdx in N.dx and sex == 2
adrg,NB1,NB1,two at once,count(any_px in N.px) >= 2
drg,NB19,NB19,two at once,true
adrg,NB2,NB2,one,count(any_px in N.px) == 1
drg,NB21,NB21,young,age < 18
drg,NB25,NB25,grown,age != 40
drg,NB29,NB29,forty,true
adrg,NZ1,NZ1,other,not any_px in or_px
drg,NZ19,NZ19,other,true
adrg,NQY,NQY,ambiguous,any_px in or_px
drg,NQY,NQY,ambiguous,true
mdc,MDCE,E,breath,pdx in E.dx
adrg,EB1,EB1,robot,ppx in E.px and robot >= 60
drg,EB19,EB19,robot,true
adrg,EB2,EB2,chest,ppx in E.px
drg,EB21,EB21,with MCC,mcc
drg,EB23,EB23,with CC,cc
drg,EB25,EB25,without,true
adrg,ER1,ER1,trial,trial > 0 and not (robot > 0)
drg,ER19,ER19,trial,true
adrg,ES1,ES1,ward,dept == "A03.01"
drg,ES11,ES11,with MCC only,mcc and not cc
drg,ES13,ES13,with both,mcc
drg,ES15,ES15,several companions,count(other_dx in E.dx) >= 2
drg,ES19,ES19,other,true
adrg,EZ1,EZ1,elsewhere,true
drg,EZ19,EZ19,left,"discharge in (2, 3, 4)"
drg,EZ29,EZ29,other,true
""",
    "sets.csv": """\
set,code
A.px,33.5%
A.px2,37.51%
P.dx,P%
P.early,P07.1%
Z.dx,S%
N.dx,N8%
N.px,68.4%
N.px,65.6100
E.dx,J1%
E.dx,J44%
E.px,32.4%
or_px,32.%
or_px,33.%
or_px,37.5%
or_px,65.%
or_px,68.%
""",
    "sites.csv": """\
family,site,code
body,head,S0%
body,chest,S2%
body,belly,S3%
body,leg,S8%
""",
    "severity.csv": """\
code,level,exclusion
J96%,MCC,1
I21%,MCC,
N17%,MCC,2
P36%,MCC,3
I50%,CC,
E87%,CC,2
J90%,CC,1
P59%,CC,3
""",
    "exclusions.csv": "pdx,exclusion\nJ1%,1\nJ44%,1\nP%,4\n",
    "dx.csv": "code,name\nR50.900,fever\nT88.900,complication\n",
    "px.csv": "code,name\n88.7200,echo\n",
    "dx_map.csv": "from,to\n",
    "px_map.csv": "from,to\n",
}

_BY_MDC = {
    "A": "A19 B11 B15",
    "P": "S11 S13 S15 U19 V19",
    "Z": "J19 Z19",
    "N": "B19 B21 B25 B29 Z19 QY",
    "E": "B19 B21 B23 B25 R19 S11 S13 S15 S19 Z19 Z29",
}
REACHABLE = frozenset(mdc + drg for mdc, drgs in _BY_MDC.items() for drg in drgs.split())
"""Every DRG of the pack."""


def small_scheme(folder: Path) -> Scheme:
    """Write the pack and load it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return load_scheme(folder)
