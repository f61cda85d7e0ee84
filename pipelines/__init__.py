"""The flow: Dagster definitions, assets and checks over pure transforms and plain operations, and the command line."""
