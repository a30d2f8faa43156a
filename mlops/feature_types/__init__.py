"""What a column's values are: a class each, and the register that a project may add to.

The serving image carries this package: standard library at the top, numpy and pandas where they are needed.
"""

from __future__ import annotations

from mlops.feature_types.boolean import Boolean
from mlops.feature_types.category import Category
from mlops.feature_types.date import Date
from mlops.feature_types.feature_type import FeatureType
from mlops.feature_types.number import Number
from mlops.feature_types.text import Text
from mlops.register import Register

__all__ = ["BOOLEAN", "CATEGORY", "DATE", "NUMBER", "REGISTER", "TEXT", "FeatureType", "find", "register"]

NUMBER, CATEGORY, BOOLEAN, TEXT, DATE = Number(), Category(), Boolean(), Text(), Date()
REGISTER: Register[FeatureType] = Register("data.features", NUMBER, CATEGORY, BOOLEAN, TEXT, DATE)
register, find = REGISTER.register, REGISTER.find
