"""Values of Dagster's Helm chart as far as deploy/values.yaml uses them: a model of our own, of the chart's documentation.

The chart's own schema is no part of this project; what is not modelled here is refused, so that a misspelt key is found.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Name(_Closed):
    name: str


class Image(_Closed):
    repository: str
    tag: str
    pullPolicy: Literal["Always", "IfNotPresent", "Never"]


class Service(_Closed):
    type: Literal["ClusterIP"]
    port: int


class Switch(_Closed):
    enabled: bool


class Resources(_Closed):
    requests: dict[str, str]
    limits: dict[str, str]


class Global(_Closed):
    dagsterHome: str


class Webserver(_Closed):
    replicaCount: int
    image: Image
    enableReadOnly: bool
    env: dict[str, str]
    labels: dict[str, str]
    service: Service


class Mount(_Closed):
    name: str
    mountPath: str
    subPath: str = ""
    readOnly: bool = False


class InitContainer(_Closed):
    name: str
    image: str
    command: list[str]
    securityContext: dict[str, Any]
    volumeMounts: list[Mount]


class CodeLocation(_Closed):
    name: str
    image: Image
    dagsterApiGrpcArgs: list[str]
    port: int
    env: dict[str, str]
    envSecrets: list[Name]
    includeConfigInLaunchedRuns: Switch
    podSecurityContext: dict[str, int]
    initContainers: list[InitContainer]
    volumes: list[dict[str, Any]]
    volumeMounts: list[Mount]
    resources: Resources


class CodeLocations(_Closed):
    enabled: bool
    enableSubchart: bool
    deployments: list[CodeLocation]


class K8sRunLauncher(_Closed):
    envSecrets: list[Name]
    envVars: list[str]
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"]
    loadInclusterConfig: bool
    resources: Resources


class RunLauncherConfig(_Closed):
    k8sRunLauncher: K8sRunLauncher


class RunLauncher(_Closed):
    type: Literal["K8sRunLauncher"]
    config: RunLauncherConfig


class Daemon(_Closed):
    enabled: bool
    image: Image
    env: dict[str, str]
    runCoordinator: Switch
    runMonitoring: Switch
    runRetries: Switch


class Postgresql(_Closed):
    enabled: bool
    postgresqlScheme: str
    postgresqlHost: str
    postgresqlUsername: str
    postgresqlDatabase: str


class Redis(_Closed):
    enabled: bool
    internal: bool


_ALIASES = {"of_all": "global", "code_locations": "dagster-user-deployments"}


class ChartValues(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=lambda name: _ALIASES.get(name, name))

    of_all: Global
    dagsterWebserver: Webserver
    code_locations: CodeLocations
    runLauncher: RunLauncher
    dagsterDaemon: Daemon
    computeLogManager: dict[str, Any]
    additionalInstanceConfig: dict[str, Any]
    postgresql: Postgresql
    generatePostgresqlPasswordSecret: bool
    rabbitmq: Switch
    redis: Redis
    flower: Switch
    telemetry: Switch
    ingress: Switch
