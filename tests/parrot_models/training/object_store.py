"""An object store as S3 is, on this machine: moto's, behind a server that can break connections."""

from __future__ import annotations

import http.client
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import s3fs
from moto.server import ThreadedMotoServer

BUCKET = "robots"


class ObjectStore:
    """A bucket; counts what is asked for, and cuts off what it is told to."""

    def __init__(self, s3: Any, endpoint: str) -> None:
        self.endpoint = endpoint
        self._s3 = s3
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._to_cut: Counter[str] = Counter()
        self._cut: Counter[str] = Counter()

    def address(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix}"

    def put(self, folder: Path, prefix: str) -> None:
        for path in folder.rglob("*"):
            if path.is_file() and "zarr" not in str(path):
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                self._s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())

    def remove(self, key: str) -> None:
        self._s3.delete_object(Bucket=BUCKET, Key=key)

    def cut(self, name: str, times: int) -> None:
        self._to_cut[name], self._cut[name] = times, 0

    def num_cut(self, name: str) -> int:
        return self._cut[name]

    def forget(self) -> None:
        self._asked.clear()

    def asked_for_tars(self) -> Counter[str]:
        return Counter({k: count for k, count in self._asked.items() if k.endswith(".tar")})

    def is_to_cut(self, path: str) -> bool:
        """Take note of a file that is asked for; whether to send half of it."""
        name = path.rpartition("/")[2].partition("?")[0]
        with self._lock:
            self._asked[name] += 1
            is_cut = self._cut[name] < self._to_cut[name]
            self._cut[name] += is_cut
        return is_cut


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """An empty one, which the environment names as S3."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    s3 = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **keys)
    s3.create_bucket(Bucket=BUCKET)
    front = ThreadingHTTPServer(("127.0.0.1", 0), _front_of(host, port))
    store = ObjectStore(s3, f"http://127.0.0.1:{front.server_port}")
    front.store = store  # type: ignore[attr-defined]
    threading.Thread(target=front.serve_forever, daemon=True).start()
    environment = {name.upper(): value for name, value in keys.items()}
    environment |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": store.endpoint}
    s3fs.S3FileSystem.clear_instance_cache()
    with mock.patch.dict(os.environ, environment):
        yield store
    s3fs.S3FileSystem.clear_instance_cache()
    front.shutdown()
    front.server_close()
    moto.stop()


def _front_of(host: str, port: int) -> type[BaseHTTPRequestHandler]:
    class Front(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            behind = http.client.HTTPConnection(host, port)
            behind.request(self.command, self.path, headers=dict(self.headers))
            answer = behind.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") or str(len(content))
            self.send_header("Content-Length", length)
            self.end_headers()
            is_get = self.command == "GET"
            if is_get and self.server.store.is_to_cut(self.path):  # type: ignore[attr-defined]
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            elif is_get:
                self.wfile.write(content)
            behind.close()

        do_GET = do_HEAD = forward  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Front
