"""TFRecord files: records in a row, each with its length and checksums.

A record is its length (uint64), the masked CRC-32C of these eight bytes, the data and its masked
CRC-32C, little endian; see tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from parrot_data.errors import UserError
from parrot_data.exchange.recording import regular_file, shown

MAX_RECORD_BYTES = (1 << 31) - 1  # no message of protobuf is larger
_HEADER_BYTES, _CRC_BYTES = 12, 4


def framed(data: bytes) -> Iterator[bytes]:
    """A record, in pieces."""
    length = struct.pack("<Q", len(data))
    yield length
    yield _masked_crc(length)
    yield data
    yield _masked_crc(data)


def records(path: Path) -> Iterator[bytes]:
    """Data of each record of a file, one in memory at a time.

    Raises:
        UserError: the file is missing, ends too early, or a checksum is not that of its bytes.
    """
    try:
        with regular_file(path).open("rb") as file:
            num_bytes, number = path.stat().st_size, 0
            while file.tell() < num_bytes:
                yield _record(file, num_bytes, f"{path}: record {number}")
                number += 1
    except OSError as error:
        raise UserError(f"{path} cannot be read ({shown(error)}): restore it.") from error


def _record(file: BinaryIO, num_bytes: int, where: str) -> bytes:
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise UserError(f"{where} ends too early: download the file again.")
    if _masked_crc(header[:8]) != header[8:]:
        raise UserError(f"{where} is no TFRecord, or damaged: download the file again.")
    (length,) = struct.unpack("<Q", header[:8])
    # Before memory is found for it: what claims to be long may be short.
    if length > num_bytes - file.tell() - _CRC_BYTES:
        raise UserError(f"{where} ends too early: download the file again.")
    if length > MAX_RECORD_BYTES:
        raise UserError(f"{where} has {length} bytes, {MAX_RECORD_BYTES} at most: cut the episode.")
    data = file.read(length)
    if _masked_crc(data) != file.read(_CRC_BYTES):
        raise UserError(f"{where} is damaged (its checksum differs): download the file again.")
    return data


def _masked_crc(data: bytes) -> bytes:
    crc: int = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return masked.to_bytes(4, "little")
