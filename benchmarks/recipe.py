"""The model that retraining policies are compared with: the same for every stream and every policy."""

from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder


def build(params, schema):
    """Return gradient-boosted trees behind an encoding of the categories."""
    categories = [name for name, type in schema.features.items() if type == "category"]
    encode = make_column_transformer(
        (
            OrdinalEncoder(
                handle_unknown="use_encoded_value",
                unknown_value=-1,
                encoded_missing_value=-1,
                min_frequency=20,
            ),
            categories,
        ),
        remainder="passthrough",
    )
    regression = schema.task == "regression"
    model = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    return make_pipeline(encode, model(random_state=0, early_stopping=False, **params))
