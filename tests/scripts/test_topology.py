import golden
import pytest

from heapdyno.topology import Topology, TopologyError, read_topology


def read(tmp_path, text):
    (tmp_path / "topology.xml").write_text(text)
    return read_topology(tmp_path / "topology.xml")


def test_counts(tmp_path):
    t = read(tmp_path, golden.topology_xml(n_packages=2, n_cores=16, n_siblings=2, model="Test  CPU "))
    assert t == Topology(n_pus=64, n_cores=32, n_packages=2, cpu_model="Test CPU")
    assert t.describe() == "Test CPU, 2 sockets, 32 cores, 64 PUs"


def test_what_is_not_allowed_does_not_count(tmp_path):
    text = golden.topology_xml(n_packages=2, n_cores=16, n_siblings=2)
    t = read(tmp_path, text.replace('allowed_cpuset="0xffffffff,0xffffffff"', 'allowed_cpuset="0x0000000f"'))
    assert (t.n_pus, t.n_cores, t.n_packages) == (4, 2, 1)


@pytest.mark.parametrize("placement, limits", [
    ("cores", [(16, "socket"), (32, "32 cores"), (64, "64 PUs")]),
    ("compact", [(32, "socket"), (64, "64 PUs")]),
    ("scatter", [(64, "64 PUs")]),
])
def test_limits_depend_on_the_placement(placement, limits):
    assert Topology(64, 32, 2, "").limits(placement) == limits


def test_small_machine_has_one_limit():
    assert Topology(2, 2, 1, "").limits("cores") == [(2, "2 PUs")]
    assert Topology(1, 1, 1, "").describe() == "1 core, 1 PU"


WITHOUT_PUS = golden.topology_xml().replace('"PU"', '"XX"')


@pytest.mark.parametrize("text", ["", "<topology>", "<topology/>", WITHOUT_PUS])
def test_useless_topology(tmp_path, text):
    with pytest.raises(TopologyError, match="topology.xml: "):
        read(tmp_path, text)
