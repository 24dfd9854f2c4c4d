"""The AsyncAPI 3.0 document of a service, made from its declaration."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.kernel import wire
from shared.kernel.declaration import Service

LANES: tuple[wire.Lane, ...] = ("cmd", "ask")
REF = "#/components/schemas/{model}"


def document(service: Service) -> dict[str, Any]:
    """Every subject the service listens to or speaks on, with the JSON Schema of its body."""
    contracts: list[type[BaseModel]] = [
        *service.obeys,
        *service.answers,
        *service.asks,
        *service.hears,
        *service.announces,
        *service.measures,
    ]
    _, schemas = models_json_schema([(contract, "validation") for contract in contracts], ref_template=REF)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}

    def add(name: str, subject: str, contract: type[BaseModel], action: str) -> None:
        channels[name] = {
            "address": subject,
            "description": (contract.__doc__ or "").strip(),
            "messages": {
                contract.__name__: {
                    "payload": {"$ref": REF.format(model=contract.__name__)},
                    "contentType": "application/json",
                }
            },
            **(
                {"parameters": {"key": {"description": "Ticket id, else the thing's own."}}}
                if "{key}" in subject
                else {}
            ),
        }
        operations[f"{action}-{name}"] = {"action": action, "channel": {"$ref": f"#/channels/{name}"}}

    for command in service.obeys:
        for lane in LANES:
            name = command.wire_name()
            add(f"{lane}-{name}", wire.command_subject(lane, service.name, name), command, "receive")
    for query in service.answers:
        add(f"qry-{query.wire_name()}", wire.query_subject(service.name, query.wire_name()), query, "receive")
    for query in service.asks:
        add(f"qry-{query.wire_name()}", wire.query_subject(query.owner(), query.wire_name()), query, "send")
    for measure in service.measures:
        subject = wire.measure_subject(service.name, measure.wire_name())
        add(f"tel-{measure.wire_name()}", subject, measure, "send")
    for event in service.hears:
        add(f"evt-{event.wire_name()}", wire.event_subject(event.wire_name(), "{key}"), event, "receive")
    for event in service.announces:
        add(f"evt-{event.wire_name()}", wire.event_subject(event.wire_name(), "{key}"), event, "send")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"OmoiOS {service.name}", "version": "1"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas.get("$defs", {})},
    }
