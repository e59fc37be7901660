"""TF_CONFIG is what TensorFlow reads, and addresses are checked before it is made."""

import json
import socket

import pytest

from t2t_multimodel.errors import UserError
from t2t_multimodel.launching.tf_config import (
    local_addresses,
    parse_addresses,
    tf_configs,
)


def test_every_worker_is_told_of_all_and_which_it_is():
    addresses = parse_addresses("one:2222, two.example:2223,[2001:db8::1]:1,10.0.0.1:9")
    assert addresses == [
        "one:2222",
        "two.example:2223",
        "[2001:db8::1]:1",
        "10.0.0.1:9",
    ]
    configs = tf_configs(addresses)
    assert [json.loads(config) for config in configs] == [
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        for index in range(4)
    ]
    assert not any("\n" in config for config in configs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--workers is missing; give the address of every worker"),
        ("one", "'one' is not host:port, e.g. host1:2222"),
        ("one:1,,two:1", "'' is not host:port"),
        (":2222", "':2222' is not host:port"),
        ("a b:2222", "'a b:2222' is not host:port"),
        ("2001:db8::1:2222", "'2001:db8::1:2222' is not host:port"),
        ("one:http", "the port of 'one:http' is not a number from 1 to 65535"),
        ("one:0", "the port of 'one:0' is not a number"),
        ("one:65536", "the port of 'one:65536' is not a number"),
        ("one:²", "the port of 'one:²' is not a number"),
        (
            "one:1,two:1,one:1",
            "has one:1 2 times; workers of one host need a port each",
        ),
    ],
)
def test_addresses_that_are_none_are_refused(text, said):
    with pytest.raises(UserError) as error:
        parse_addresses(text)
    assert said in str(error.value)


def port_of(address):
    host, _, port = address.partition(":")
    assert host == "localhost"
    return int(port)


def test_local_ports_are_free_and_differ():
    ports = [port_of(address) for address in local_addresses(50)]
    assert len(set(ports)) == 50
    for port in ports:
        with socket.create_server(("", port)):
            pass


def test_chosen_ports_follow_each_other_and_must_be_free():
    first = port_of(local_addresses(1)[0])
    assert local_addresses(1, first) == [f"localhost:{first}"]
    with socket.create_server(("", first)):
        with pytest.raises(UserError, match=f"port {first} is taken by another"):
            local_addresses(2, first - 1)
    assert local_addresses(2, 65534) == ["localhost:65534", "localhost:65535"]
    with pytest.raises(UserError, match="--port=65534 leaves no 3 ports up to 65535"):
        local_addresses(3, 65534)
