"""A made-up checkout in the form of OpenDRG's DRG_Python: one small variant, every kind of rule."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "Grouper.py": """
from drg_group.tiny.MDC import MDCA,MDCP,MDCZ,MDCB
def group(record):
  result=MDCA.group(record)
  if result:
    return result
  result=MDCP.group(record)
  if result:
    return result
  result=MDCZ.group(record)
  if result:
    return result
  result=MDCB.group(record)
  if result:
    return result
  message('none')
  return '0000'
""",
    "MDC/MDCA.py": """
def group(record):
  mdc_zd=[]
  dept_list=[]
  if not (True and record.ssList and (record.ssList[0] in SS_VALID or
      record.ssList[0] in ["99.1"])):
    return ''
  result=AH1.group(record)
  if result:
    return result
  if False and record.ssList and intersect(SS_VALID,record.ssList):
    return 'AQY'
  message('none')
""",
    "MDC/MDCP.py": """
def group(record):
  mdc_zd=["P07"]
  if not (True and record.zdList[0] in mdc_zd and int(record.age)==0):
    return ''
  result=PS1.group(record)
  if result:
    return result
""",
    "MDC/MDCZ.py": """
def group(record):
  mdc_zd=["头部创伤","S01","S02","下肢创伤","S81","S01"]
  if not (True and record.zdList[0] in mdc_zd):
    return ''
  zd_map={}
  type=""
  for x in mdc_zd:
    if x.endswith("创伤"):
      type=x
    else:
      zd_map[x]=type
  zd_matched=set(record.zdList).intersection(zd_map.keys())
  types=set([zd_map.get(x) for x in zd_matched])
  if zd_matched:
    message('x')
    if len(types)<2:
      return ''
  else:
    return ''
  result=ZZ1.group(record)
  if result:
    return result
""",
    "MDC/MDCB.py": """
def group(record):
  mdc_zd=["I63","I64","G00"]
  if not (True and record.zdList[0] in mdc_zd and record.gender=='1'):
    return ''
  result=BB1.group(record)
  if result:
    return result
  result=BJ1.group(record)
  if result:
    return result
  if record.ssList and intersect(SS_VALID,record.ssList):
    message('x')
    return 'BQY'
  result=BR2.group(record)
  if result:
    return result
  result=BS1.group(record)
  if result:
    return result
""",
    "ADRG/AH1.py": """
def group(record):
  adrg_zd=[]
  adrg_ss=["31.1"]
  if True and record.ssList and record.ssList[0] in adrg_ss and record.ssList and \\
      intersect(record.ssList,adrg_ss):
    message('x')
    if MDCA_DRG.AH11_group(record):
      return 'AH11'
    if MDCA_DRG.AH13_group(record):
      return 'AH13'
    return 'AH1'
  else:
    return ''
""",
    "ADRG/PS1.py": """
def group(record):
  adrg_zd=["P07","P08"]
  if True and intersect(record.zdList,adrg_zd) and record.weight and record.weight<1500 and \\
      record.ageDay!=None and record.ageDay<=28:
    if MDCP_DRG.PS19_group(record):
      return 'PS19'
    return ''
  else:
    return ''
""",
    "ADRG/ZZ1.py": """
def group(record):
  if True and not intersect(record.ssList,SS_VALID):
    if MDCZ_DRG.ZZ19_group(record):
      return 'ZZ19'
    return 'ZZ1'
  else:
    return ''
""",
    "ADRG/BB1.py": """
def group(record):
  adrg_ss=["85.1","85.2","85.3","85.1"]
  adrg_ss1=["1","2","3","3"]
  ss_matched=[adrg_ss1[adrg_ss.index(x)] for x in record.ssList if x in adrg_ss]
  if True and record.zdList[0] in ["G00"] and ('1' in ss_matched or
      ('2' in ss_matched and '3' in ss_matched)):
    if BB1X.group(record):
      return 'BB1X'
    if MDCB_DRG.BB19_group(record):
      return 'BB19'
  return ''
""",
    "ADRG/BJ1_1.py": """
def group(record):
  adrg_ss=["01.1"]
  adrg_ss1=["01.2"]
  if True and record.ssList and intersect(record.ssList[1:],adrg_ss) and \\
      intersect(record.ssList,adrg_ss1):
    return 'BJ19'
  return ''
""",
    "ADRG/BR2.py": """
def group(record):
  adrg_zd=["I63","I64"]
  if True and record.zdList[0] in adrg_zd and (not record.ssList or
      not record.ssList[0] in SS_VALID):
    if MDCB_DRG.BR21_group(record):
      return 'BR21'
    if MDCB_DRG.BR23_group(record):
      return 'BR23'
    if MDCB_DRG.BR24_group(record):
      return 'BR24'
    if MDCB_DRG.BR25_group(record):
      return 'BR25'
    return 'BR2'
  else:
    return ''
""",
    "ADRG/BS1.py": """
def group(record):
  adrg_zd1=["J96"]
  if True and intersect(record.zdList[1:],adrg_zd1):
    if MDCB_DRG.BS11_group(record):
      return 'BS11'
    return 'BS19'
  else:
    return ''
""",
    "DRG/MDCA_DRG.py": """
def AH11_group(record):
  return len(record.zdList)>1 and has_mcc(record.zdList[0],record.zdList[1:])
def AH13_group(record):
  return record.ssList and '39.6' in record.ssList and ('39.9' in record.ssList)
""",
    "DRG/MDCP_DRG.py": "def PS19_group(record):\n  return True\n",
    "DRG/MDCZ_DRG.py": """
def ZZ19_group(record):
  return len(record.ssList)>1 and intersect(record.ssList[1:],["93.1"])
""",
    "DRG/MDCB_DRG.py": """
def BB19_group(record):
  return True
def BR21_group(record):
  return len(record.zdList)>1 and (has_mcc(record.zdList[0],record.zdList[1:]) or \\
    has_cc(record.zdList[0],record.zdList[1:])) and (record.age<=14)
def BR23_group(record):
  return 7<=record.inHospitalTime<14 and record.leavingType in ['4','5']
def BR24_group(record):
  return record.dept=='ICU' or record.icuHours>120
def BR25_group(record):
  return 1<=record.icuHours<=120
def BS11_group(record):
  return False
""",
    "DRG_EX/BB1X.py": """
def group(record):
  adrg_zd=["A01"]
  if True and intersect(record.zdList,adrg_zd) and has_cc(record.zdList[0],record.zdList[1:]):
    message('x')
    return True
""",
    "DATA/MCC.dat": "J96 lung\nI21 \n",
    "DATA/CC.dat": "E11 sugar\nI10 \n",
    "DATA/CCE.dat": "I63 sugar\nJ44 lung\n",
    "DATA/SS_VALID.dat": "01.2 operation\n02.2 operation\n31.1 operation\n",
    "DATA/DRG.dat": "AH11 ventilation，伴严重并发症\nBR21 stroke\n",
    "ICD/ZD_INFO.dat": "I63 stroke\nI64 stroke, unspecified\n",
    "ICD/SS_INFO.dat": "01.2 operation\n",
    "ICD/ZD_MAP.dat": "I63 I63\nOLD I63\nGONE -\n",
    "ICD/SS_MAP.dat": "01.2 01.2\n",
    "Grouper_tiny.py": """
class Grouper_tiny:
  def group(self,record):
    result=group(record)
    if result=='0000' and record.ssList and len(record.ssList)>1:
      for ss in record.ssList[1:]:
        record=record._replace(ssList=[ss])
""",
}

RULES = [
    ("mdc", "MDCA", "A", "ppx in or_px or ppx in MDCA.lit"),
    ("adrg", "AH1", "AH1", "ppx in AH1.px and any_px in AH1.px"),
    ("drg", "AH11", "AH11", "mcc"),
    ("drg", "AH13", "AH13", "any_px in AH13.lit and any_px in AH13.lit2"),
    ("drg", "AH1", "AH1", "true"),
    ("mdc", "MDCP", "P", "pdx in MDCP.dx and age == 0"),
    ("adrg", "PS1", "PS1", "any_dx in PS1.dx and weight < 1500 and age_days <= 28"),
    ("drg", "PS19", "PS19", "true"),
    ("mdc", "MDCZ", "Z", "pdx in MDCZ.dx and sites(MDCZ) >= 2"),
    ("adrg", "ZZ1", "ZZ1", "not any_px in or_px"),
    ("drg", "ZZ19", "ZZ19", "other_px in ZZ19.lit"),
    ("drg", "ZZ1", "ZZ1", "true"),
    ("mdc", "MDCB", "B", "pdx in MDCB.dx and sex == 1"),
    (
        "adrg",
        "BB1",
        "BB1",
        "pdx in BB1.lit and (any_px in BB1.px1 or any_px in BB1.px2 and any_px in BB1.px3)",
    ),
    ("drg", "BB1X", "BB1X", "any_dx in BB1X.dx and cc"),
    ("drg", "BB19", "BB19", "true"),
    ("adrg", "BJ1_1", "BJ1", "other_px in BJ1_1.px and any_px in BJ1_1.px2"),
    ("drg", "BJ19", "BJ19", "true"),
    ("adrg", "BQY", "BQY", "any_px in or_px"),
    ("drg", "BQY", "BQY", "true"),
    ("adrg", "BR2", "BR2", "pdx in BR2.dx and not ppx in or_px"),
    ("drg", "BR21", "BR21", "(mcc or cc) and age <= 14"),
    ("drg", "BR23", "BR23", "los >= 7 and los < 14 and discharge in (4, 5)"),
    ("drg", "BR24", "BR24", 'dept == "ICU" or icu_hours > 120'),
    ("drg", "BR25", "BR25", "icu_hours >= 1 and icu_hours <= 120"),
    ("drg", "BR2", "BR2", "true"),
    ("adrg", "BS1", "BS1", "other_dx in BS1.dx2"),
    ("drg", "BS19", "BS19", "true"),
]
"""What the checkout says, as rows of a decision list."""


def write(folder: Path, changes: dict[str, str | None] | None = None) -> Path:
    """The checkout with some files replaced; None takes a file away."""
    for name, text in {**FILES, **(changes or {})}.items():
        if text is not None:
            path = folder / "drg_group" / "tiny" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return folder
