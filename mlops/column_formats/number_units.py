"""What stands before or behind a number: money, a percent sign, a unit of measure."""

from __future__ import annotations

import unicodedata

__all__ = ["PERCENT", "is_currency", "is_unit"]

PERCENT = "%"
_MONEY = """
aud bgn brl cad chf clp cny cop czk dkk egp eur fr fr. gbp hkd huf idr ils inr jpy kr kr. krw kč lei lv
mxn myr ngn nok nzd pen php pkr pln r r$ rm ron rp rs rs. rub sar sek sgd sfr. thb try tl twd uah us$ usd
vnd zar zł a$ c$ hk$ s$ nz$ лв руб руб. грн дин
"""
_MEASURES = """
% ‰ g kg mg µg t lb lbs oz st ton tons tonnes km m cm mm µm nm mi mile miles ft in inch inches yd yard
yards nmi k l ml cl dl gal m2 m3 m² m³ km² ft² ha acres sqft sqm cc ccm h hr hrs hour hours min mins
minutes s sec secs seconds ms µs ns day days week weeks month months yr yrs year years °c °f ° c° kw mw
gw wh kwh mwh gwh kv mv ma ah mah ohm ω hz khz mhz ghz kb mb gb tb pb kib mib gib bit bits bytes kbps
mbps gbps pa kpa mpa hpa bar mbar psi nm kj mj cal kcal hp bhp ps rpm km/h kmh kph mph m/s ft/s knots kn
kt mpg kmpl km/l km/kg db dba lux lm px pt pp bp bps ppm ppb mol mmol/l mg/dl mg/l µg/m³ g/cm³ g/l pcs
pieces units mio mio. mrd mrd. mn bn
"""
_CURRENCIES, _UNITS = frozenset(_MONEY.split()), frozenset(_MEASURES.split())


def is_currency(unit: str) -> bool:
    """Return whether a unit is money, by its sign, its code or its name."""
    return any(unicodedata.category(sign) == "Sc" for sign in unit) or unit.lower() in _CURRENCIES


def is_unit(unit: str) -> bool:
    """Return whether a unit is one of measure; another word may be part of a name."""
    return unit.lower() in _UNITS
