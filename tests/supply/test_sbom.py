"""The bill of materials: all that the locks name, made twice alike; it checks itself."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from pmstream.devkafka import jars
from tests.supply import sbom
from tests.supply.test_locks import requirements


@pytest.mark.slow
def test_it_names_all_that_the_locks_name() -> None:
    with ThreadPoolExecutor(2) as threads:
        text, again = threads.map(lambda _: sbom.made(), range(2))

    document = json.loads(text)
    found = {(each["name"], each["version"]): each for each in sbom.parts(text)}
    pins = {tuple(pin.split(" ")[0].split("==")) for pin, *_ in requirements(sbom.LOCK)}
    wanted = {tuple(jar.coordinate.split(":")[1:]) for jar in jars.wanted()}
    assert set(found) == pins | wanted
    assert {each["scope"] for pair, each in found.items() if pair in wanted} == {"excluded"}
    assert not any("scope" in each for pair, each in found.items() if pair in pins)
    [root] = [each for each in document["dependencies"] if each["ref"] == "root-component"]
    assert len(root["dependsOn"]) == len(sbom._asked_for())
    assert again == text
