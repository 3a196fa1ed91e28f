"""A matplotlib Figure as SVG inside an HTML page: ids of its own, colours that follow the page, nothing that
would be fetched."""
import io
import re
import xml.etree.ElementTree as ElementTree

from heapdyno import draw

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
DARK_PAPER = (0x16, 0x19, 0x1D)
DARK_INK = (0xEC, 0xEE, 0xF0)
MIN_CONTRAST = 4.5
"""Of a colour against dark paper (WCAG 2.1 asks 3 of graphics, 4.5 of text)."""

COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
FONT = re.compile(r"font: (italic |oblique )?(\w+ )?([\d.]+px) '[^;]*")
LONG_NUMBER = re.compile(r"(\d\.\d\d)\d+")


def inline(figure, prefix, label, colours=None):
    """The <svg> element as text. `prefix` makes its ids unique in the page, `label` is what a screen reader
    says; the CSS variable --width is its width in points. With `colours`, a set, each colour becomes a
    variable of the page, `var(--c-rrggbb)`, and is added to the set; without, colours stay as they are."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", facecolor="white", metadata={"Date": None})
    root = ElementTree.fromstring(file.getvalue())
    width, height = (value.removesuffix("pt") for value in (root.get("width"), root.get("height")))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata") or child.tag == f"{SVG}style":
                parent.remove(child)
    ids = set()
    for element in root.iter():
        # The same marker is defined again wherever it is used.
        if element.get("id") in ids:
            del element.attrib["id"]
        elif "id" in element.attrib:
            ids.add(element.get("id"))
        element.tag = element.tag.removeprefix(SVG)
        element.attrib = {key.removeprefix(XLINK): _attribute(key, value, prefix, colours)
                          for key, value in element.attrib.items()}
    root.attrib = {"viewBox": f"0 0 {width} {height}", "style": f"--width: {float(width):g}", "role": "img",
                   "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _attribute(key, value, prefix, colours):
    if key == "id":
        return prefix + value
    if key.endswith("href") and value.startswith("#"):
        return "#" + prefix + value[1:]
    if key in ("d", "x", "y"):
        return " ".join(LONG_NUMBER.sub(r"\1", value).split())
    if key in ("style", "fill", "stroke", "clip-path"):
        value = FONT.sub(_font, value.replace("url(#", f"url(#{prefix}"))
        if colours is not None:
            value = COLOUR.sub(lambda match: _variable(match[0].lower(), colours), value)
    return value


def _font(match):
    """The page's own font, in the same style, weight and size."""
    style, weight, size = match.groups()
    parts = (("font-style", style), ("font-weight", weight), ("font-size", size))
    return "; ".join(f"{name}: {value.strip()}" for name, value in parts if value)


def _variable(colour, colours):
    colours.add(colour)
    return f"var(--c-{colour[1:]})"


def variables(colours):
    """(light, dark): what defines the variables of the colours, as CSS declarations."""
    ordered = sorted(colours)
    return ("".join(f"--c-{c[1:]}:{c};" for c in ordered),
            "".join(f"--c-{c[1:]}:{in_dark(c)};" for c in ordered))


def in_dark(colour):
    """The same colour for a dark page: greys change their place between paper and ink, others become lighter
    until they stand out."""
    rgb = tuple(int(colour[i:i + 2], 16) for i in (1, 3, 5))
    if max(rgb) - min(rgb) <= 0x10:
        return _hex(_mix(DARK_INK, DARK_PAPER, sum(rgb) / 3 / 255))
    for percent in range(0, 101, 5):
        lighter = _mix(rgb, (255, 255, 255), percent / 100)
        if contrast(lighter, DARK_PAPER) >= MIN_CONTRAST:
            return _hex(lighter)
    return _hex(DARK_INK)


def _mix(a, b, share):
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b))


def _hex(rgb):
    return "#" + "".join(f"{c:02x}" for c in rgb)


def contrast(a, b):
    """Of two colours, 1 to 21, as WCAG 2.1 defines it."""
    def luminance(rgb):
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def marker(look, name, colours):
    """A small sample of an allocator's line: (the symbol, which the page holds once; what shows it, wherever
    it is wanted)."""
    figure = draw.Figure(figsize=(0.34, 0.16))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.plot([0, 0.5, 1], [0, 0, 0], markevery=[1], clip_on=False, **draw.line_style(look))
    svg = inline(figure, f"{name}-", "", colours)
    symbol = svg.replace('role="img" aria-label=""', f'id="{name}"').replace("<svg ", "<symbol ").replace(
        "</svg>", "</symbol>")
    return symbol, f'<svg class="marker" aria-hidden="true"><use href="#{name}"/></svg>'
