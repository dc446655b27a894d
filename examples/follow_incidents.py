"""Follow the incidents of an installation, as an operations bridge does: every news of every incident, once, in order.

python examples/follow_incidents.py localhost:9092 [opsbridge.incidents.v1]
"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer

from opsbridge.contract import Incident


async def follow(servers: str, topic: str) -> None:
    """Tell every news of every incident."""
    newest: dict[str, Incident] = {}
    async with AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        async for record in consumer:
            incident = Incident.model_validate_json(record.value)
            known = newest.get(incident.id)
            if known is None or (incident.version >= known.version and incident != known):
                newest[incident.id] = incident
                print(incident.priority, incident.status, incident.title, "->", incident.group, flush=True)


asyncio.run(follow(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "opsbridge.incidents.v1"))
