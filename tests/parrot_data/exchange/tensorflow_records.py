"""TFRecords of tf.train.Example by TensorBoard and protobuf.

They need no TensorFlow, whose own reading `make check-rlds` compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.summary.writer.record_writer import RecordWriter

_Field = descriptor_pb2.FieldDescriptorProto
# Fields of each message of tensorflow/core/example: name, type (a message by its name), repeated.
_MESSAGES: dict[str, list[tuple[str, Any, bool]]] = {
    "BytesList": [("value", _Field.TYPE_BYTES, True)],
    "FloatList": [("value", _Field.TYPE_FLOAT, True)],
    "Int64List": [("value", _Field.TYPE_INT64, True)],
    "Feature": [
        ("bytes_list", "BytesList", False),
        ("float_list", "FloatList", False),
        ("int64_list", "Int64List", False),
    ],
    "Entry": [("key", _Field.TYPE_STRING, False), ("value", "Feature", False)],
    "Features": [("feature", "Entry", True)],
    "Example": [("features", "Features", False)],
}


def _example_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (called, kind, is_repeated) in enumerate(fields, 1):
            label = _Field.LABEL_REPEATED if is_repeated else _Field.LABEL_OPTIONAL
            field = message.field.add(name=called, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Example"))


_Example = _example_class()


def read_records(path: Path) -> list[bytes]:
    reader, found = PyRecordReader_New(str(path)), []
    while True:
        try:
            reader.GetNext()
        except OutOfRangeError:
            return found
        found.append(reader.record())


def read_examples(path: Path) -> Iterator[dict[str, Sequence[Any]]]:
    """Lists by name, of every record."""
    for data in read_records(path):
        found = {}
        for entry in _Example.FromString(data).features.feature:
            (chosen,) = entry.value.ListFields()
            found[entry.key] = chosen[1].value
        yield found


def example(features: dict[str, Sequence[Any]]) -> bytes:
    """A record of lists of bytes, floats and whole numbers."""
    made = _Example()
    for name, values in features.items():
        kind = {bytes: "bytes_list", float: "float_list"}.get(type(values[0]), "int64_list")
        entry = made.features.feature.add(key=name)
        getattr(entry.value, kind).value.extend(values)
    return made.SerializeToString()


def write_records(path: Path, records: Sequence[bytes]) -> None:
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for record in records:
            writer.write(record)
