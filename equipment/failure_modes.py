"""Classes of equipment and their failure modes, with the codes of ISO 14224: what a new organisation starts with."""

FOR_EVERY_CLASS = {
    "UNK": "Unknown",
    "OTH": "Other",
    "AIR": "Abnormal instrument reading",
}

_ROTATING = {
    "VIB": "Vibration",
    "OHE": "Overheating",
    "NOI": "Noise",
    "ELU": "External leakage of utility medium",
    "FTS": "Fails to start on demand",
    "STP": "Fails to stop on demand",
    "BRD": "Breakdown",
    "LOO": "Low output",
    "HIO": "High output",
    "ERO": "Erratic output",
    "PDE": "Parameter deviation",
    "STD": "Structural deficiency",
}

CLASSES = {
    "PU": ("Pumps", _ROTATING | {"ELP": "External leakage of process medium", "PLU": "Plugged or choked"}),
    "EM": ("Electric motors", _ROTATING),
    "CO": ("Compressors", _ROTATING | {"ELP": "External leakage of process medium"}),
    "BL": ("Blowers and fans", _ROTATING | {"PLU": "Plugged or choked"}),
    "GE": ("Gearboxes", _ROTATING),
    "CV": ("Conveyors", _ROTATING | {"PLU": "Plugged or choked"}),
    "HE": (
        "Heat exchangers",
        {
            "PLU": "Plugged or choked",
            "IHT": "Insufficient heat transfer",
            "ELP": "External leakage of process medium",
            "INL": "Internal leakage",
            "PDE": "Parameter deviation",
            "STD": "Structural deficiency",
        },
    ),
    "CH": (
        "Chillers",
        _ROTATING | {"IHT": "Insufficient heat transfer", "ELP": "External leakage of process medium"},
    ),
    "SY": ("Systems", {"PDE": "Parameter deviation", "LOO": "Low output", "ERO": "Erratic output"}),
}
