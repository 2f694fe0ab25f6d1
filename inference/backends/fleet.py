"""Every backend and every model of the process, and the watch over their health."""

import asyncio

from inference.backends.dispatch import Dispatcher
from inference.backends.pool import ModelPool, Shared
from inference.backends.replica import Replica
from inference.settings import InferenceSettings
from inference.telemetry import InferenceMetrics


class Fleet:
    """Replicas, pools and probes. Probing starts with the first call, or with `start`."""

    def __init__(self, settings: InferenceSettings, metrics: InferenceMetrics) -> None:
        self._settings = settings
        self._dispatcher = Dispatcher(settings.limits, metrics, queue_s=settings.timeouts.queue_s)
        shared = Shared(settings, metrics, self._dispatcher, self.start)
        self.replicas = {backend.label: Replica(backend, settings, metrics) for backend in settings.all_backends()}
        self.pools = {
            name: ModelPool(name, model, [self.replicas[label] for label in model.backends or self.replicas], shared)
            for name, model in settings.all_models().items()
        }
        self._probing: list[asyncio.Task[None]] = []
        self._closed = False

    def start(self) -> None:
        """Begin to watch the replicas' health; needs a running loop. Starting twice changes nothing."""
        if self._probing or self._closed:
            return
        self._probing = [
            asyncio.create_task(self._watch(replica), name=f"probe {replica.name}")
            for replica in self.replicas.values()
        ]

    async def check(self) -> None:
        """Probe every replica whose last probe is not recent."""
        max_age_s = self._settings.probes.sick_interval_s
        await asyncio.gather(*(replica.probe(max_age_s=max_age_s) for replica in self.replicas.values()))

    async def close(self) -> None:
        """Stop probing and close every connection."""
        self._closed = True
        for task in self._probing:
            task.cancel()
        await asyncio.gather(*self._probing, return_exceptions=True)
        for replica in self.replicas.values():
            await replica.close()

    async def _watch(self, replica: Replica) -> None:
        probes = self._settings.probes
        while True:
            await replica.probe()
            self._dispatcher.wake(replica)
            await asyncio.sleep(probes.sick_interval_s if not replica.usable else probes.interval_s)
