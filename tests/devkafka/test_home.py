"""A directory belongs to one cluster at a time, and to clusters only."""

from pathlib import Path

import pytest

from pmstream.devkafka import DevKafkaError
from pmstream.devkafka.home import Home


def test_a_temporary_directory_is_removed() -> None:
    home = Home(None, 1)
    path = home.path
    assert path.is_dir()

    home.leave()

    assert not path.exists()


def test_a_named_directory_stays_the_same_cluster(tmp_path: Path) -> None:
    first = Home(tmp_path / "kafka", 1)
    first.leave()

    second = Home(tmp_path / "kafka", 1)
    second.leave()

    assert first.cluster_id == second.cluster_id


def test_brokers_differ_in_node_and_directory_id_only(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    (template / "bootstrap.checkpoint").write_bytes(b"features")
    home = Home(tmp_path / "kafka", 3)

    folders = [home.broker(node, template) for node in (1, 2, 3)]
    home.leave()

    metas = [
        dict(line.split("=") for line in (each / "data/meta.properties").read_text().splitlines())
        for each in folders
    ]
    assert [meta.pop("node.id") for meta in metas] == ["1", "2", "3"]
    assert len({meta.pop("directory.id") for meta in metas}) == 3
    assert all(meta == {"version": "1", "cluster.id": home.cluster_id} for meta in metas)
    assert all((each / "data/bootstrap.checkpoint").read_bytes() == b"features" for each in folders)


def test_another_size_is_refused(tmp_path: Path) -> None:
    Home(tmp_path, 3).leave()

    with pytest.raises(DevKafkaError, match="brokers is 3, not 1: start it as it was"):
        Home(tmp_path, 1)


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(DevKafkaError, match="holds other files than a cluster's"):
        Home(tmp_path, 1)

    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DevKafkaError, match="cannot hold a cluster's data"):
        Home(tmp_path / "file", 1)


def test_a_directory_in_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pmstream.devkafka.home._RELEASE_TIMEOUT_S", 0.2)
    home = Home(tmp_path, 1)

    with pytest.raises(DevKafkaError, match="is in use by a cluster that runs"):
        Home(tmp_path, 1)

    home.leave()
