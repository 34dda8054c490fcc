"""Fit the judge: a ridge-penalised logistic regression and boosted trees, averaged, and calibrated by articles."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from judge_rows import SEED, Row
from numpy.typing import NDArray

FOLDS, PENALTY, NEWTON_STEPS, ROUNDS, FORESTS = 6, 50.0, 8, 200, 2
PRODUCTS = (
    "coverage*cosine",
    "missing_rarest*coverage",
    "cosine_best*coverage_best",
    "names_missing*numbers_missing",
    "qualifiers_missing*coverage",
)
TREES = {
    "objective": "binary",
    "learning_rate": 0.04,
    "num_leaves": 8,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.25,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
Matrix = NDArray[np.float64]


class Table(NamedTuple):
    """Hold rows as numbers: features (rows, features) by name, right answers, weights and articles."""

    names: tuple[str, ...]
    values: Matrix
    right: Matrix
    weight: Matrix
    article: NDArray[Any]
    kind: NDArray[Any]

    def only(self, kept: NDArray[np.bool_]) -> "Table":
        return self._replace(
            values=self.values[kept],
            right=self.right[kept],
            weight=self.weight[kept],
            article=self.article[kept],
            kind=self.kind[kept],
        )


class Fitted(NamedTuple):
    """Hold a judge before its calibration."""

    weights: Mapping[str, float]
    intercept: float
    forests: Sequence[lightgbm.Booster]

    def logits(self, table: Table) -> Matrix:
        """Return the mean of the regression's logit and the forests'."""
        regression = terms(table) @ np.array(list(self.weights.values())) + self.intercept
        boosted = [np.asarray(forest.predict(table.values, raw_score=True)) for forest in self.forests]
        return (regression + np.mean(boosted, axis=0)) / 2


def table_of(rows: Sequence[Row], weights: Mapping[str, float], wanted: Callable[[str], bool]) -> Table:
    """Return the rows whose tokens could be aligned as numbers; a kind of rows weighs what `weights` says."""
    kept = [row for row in rows if "last_explained" in row.features]
    names = tuple(name for name in kept[0].features if wanted(name))
    return Table(
        names,
        np.array([[row.features[name] for name in names] for row in kept]),
        np.array([float(row.held) for row in kept]),
        np.array([weights[row.kind] for row in kept]),
        np.array([row.article for row in kept]),
        np.array([row.kind for row in kept]),
    )


def terms(table: Table) -> Matrix:
    """Return the regression's terms: each feature drawn in, and the products of two."""
    drawn = np.sign(table.values) * np.log1p(np.abs(table.values))
    at = {name: place for place, name in enumerate(table.names)}
    pairs = [drawn[:, at[one]] * drawn[:, at[other]] for one, other in (name.split("*") for name in PRODUCTS)]
    return np.column_stack([drawn, *pairs])


def fit(table: Table) -> Fitted:
    weights, intercept = regression(terms(table), table.right, table.weight)
    data = lightgbm.Dataset(table.values, table.right, weight=table.weight, params={"verbose": -1})
    forests = [lightgbm.train(TREES | {"seed": SEED + n}, data, ROUNDS) for n in range(FORESTS)]
    return Fitted(dict(zip((*table.names, *PRODUCTS), weights.tolist(), strict=True)), intercept, forests)


def regression(design: Matrix, right: Matrix, weight: Matrix, penalty: float = PENALTY) -> tuple[Matrix, float]:
    """Fit by Newton's method on standardised terms; return the weights of the terms as they are, and the intercept."""
    centre, spread = design.mean(axis=0), design.std(axis=0) + 1e-9
    scaled = np.column_stack([(design - centre) / spread, np.ones(len(design))])
    found, ridge = np.zeros(scaled.shape[1]), np.diag([penalty] * design.shape[1] + [1e-6])
    for _ in range(NEWTON_STEPS):
        said = 1 / (1 + np.exp(-np.clip(scaled @ found, -30, 30)))
        slope = scaled.T @ (weight * (right - said)) - ridge @ found
        found += np.linalg.solve((scaled * (weight * said * (1 - said))[:, None]).T @ scaled + ridge, slope)
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ centre)


def folds(articles: NDArray[Any]) -> Iterator[NDArray[np.bool_]]:
    """Yield for each fold which rows are of the articles that are held out."""
    names = sorted(set(articles.tolist()))
    random.Random(SEED).shuffle(names)
    for fold in range(FOLDS):
        yield np.isin(articles, names[fold::FOLDS])


def out_of_fold(table: Table) -> Matrix:
    """Return each row's logit by a judge that never saw its article."""
    found = np.zeros(len(table.right))
    for held in folds(table.article):
        found[held] = fit(table.only(~held)).logits(table.only(held))
    return found


def calibration(logits: Matrix, table: Table) -> tuple[float, float]:
    """Return Platt's scale and bias."""
    scale, bias = regression(logits[:, None], table.right, table.weight, penalty=1e-6)
    return float(scale[0]), bias


def calibrated(logits: Matrix, table: Table) -> Matrix:
    """Return confidences out of fold, by a calibration that never saw the article either."""
    found = np.zeros(len(logits))
    for held in folds(table.article):
        scale, bias = calibration(logits[~held], table.only(~held))
        found[held] = 1 / (1 + np.exp(-(bias + scale * logits[held])))
    return found


def stored(fitted: Fitted, table: Table, calibrated_by: tuple[float, float]) -> dict[str, Any]:
    """Return the judge as kowai.extraction.model reads it."""
    scale, bias = calibrated_by
    trees = [
        _tree(tree["tree_structure"], len(fitted.forests))
        for forest in fitted.forests
        for tree in forest.dump_model()["tree_info"]
    ]
    weights = {name: round(value, 5) for name, value in fitted.weights.items()}
    return {
        "scale": round(scale, 5),
        "bias": round(bias, 5),
        "intercept": round(fitted.intercept, 5),
        "weights": weights,
        "features": table.names,
        "trees": trees,
    }


def _tree(node: Mapping[str, Any], forests: int) -> Any:
    if "leaf_value" in node:
        return round(node["leaf_value"] / forests, 5)
    below, above = (_tree(node[side], forests) for side in ("left_child", "right_child"))
    return [node["split_feature"], float(f"{node['threshold']:.7g}"), below, above]
