"""Who is who by Splink: trained on the rows themselves, blocked by address, clusters at a match probability of 0.95.

`splink_identity.py ROWS.parquet CLUSTERS.parquet`; prints seconds from rows in memory to clusters in memory.
"""

import json
import sys
import warnings
from pathlib import Path
from time import perf_counter

import pandas as pd
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

THRESHOLD = 0.95


def main(given: Path, answer: Path) -> None:
    """Cluster the rows (row, address_key, given_key) and write row and cluster."""
    warnings.simplefilter("ignore")
    rows = pd.read_parquet(given)[["row", "address_key", "given_key"]]
    begun = perf_counter()
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="row",
        comparisons=[compare.ExactMatch("address_key"), compare.JaroWinklerAtThresholds("given_key", [0.9])],
        blocking_rules_to_generate_predictions=[block_on("address_key")],
    )
    api = DuckDBAPI()
    linker = Linker(api.register(rows), settings)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("address_key"))
    pairs = linker.inference.predict(threshold_match_probability=THRESHOLD)
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, THRESHOLD).as_pandas_dataframe()
    seconds = perf_counter() - begun
    clusters[["row", "cluster_id"]].rename(columns={"cluster_id": "cluster"}).to_parquet(answer)
    sys.stdout.write(json.dumps({"seconds": seconds, "rows": len(rows)}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
