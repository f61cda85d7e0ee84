"""How likely two known people are one human being, by Splink, in a DuckDB that lives in memory (the extra `linking`).

How often the values of one human being agree (m) is stated here; how often those of two do, by each value's own frequency
among the people compared, so that a common name says little. Splink can learn m from the rows instead: of a few hundred
people it learned that no phone and no name ever changes, and of 5,000 it found as many and no better pairs.
https://moj-analytical-services.github.io/splink/
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from schemas.errors import ConfigurationError

# Of a hundred people so many are taken to have a second address, before anything is known of them.
_TWICE = 0.05
# m of names that agree, that are nearly alike (Jaro-Winkler), that differ; and how often two people's are nearly alike.
_NAMES = {"given": [0.93, 0.05, 0.02], "family": [0.85, 0.05, 0.10]}
_ALIKE, _NEARLY_ALIKE = 0.9, 0.01
_OTHERS = {"handle": [0.5, 0.5], "domain": [0.2, 0.8], "phone": [0.7, 0.3]}
# What hardly two people share. Its frequency is counted without the two that are compared, and as if a few more people
# were known, each with a value of their own: else the fewer people there are, the less it would say.
_PERSONAL = ("handle", "phone")
_MORE = 100
COMPARED = (*_NAMES, *_OTHERS)

# A human being keeps the first letter of the given name; that bounds what many people share, such as a switchboard.
_BLOCKS = (("family", "initial"), ("beginning", "given"), ("phone", "initial"), ("handle", "initial"))

# Nothing is written to a disk, fetched or loaded, however little memory there is.
_SHUT = (
    "set temp_directory = ''",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set enable_external_access = false",
    "set lock_configuration = true",
)


def likely_pairs(rows: pd.DataFrame, *, above: float) -> pd.DataFrame:
    """Pairs of rows with a match probability of at least `above`.

    Columns in: row (unique), COMPARED and what `_BLOCKS` names, all `str`; None speaks neither for nor against.
    Columns out: row_l, row_r, match_weight (bits), match_probability, and gamma_X for each compared column X: 0 differs, 1
    agrees (of names: is nearly alike), 2 agrees (names), -1 unknown.
    Raises ConfigurationError where Splink is not installed, or fails.
    """
    try:
        import duckdb  # an extra, for which no other command is to wait
        from splink import DuckDBAPI, Linker
    except ImportError:
        raise ConfigurationError(
            "Proposing links needs Splink, which is not installed. In the project's folder:"
            " .uv/bin/uv sync --locked --extra linking"
        ) from None
    with _silent(), duckdb.connect(":memory:") as connection:
        try:
            for setting in _SHUT:
                connection.execute(setting)
            api = DuckDBAPI(connection)
            linker = Linker(api.register(rows), _model(len(rows)), log_level=None)
            for column in _PERSONAL:
                linker.table_management.register_term_frequency_lookup(api.register(_shared(rows, column)), column)
            pairs = linker.inference.predict(threshold_match_probability=above, warning_mode="never")
            return pairs.as_pandas_dataframe()
        except Exception as error:  # noqa: BLE001 - both libraries have many, whose words may quote what they read
            raise ConfigurationError(
                f"Splink could not compare ({type(error).__name__}). It works in memory alone, so that must be enough;"
                " the versions that are tested stand in uv.lock."
            ) from None


def _model(people: int) -> Any:
    from splink import SettingsCreator, block_on
    from splink.comparison_library import ExactMatch, JaroWinklerAtThresholds

    # Each value's own frequency takes the place of u where it agrees.
    agree = 1 / people
    names = [
        JaroWinklerAtThresholds(column, [_ALIKE]).configure(
            m_probabilities=m,
            u_probabilities=[agree, _NEARLY_ALIKE, 1 - _NEARLY_ALIKE - agree],
            term_frequency_adjustments=True,
        )
        for column, m in _NAMES.items()
    ]
    others = [
        ExactMatch(column).configure(
            m_probabilities=m, u_probabilities=[agree, 1 - agree], term_frequency_adjustments=True
        )
        for column, m in _OTHERS.items()
    ]
    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="row",
        comparisons=[*names, *others],
        blocking_rules_to_generate_predictions=[block_on(*columns) for columns in _BLOCKS],
        probability_two_random_records_match=2 * _TWICE / people,
    )


def _shared(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """By value how often somebody else than the two that are compared has it, and never quite nobody."""
    counts = rows[column].value_counts()
    frequency = ((counts - 2).clip(lower=0) + 2 * _TWICE) / (counts.sum() + _MORE)
    return pd.DataFrame({column: counts.index.astype("str"), f"tf_{column}": frequency.to_numpy(dtype="float64")})


@contextmanager
def _silent() -> Iterator[None]:
    """Splink tells of its model and its statements; neither is for a log of ours."""
    logger = logging.getLogger("splink")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
