"""The limits of a machine, from hwloc's topology.xml: where threads begin to share a core, a socket, a PU."""
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass


class TopologyError(Exception):
    """There is no topology to be had; the message says why."""


@dataclass(frozen=True)
class Topology:
    n_pus: int
    n_cores: int
    n_packages: int
    cpu_model: str

    def limits(self, placement):
        """Thread counts at which something is used up, as (threads, text) in rising order. What fills first
        depends on the placement: `cores` takes one PU of each core before the siblings, `compact` fills
        core by core."""
        limits = {}
        per_package = self.n_cores if placement == "cores" else self.n_pus
        if self.n_packages > 1 and placement in ("cores", "compact"):
            limits[per_package // self.n_packages] = "socket"
        if self.n_cores < self.n_pus and placement == "cores":
            limits[self.n_cores] = f"{self.n_cores} cores"
        limits[self.n_pus] = f"{self.n_pus} PU" + ("s" if self.n_pus > 1 else "")
        return sorted(limits.items())

    def describe(self):
        """`AMD EPYC, 2 cores, 2 PUs`"""
        def count(n, what):
            return f"{n} {what}" + ("s" if n != 1 else "")
        parts = [self.cpu_model] if self.cpu_model else []
        if self.n_packages > 1:
            parts.append(count(self.n_packages, "socket"))
        return ", ".join(parts + [count(self.n_cores, "core"), count(self.n_pus, "PU")])


def _is_allowed(element, allowed):
    """Whether the PU or core `element` has a PU in the allowed set (an int bitmap; None: all)."""
    return allowed is None or _bitmap(element.get("cpuset", "")) & allowed != 0


def _bitmap(text):
    value = 0
    for word in text.split(","):
        value = value << 32 | (int(word, 16) if word else 0)
    return value


def read_topology(path):
    """Counts of what the measured processes were allowed to use. TopologyError when the file cannot be
    read."""
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise TopologyError(f"{path}: {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise TopologyError(f"{path}: not well-formed XML: {error}") from error
    objects = list(root.iter("object"))
    machine = next((o for o in objects if o.get("type") == "Machine"), None)
    if machine is None:
        raise TopologyError(f"{path}: no Machine in it")
    text = machine.get("allowed_cpuset") or ""
    allowed = None if not text or text.startswith("0xf...f") else _bitmap(text)

    def count(kind):
        return sum(1 for o in objects if o.get("type") == kind and _is_allowed(o, allowed))

    n_pus = count("PU")
    if n_pus == 0:
        raise TopologyError(f"{path}: no PU in it")
    model = next((i.get("value", "") for i in root.iter("info") if i.get("name") == "CPUModel"), "")
    return Topology(n_pus, count("Core") or n_pus, count("Package") or 1, " ".join(model.split()))
