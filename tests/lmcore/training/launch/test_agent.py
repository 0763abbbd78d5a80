"""Where the ranks of a launched training find each other."""

import socket

from torch.distributed import TCPStore

from lmcore.training.launch.agent import loopback_store


def test_processes_find_each_other_through_a_free_port_of_this_machine_alone() -> None:
    one, other = loopback_store(), loopback_store()
    assert one.host == other.host == "127.0.0.1"
    assert one.port != other.port
    guest = TCPStore(one.host, one.port, is_master=False)
    guest.set("rank 1", "is here")
    assert one.get("rank 1") == b"is here"
    assert other.num_keys() < one.num_keys()
    # From another address of this machine nobody answers.
    with socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.2", one.port)) != 0
