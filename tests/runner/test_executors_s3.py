"""Storage of checkpoints on an S3 server, which runs in this process on the loopback device (moto, s3fs)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from benchmark.runner.executors.storage import Storage, mirrored
from benchmark.util.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """URI of an empty bucket. The server and its buckets end with the test."""
    servers, s3fs = pytest.importorskip("moto.server"), pytest.importorskip("s3fs")
    server = servers.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.get_host_and_port()[1]}")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("s3://plates")
    yield "s3://plates"
    urlopen(Request(f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")).close()
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_a_job_goes_on_from_checkpoints_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    storage = Storage(f"{bucket}/folder")
    storage.check()
    assert storage.uri == f"{bucket}/folder" and not storage.files.find(storage.root)
    storage.place_marker("command-1")
    elsewhere = Storage(storage.uri)
    assert elsewhere.has_marker("command-1")
    storage.remove_marker("command-1")
    assert not elsewhere.has_marker("command-1")
    here, job, said = tmp_path / "here", storage.job("run", ("first", 0)), list[str]()
    job.fetch(tmp_path / "empty", tmp_path / "empty.json")
    assert list((tmp_path / "empty").iterdir()) == []
    here.mkdir()
    with mirrored(job, here, tmp_path / "starts", said.append, lambda: None):
        for content in ("a", "b", "c"):
            (here / "checkpoint.pt").write_text(content)
            job.keep(here / "checkpoint.pt")
        (tmp_path / "starts").write_text("1")
        (here / "checkpoint.pt").write_text("d")
    elsewhere.job("run", ("first", 0)).fetch(tmp_path / "there", tmp_path / "there.json")
    assert (tmp_path / "there" / "checkpoint.pt").read_text() == "d"
    assert (tmp_path / "there" / "checkpoint.previous.pt").read_text() in ("c", "d")
    assert (tmp_path / "there.json").read_text() == "1" and said == []
    job.forget()
    job.forget()
    assert not elsewhere.files.find(storage.root)


def test_a_bucket_that_is_not_there_is_refused_in_a_line_and_not_made(bucket: str) -> None:
    with pytest.raises(UserError, match="cannot write to s3://nowhere/folder") as refused:
        Storage("s3://nowhere/folder").check()
    assert "\n" not in str(refused.value)
    assert Storage(bucket).files.ls("") == ["plates"]


def test_missing_credentials_are_refused_in_a_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    Storage(bucket).files.clear_instance_cache()
    with pytest.raises(UserError, match=r"cannot write to s3://plates/again .*credentials") as refused:
        Storage(f"{bucket}/again").check()
    assert "\n" not in str(refused.value)
