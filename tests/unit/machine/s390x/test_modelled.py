"""The facilities that are claimed have all their instructions, and the others are not claimed."""

import pytest

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.machine.s390x.modelled import MODELLED_FACILITIES
from worldswitch.metal.s390x.table import instructions

NO_INSTRUCTIONS_OF_THEIR_OWN = {
    Facility.N3,
    Facility.ZARCH_INSTALLED,
    Facility.ZARCH_ACTIVE,
    Facility.SENSE_RUNNING_STATUS,
    Facility.IDTE_SEGMENT_CLEARING,
    Facility.IDTE_REGION_CLEARING,
    Facility.SENSE_RUNNING_STATUS,
    Facility.CONDITIONAL_SSKE,
    Facility.IPTE_RANGE,
    Facility.NONQUIESCING_KEY_SETTING,
    Facility.ETF2_ENHANCEMENT,
    Facility.ACCESS_EXCEPTION_FETCH_STORE,
    Facility.ETF3_ENHANCEMENT,
    Facility.CSST_2,
    Facility.LOCAL_TLB_CLEARING,
    Facility.INTERLOCKED_ACCESS_2,
}
INSTRUCTIONS = {
    Facility.DAT_ENHANCEMENT_1: "CSPG IDTE",
    Facility.ASN_AND_LX_REUSE: "EPAIR ESAIR PTI SSAIR",
    Facility.STFLE: "STFLE",
    Facility.EDAT_1: "PFMF",
    Facility.EXTENDED_TRANSLATION_2: "CLCLU MVCLU PKA PKU TP TROO TROT TRTO TRTT UNPKA UNPKU",
    Facility.MSA: "KM KMAC KMC KIMD KLMD",
    Facility.LONG_DISPLACEMENT: (
        "AHY ALY AY CDSY CHY CLIY CLMY CLY CSY CVBY CVDY CY ICMY ICY LAMY LAY LB LDY LEY LGB LHY "
        "LMY LRAY LY MSY MVIY NIY NY OIY OY SHY SLY STAMY STCMY STCY STDY STEY STHY STMY STY SY "
        "TMY XIY XY"
    ),
    Facility.HFP_MULTIPLY_ADD: "MAD MADR MAE MAER MSD MSDR MSE MSER",
    Facility.EXTENDED_IMMEDIATE: (
        "AFI AGFI ALFI ALGFI CFI CGFI CLFI CLGFI FLOGR IIHF IILF LBR LGBR LGFI LGHR LHR LLC LLCR "
        "LLGCR LLGHR LLH LLHR LLIHF LLILF LT LTG NIHF NILF OIHF OILF SLFI SLGFI XIHF XILF"
    ),
    Facility.EXTENDED_TRANSLATION_3: "CU14 CU24 CU41 CU42 SRSTU TRTR",
    Facility.STORE_CLOCK_FAST: "STCKF",
    Facility.PARSING_ENHANCEMENT: "TRTE TRTRE",
    Facility.MVCOS: "MVCOS",
    Facility.EXTRACT_CPU_TIME: "ECTG",
    Facility.CSST: "CSST",
    Facility.GENERAL_INSTRUCTIONS_EXTENSION: (
        "AGSI ALGSI ALSI ASI CGH CGHRL CGHSI CGIB CGIJ CGIT CGRB CGRJ CGRL CGRT CGFRL CHHSI CHRL "
        "CHSI CIB CIJ CIT CLFHSI CLFIT CLGFRL CLGHRL CLGHSI CLGIB CLGIJ CLGIT CLGRB CLGRJ CLGRL "
        "CLGRT CLHHSI CLHRL CLIB CLIJ CLRB CLRJ CLRL CLRT CRB CRJ CRL CRT ECAG LAEY LGFRL LGHRL "
        "LGRL LHRL LLGFRL LLGHRL LLHRL LRL LTGF MFY MHY MSFI MSGFI MVGHI MVHHI MVHI PFD PFDRL "
        "RISBG RNSBG ROSBG RXSBG STGRL STHRL STRL"
    ),
    Facility.EXECUTE_EXTENSIONS: "EXRL",
    # The decimal instructions of the floating-point extension come with facility 42 only.
    Facility.FLOATING_POINT_EXTENSION: (
        "CDLFBR CDLGBR CELFBR CELGBR CLFDBR CLFEBR CLFXBR CLGDBR CLGEBR CLGXBR CXLFBR CXLGBR SRNMB"
    ),
    Facility.LOAD_PROGRAM_PARAMETER: "LPP",
    Facility.FLOATING_POINT_SUPPORT_ENHANCEMENT: (
        "CPSDR LCDFR LDGR LFAS LGDR LNDFR LPDFR SFASR SRNMT"
    ),
    Facility.DISTINCT_OPERANDS: (
        "AGHIK AGRK AHHHR AHHLR AHIK AIH ALGHSIK ALGRK ALHHHR ALHHLR ALHSIK ALRK ALSIH ALSIHN ARK "
        "BRCTH CHF CHHR CHLR CIH CLHF CLHHR CLHLR CLIH LAA LAAG LAAL LAALG LAN LANG LAO LAOG LAX "
        "LAXG LBH LFH LHH LLCH LLHH LOC LOCG LOCGR LOCR LPD LPDG NGRK NRK OGRK ORK POPCNT RISBHG "
        "RISBLG SGRK SHHHR SHHLR SLAK SLGRK SLHHHR SLHHLR SLLK SLRK SRAK SRK SRLK STCH STFH STHH "
        "STOC STOCG XGRK XRK"
    ),
    Facility.MISCELLANEOUS_1: (
        "BPP BPRP CLGT CLT LAT LFHAT LGAT LLGFAT LLGTAT NIAI PPA RISBGN"
    ),
    Facility.LOAD_STORE_ON_CONDITION_2: (
        "LLZRGF LOCFH LOCFHR LOCGHI LOCHHI LOCHI LZRF LZRG STOCFH"
    ),
    Facility.MSA_5: "PRNO",
    Facility.MISCELLANEOUS_2: "AGH BIC MG MGH MGRK MSC MSGC MSGRKC MSRKC SGH",
    Facility.INSERT_REFERENCE_BITS_MULTIPLE: "IRBM",
    Facility.RESET_REFERENCE_BITS_MULTIPLE: "RRBM",
    Facility.MSA_3: "PCKMO",
    Facility.MSA_4: "KMCTR KMF KMO PCC",
    Facility.EDAT_2: "CRDTE",
}  # fmt: skip
ALWAYS = (
    "AD ADR AE AER AP AU AUR AW AWR AXR BAKR BSA BSG CD CDFR CDGR CDR CDS CDSG CE CEFR CEGR CER "
    "CFC CFDR CFER CFXR CGDR CGER CGXR CKSM CLCLE CP CU12 CU21 CUSE CVBG CVDG CXFR CXGR CXR DD "
    "DDR DE DER DP DXR ED EDMK EREG EREGG ESTA FIDR FIER FIXR HDR HER LASP LCDR LCER LCXR LDE "
    "LDER LDXR LEDR LEXR LNDR LNER LNXR LPDR LPER LPXR LTDR LTER LTXR LXD LXDR LXE LXER MD MDE "
    "MDER MDR MEE MEER MP MSTA MVCK MVCP MVCS MVN MVO MVZ MXD MXDR MXR PACK PC PLO PR PT SD SDR "
    "SE SER SP SQD SQDR SQE SQER SQXR SRP SSAR SU SUR SW SWR SXR TAR TRE TRT TS UNPK UPT ZAP"
)


@pytest.mark.parametrize("facility", sorted(MODELLED_FACILITIES))
def test_a_claimed_facility_has_its_instructions(facility: int) -> None:
    if facility in NO_INSTRUCTIONS_OF_THEIR_OWN:
        assert facility not in INSTRUCTIONS
        return
    have = {item.mnemonic: item for item in instructions()}
    missing = [name for name in INSTRUCTIONS[Facility(facility)].split() if name not in have]
    assert not missing
    for name in INSTRUCTIONS[Facility(facility)].split():
        assert have[name].facility in (None, facility), name


def test_instructions_that_every_machine_has_do_not_depend_on_a_facility() -> None:
    have = {item.mnemonic: item.facility for item in instructions()}
    assert {name: have.get(name, 0) for name in ALWAYS.split()} == dict.fromkeys(ALWAYS.split())


def test_an_instruction_of_an_unclaimed_facility_is_listed_nowhere() -> None:
    assert set(INSTRUCTIONS) | NO_INSTRUCTIONS_OF_THEIR_OWN == {
        Facility(facility) for facility in MODELLED_FACILITIES
    }
