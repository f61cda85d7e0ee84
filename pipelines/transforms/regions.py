"""Regions of Finland by the first two digits of a postal code, as coarse as the code itself; for counting only.

https://www.posti.fi: the first two digits name the area of a sorting centre, which follows the regions closely, not exactly.
"""

_RANGES = (
    ("00", "03", "Helsinki area"), ("04", "10", "Uusimaa"), ("11", "14", "Kanta-Häme"), ("15", "19", "Päijät-Häme"),
    ("20", "21", "Varsinais-Suomi"), ("22", "22", "Åland"), ("23", "25", "Varsinais-Suomi"), ("26", "29", "Satakunta"),
    ("30", "31", "Kanta-Häme"), ("32", "39", "Pirkanmaa"), ("40", "44", "Keski-Suomi"), ("45", "49", "Kymenlaakso"),
    ("50", "52", "Etelä-Savo"), ("53", "56", "Etelä-Karjala"), ("57", "58", "Etelä-Savo"), ("59", "59", "Etelä-Karjala"),
    ("60", "64", "Etelä-Pohjanmaa"), ("65", "66", "Pohjanmaa"), ("67", "69", "Keski-Pohjanmaa"),
    ("70", "75", "Pohjois-Savo"), ("76", "77", "Etelä-Savo"), ("78", "79", "Pohjois-Savo"),
    ("80", "83", "Pohjois-Karjala"), ("84", "86", "Pohjois-Pohjanmaa"), ("87", "89", "Kainuu"),
    ("90", "93", "Pohjois-Pohjanmaa"), ("94", "99", "Lappi"),
)  # fmt: skip


def regions_by_prefix() -> dict[str, str]:
    """Region by the first two digits, all hundred of them."""
    return {f"{n:02d}": region for low, high, region in _RANGES for n in range(int(low), int(high) + 1)}
