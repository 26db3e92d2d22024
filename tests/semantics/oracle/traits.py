"""What the generator has to know of instructions beyond their formats."""

OTHER_CONTROLS = {
    # Address spaces, keys and program calls: the emulator has no DAT here.
    "IVSK", "IAC", "SAC", "SACF", "IPK", "SPKA", "EPAR", "EPAIR", "ESAR", "ESAIR", "MVCP", "MVCS",
    "MVCK", "MVCSK", "MVCDK", "MVCOS", "MVPG", "BSA", "PR", "PC", "PT", "BAKR",
    # Time and what depends on the model or on nothing at all.
    "STCK", "STCKF", "STCKE", "ECTG", "PTFF", "STFLE", "ECAG", "PRNO", "KMAC", "KMF", "KMO", "KM",
    "KMC", "KIMD", "KLMD", "KMCTR", "KMA", "KDSA", "PCC", "CMPSC", "DFLTCC", "STHYI",
    # Other ways out of the program.
    "SVC", "MC", "SCKPF", "PTF",
}  # fmt: skip
"""Not compared with the emulator; the compiled and the plain engine are compared on them."""

BRANCHES = {
    "BRC", "BRCL", "BCR", "BC", "BASR", "BALR", "BSM", "BASSM", "BCTR", "BCTGR", "BAS", "BAL",
    "BCT", "BCTG", "BRAS", "BRASL", "BRCT", "BRCTG", "BRCTH", "BRXH", "BRXLE", "BRXHG", "BRXLG",
    "BXH", "BXLE", "BXHG", "BXLEG", "CRJ", "CGRJ", "CLRJ", "CLGRJ", "CIJ", "CGIJ", "CLIJ",
    "CLGIJ", "CIB", "CGIB", "CLIB", "CLGIB", "CRB", "CGRB", "CLRB", "CLGRB", "BIC",
}  # fmt: skip
"""They end in the trap bytes around them."""
TO_REGISTER_2 = {"BCR", "BASR", "BALR", "BSM", "BASSM", "BCTR", "BCTGR"}
TO_STORAGE_ADDRESS = {"BC", "BAS", "BAL", "BCT", "BCTG", "BXH", "BXLE", "BXHG", "BXLEG"}

CODE_TARGETS = {"EXRL", "PFDRL"}
NO_ACCESS = {
    "LA", "LAY", "LAE", "LAEY", "SLL", "SRL", "SRA", "SLA", "SLDL", "SRDL", "SRDA", "SLDA",
    "SLLK", "SRLK", "SRAK", "SLAK", "SLLG", "SRLG", "SRAG", "SLAG", "RLL", "RLLG", "PFD",
    "SRNM", "SRNMB", "SRNMT", "EX",
}  # fmt: skip
"""Their second-operand address is a number."""

ADDRESS_REGISTERS = {
    "MVCL": ("r1", "r2"), "CLCL": ("r1", "r2"), "MVCLE": ("r1", "r3"), "CLCLE": ("r1", "r3"),
    "SRST": ("r1", "r2"), "SRSTU": ("r1", "r2"), "MVST": ("r1", "r2"), "CLST": ("r1", "r2"),
    "TRE": ("r1", "r2"), "CKSM": ("r2",), "CUSE": ("r1", "r2"), "MVCLU": ("r1", "r3"),
    "CLCLU": ("r1", "r3"), "TROO": ("r1", "r2"), "TROT": ("r1", "r2"), "TRTO": ("r1", "r2"),
    "TRTT": ("r1", "r2"), "CU12": ("r1", "r2"), "CU14": ("r1", "r2"), "CU21": ("r1", "r2"),
    "CU24": ("r1", "r2"), "CU41": ("r1", "r2"), "CU42": ("r1", "r2"), "TRTE": ("r1", "r2"),
    "TRTRE": ("r1", "r2"),
}  # fmt: skip
"""Registers that designate storage operands themselves."""
LENGTH_REGISTERS = {
    "MVCL": ("r1", "r2"), "CLCL": ("r1", "r2"), "MVCLE": ("r1", "r3"), "CLCLE": ("r1", "r3"),
    "TRE": ("r1",), "CKSM": ("r2",), "CUSE": ("r1", "r2"), "MVCLU": ("r1", "r3"),
    "CLCLU": ("r1", "r3"), "TROO": ("r1",), "TROT": ("r1",), "TRTO": ("r1",), "TRTT": ("r1",),
    "CU12": ("r1", "r2"), "CU14": ("r1", "r2"), "CU21": ("r1", "r2"), "CU24": ("r1", "r2"),
    "CU41": ("r1", "r2"), "CU42": ("r1", "r2"), "TRTE": ("r1",), "TRTRE": ("r1",),
}  # fmt: skip
"""Even registers whose odd neighbour is an operand's length."""
TABLE_IN_R1 = {"TROO", "TROT", "TRTO", "TRTT", "TRTE", "TRTRE"}
"""General register 1 designates a translation table."""
INTERRUPTIBLE = {
    "MVCLE", "CLCLE", "SRST", "SRSTU", "MVST", "CLST", "TRE", "CKSM", "MVCLU", "CLCLU", "TROO",
    "TROT", "TRTO", "TRTT", "CU12", "CU14", "CU21", "CU24", "CU41", "CU42", "TRTE", "TRTRE",
}  # fmt: skip
"""Condition code 3 means that the processor has not finished: they are executed again."""
PAIRS = {
    "MR": ("r1",), "DR": ("r1",), "M": ("r1",), "D": ("r1",), "SLDL": ("r1",), "SRDL": ("r1",),
    "SLDA": ("r1",), "SRDA": ("r1",), "MLR": ("r1",), "MLGR": ("r1",), "DLR": ("r1",),
    "DLGR": ("r1",), "DSGR": ("r1",), "DSGFR": ("r1",), "ML": ("r1",), "MLG": ("r1",),
    "DL": ("r1",), "DLG": ("r1",), "DSG": ("r1",), "DSGF": ("r1",), "MFY": ("r1",), "MG": ("r1",),
    "MGRK": ("r1",), "LPQ": ("r1",), "STPQ": ("r1",), "CDS": ("r1", "r3"), "CDSY": ("r1", "r3"),
    "CDSG": ("r1", "r3"), "LPD": ("r3",), "LPDG": ("r3",), "FLOGR": ("r1",),
} | LENGTH_REGISTERS  # fmt: skip
"""Even registers, which the generator chooses nearly always."""
ALIGNED = {
    "CS": 4, "CSY": 4, "CSG": 8, "CDS": 8, "CDSY": 8, "CDSG": 16, "LPQ": 16, "STPQ": 16, "LPD": 4,
    "LPDG": 8, "LAA": 4, "LAAL": 4, "LAN": 4, "LAO": 4, "LAX": 4, "LAAG": 8, "LAALG": 8,
    "LANG": 8, "LAOG": 8, "LAXG": 8, "LM": 4, "STM": 4, "LAM": 4, "STAM": 4, "LAMY": 4,
    "STAMY": 4,
}  # fmt: skip
"""Operands whose alignment matters."""
