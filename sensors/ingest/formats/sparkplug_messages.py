"""Sparkplug B's messages in protocol buffers, described by the field numbers of the specification's chapter 6.4.

Text is described as bytes, and so are metrics, that each may be judged by itself. Data sets, templates and metadata are
left out: the reader skips them.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def _messages() -> dict[str, Any]:
    """The message classes, by name."""
    kinds = descriptor_pb2.FieldDescriptorProto
    whole, flag, text = kinds.TYPE_UINT64, kinds.TYPE_BOOL, kinds.TYPE_BYTES
    values = {
        "int_value": kinds.TYPE_UINT32,
        "long_value": whole,
        "float_value": kinds.TYPE_FLOAT,
        "double_value": kinds.TYPE_DOUBLE,
        "boolean_value": flag,
        "string_value": text,
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="smartmaint/sparkplug.proto", package="smartmaint.sparkplug", syntax="proto2"
    )

    def describe(message: str, numbers: dict[str, int], types: dict[str, Any], *repeated: str) -> None:
        described = file.message_type.add(name=message)
        for name, number in numbers.items():
            label = kinds.LABEL_REPEATED if name in repeated else kinds.LABEL_OPTIONAL
            one = described.field.add(name=name, number=number, label=label)
            if isinstance(types[name], str):
                one.type, one.type_name = kinds.TYPE_MESSAGE, f".{file.package}.{types[name]}"
            else:
                one.type = types[name]
            if name in values:
                one.oneof_index = 0
        if not numbers.keys().isdisjoint(values):
            described.oneof_decl.add(name="value")

    describe(
        "PropertyValue",
        {"is_null": 2, "int_value": 3, "long_value": 4, "string_value": 8},
        values | {"is_null": flag},
    )
    describe(
        "PropertySet", {"keys": 1, "values": 2}, {"keys": text, "values": "PropertyValue"}, "keys", "values"
    )
    describe(
        "Metric",
        {
            "name": 1,
            "alias": 2,
            "timestamp": 3,
            "datatype": 4,
            "is_historical": 5,
            "is_null": 7,
            "properties": 9,
            "int_value": 10,
            "long_value": 11,
            "float_value": 12,
            "double_value": 13,
            "boolean_value": 14,
            "string_value": 15,
        },
        values
        | {
            "name": text,
            "alias": whole,
            "timestamp": whole,
            "datatype": kinds.TYPE_UINT32,
            "is_historical": flag,
            "is_null": flag,
            "properties": "PropertySet",
        },
    )
    describe(
        "Payload",
        {"timestamp": 1, "metrics": 2, "seq": 3},
        {"timestamp": whole, "metrics": text, "seq": whole},
        "metrics",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{file.package}.{message.name}")
        )
        for message in file.message_type
    }


_MESSAGES = _messages()
Payload, Metric = _MESSAGES["Payload"], _MESSAGES["Metric"]
